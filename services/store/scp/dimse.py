"""DIMSE requests to a store, and the responses to them (PS3.7 9.3.1, 9.3.5, 10.3.1). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.dicom.upper_layer.dimse_command import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    COMMAND_DATA_SET_TYPE,
    COMMAND_FIELD,
    EVENT_TYPE_ID,
    MESSAGE_ID,
    MESSAGE_ID_BEING_RESPONDED_TO,
    NO_DATA_SET,
    STATUS,
    encode_command,
    is_uid_text,
    number_of,
    text_of,
)
from shared.dicom.upper_layer.errors import ProtocolError

#: Set in the Command Field of a response (PS3.7 E.1).
_RESPONSE = 0x8000

_ERROR_COMMENT = 0x0902
#: Characters of an Error Comment, an LO.
_COMMENT_LENGTH = 64

#: Status codes of PS3.7 annex C.
SOP_CLASS_NOT_SUPPORTED, UNRECOGNIZED_OPERATION = 0x0122, 0x0211


@dataclass(frozen=True, slots=True)
class DimseRequest:
    """A request as it came: nothing of it is validated but its form."""

    command_field: int
    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    has_data_set: bool
    #: Of an N-EVENT-REPORT.
    event_type_id: int | None = None


def request_of(command: Mapping[int, bytes]) -> DimseRequest:
    """Read a command set; without a Message ID it gets 0, since some senders leave it out.

    Raises:
        ProtocolError: it is no request.
    """
    command_field, message_id = number_of(command, COMMAND_FIELD), number_of(command, MESSAGE_ID)
    if command_field is None or command_field & _RESPONSE:
        raise ProtocolError("a command set that is no request")
    return DimseRequest(
        command_field=command_field,
        message_id=message_id or 0,
        sop_class_uid=text_of(command, AFFECTED_SOP_CLASS_UID),
        sop_instance_uid=text_of(command, AFFECTED_SOP_INSTANCE_UID),
        has_data_set=number_of(command, COMMAND_DATA_SET_TYPE) != NO_DATA_SET,
        event_type_id=number_of(command, EVENT_TYPE_ID),
    )


def response_to(request: DimseRequest, status_code: int, comment: str = "") -> bytes:
    """Return the command set of a response; the comment is cut to what its element holds."""
    elements: dict[int, int | str] = {
        COMMAND_FIELD: request.command_field | _RESPONSE,
        MESSAGE_ID_BEING_RESPONDED_TO: request.message_id,
        STATUS: status_code,
    }
    if is_uid_text(request.sop_class_uid):
        elements[AFFECTED_SOP_CLASS_UID] = request.sop_class_uid
    if is_uid_text(request.sop_instance_uid):
        elements[AFFECTED_SOP_INSTANCE_UID] = request.sop_instance_uid
    if comment:
        shown = comment[:_COMMENT_LENGTH].encode("ascii", "replace").decode("ascii")
        elements[_ERROR_COMMENT] = shown + " " * (len(shown) % 2)
    return encode_command(elements, has_data_set=False)
