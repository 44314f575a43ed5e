"""Command sets of DIMSE messages (PS3.7 6.3.1, E.1), implicit VR little endian. Pure."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from shared.dicom.upper_layer.errors import ProtocolError
from shared.identifiers import UID_MAX_LENGTH

C_STORE_RQ, C_STORE_RSP = 0x0001, 0x8001
C_GET_RQ, C_GET_RSP = 0x0010, 0x8010
C_FIND_RQ, C_FIND_RSP, C_CANCEL_RQ = 0x0020, 0x8020, 0x0FFF
C_MOVE_RQ, C_MOVE_RSP = 0x0021, 0x8021
C_ECHO_RQ, C_ECHO_RSP = 0x0030, 0x8030
N_EVENT_REPORT_RQ, N_EVENT_REPORT_RSP = 0x0100, 0x8100
N_ACTION_RQ, N_ACTION_RSP = 0x0130, 0x8130

# Elements of group 0000 (PS3.7 E.1).
AFFECTED_SOP_CLASS_UID = 0x0002
REQUESTED_SOP_CLASS_UID = 0x0003
COMMAND_FIELD = 0x0100
MESSAGE_ID = 0x0110
MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
MOVE_DESTINATION = 0x0600
PRIORITY = 0x0700
COMMAND_DATA_SET_TYPE = 0x0800
STATUS = 0x0900
AFFECTED_SOP_INSTANCE_UID = 0x1000
REQUESTED_SOP_INSTANCE_UID = 0x1001
EVENT_TYPE_ID = 0x1002
ACTION_TYPE_ID = 0x1008
REMAINING_SUB_OPERATIONS = 0x1020
COMPLETED_SUB_OPERATIONS = 0x1021
FAILED_SUB_OPERATIONS = 0x1022
WARNING_SUB_OPERATIONS = 0x1023

#: Command Data Set Type: no data set follows (PS3.7 9.1).
NO_DATA_SET = 0x0101
_DATA_SET_FOLLOWS = 0x0001
MEDIUM = 0x0000

#: No command set that is longer is taken; those of C-FIND have some hundred bytes.
MAX_COMMAND_BYTES = 1 << 14

_ELEMENT = struct.Struct("<HHL")
#: An element that is a number (US).
_NUMBER, _NUMBER_BYTES = struct.Struct("<HHLH"), 2


def encode_command(elements: Mapping[int, int | str], *, has_data_set: bool) -> bytes:
    """Return a command set: numbers are US, texts are UIDs, or of even length."""
    described: dict[int, int | str] = {
        **elements,
        COMMAND_DATA_SET_TYPE: _DATA_SET_FOLLOWS if has_data_set else NO_DATA_SET,
    }
    body = b"".join(_element(number, value) for number, value in sorted(described.items()))
    return _ELEMENT.pack(0, 0, 4) + struct.pack("<L", len(body)) + body


def decode_command(data: bytes) -> dict[int, bytes]:
    """Return the elements of a command set by their number in group 0000.

    Raises:
        ProtocolError: lengths do not fit, or an element is of another group.
    """
    elements: dict[int, bytes] = {}
    at, end = 0, len(data)
    while at < end:
        if end - at < _ELEMENT.size:
            raise ProtocolError("a command set is cut off")
        group, number, length = _ELEMENT.unpack_from(data, at)
        at += _ELEMENT.size
        if group or at + length > end:
            raise ProtocolError("an element of a command set does not fit")
        elements[number] = data[at : at + length]
        at += length
    return elements


def number_of(elements: Mapping[int, bytes], number: int) -> int | None:
    """Return the value of a US element, None where it is absent or none; some peers give it four bytes."""
    value = elements.get(number)
    if value is None or len(value) not in (2, 4):
        return None
    return int.from_bytes(value[:2], "little")


def c_echo_rq(message_id: int, sop_class_uid: str) -> bytes:
    """Return the command set of a C-ECHO-RQ (PS3.7 9.3.5.1)."""
    return encode_command(
        {AFFECTED_SOP_CLASS_UID: sop_class_uid, COMMAND_FIELD: C_ECHO_RQ, MESSAGE_ID: message_id},
        has_data_set=False,
    )


def c_find_rq(message_id: int, sop_class_uid: str) -> bytes:
    """Return the command set of a C-FIND-RQ (PS3.7 9.3.2.1)."""
    return encode_command(
        {
            AFFECTED_SOP_CLASS_UID: sop_class_uid,
            COMMAND_FIELD: C_FIND_RQ,
            MESSAGE_ID: message_id,
            PRIORITY: MEDIUM,
        },
        has_data_set=True,
    )


def c_get_rq(message_id: int, sop_class_uid: str) -> bytes:
    """Return the command set of a C-GET-RQ (PS3.7 9.3.3.1)."""
    return encode_command(
        {
            AFFECTED_SOP_CLASS_UID: sop_class_uid,
            COMMAND_FIELD: C_GET_RQ,
            MESSAGE_ID: message_id,
            PRIORITY: MEDIUM,
        },
        has_data_set=True,
    )


def c_store_rq(message_id: int, sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """Return the command set of a C-STORE-RQ (PS3.7 9.3.1.1)."""
    return encode_command(
        {
            AFFECTED_SOP_CLASS_UID: sop_class_uid,
            COMMAND_FIELD: C_STORE_RQ,
            MESSAGE_ID: message_id,
            PRIORITY: MEDIUM,
            AFFECTED_SOP_INSTANCE_UID: sop_instance_uid,
        },
        has_data_set=True,
    )


def c_store_rsp(message_id: int, sop_class_uid: str, sop_instance_uid: str, status_code: int) -> bytes:
    """Return the command set of a C-STORE-RSP (PS3.7 9.3.1.2); a UID that is none is left out."""
    elements: dict[int, int | str] = {
        COMMAND_FIELD: C_STORE_RSP,
        MESSAGE_ID_BEING_RESPONDED_TO: message_id,
        STATUS: status_code,
    }
    if is_uid_text(sop_class_uid):
        elements[AFFECTED_SOP_CLASS_UID] = sop_class_uid
    if is_uid_text(sop_instance_uid):
        elements[AFFECTED_SOP_INSTANCE_UID] = sop_instance_uid
    return encode_command(elements, has_data_set=False)


_UID_CHARACTERS = frozenset("0123456789.")


def is_uid_text(text: str) -> bool:
    """Return whether a text of a request can be repeated as a UID in its response."""
    return 0 < len(text) <= UID_MAX_LENGTH and _UID_CHARACTERS.issuperset(text)


def text_of(elements: Mapping[int, bytes], number: int) -> str:
    """Return the value of a UI element, empty where it is absent."""
    return elements.get(number, b"").decode("latin-1").rstrip("\0 ")


def c_move_rq(message_id: int, sop_class_uid: str, move_destination: str) -> bytes:
    """Return the command set of a C-MOVE-RQ (PS3.7 9.3.4.1)."""
    return encode_command(
        {
            AFFECTED_SOP_CLASS_UID: sop_class_uid,
            COMMAND_FIELD: C_MOVE_RQ,
            MESSAGE_ID: message_id,
            PRIORITY: MEDIUM,
            # An AE title is padded with a space (PS3.5 6.2).
            MOVE_DESTINATION: move_destination + " " * (len(move_destination) % 2),
        },
        has_data_set=True,
    )


def c_cancel_rq(message_id: int) -> bytes:
    """Return the command set of a C-CANCEL-RQ for a request (PS3.7 9.3.2.3)."""
    elements: dict[int, int | str] = {COMMAND_FIELD: C_CANCEL_RQ, MESSAGE_ID_BEING_RESPONDED_TO: message_id}
    return encode_command(elements, has_data_set=False)


def _element(number: int, value: int | str) -> bytes:
    if isinstance(value, int):
        return _NUMBER.pack(0, number, _NUMBER_BYTES, value)
    encoded = _padded(value.encode("ascii"))
    return _ELEMENT.pack(0, number, len(encoded)) + encoded


def _padded(uid: bytes) -> bytes:
    return uid + b"\0" if len(uid) % 2 else uid
