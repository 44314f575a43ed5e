"""The bytes of a PACS that responds to C-GET: acceptances with roles, objects, and responses."""

from __future__ import annotations

import struct

from shared.dicom.sop_classes import offers
from shared.dicom.upper_layer.associate_requestor import context_id_of
from shared.dicom.upper_layer.dimse_command import encode_command
from shared.dicom.upper_layer.pdu import p_data
from tests.support.peers.byte_pacs import IMPLICIT, item

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
STUDY, SERIES, REQUESTED, ALSO = "1.2.1", "1.2.1.1", "1.2.1.1.1", "1.2.1.1.2"
#: The context of the C-GET, and that of CT images in Implicit VR Little Endian.
GET = 1
CT_CONTEXT = next(
    context_id_of(place)
    for place, (abstract, transfer) in enumerate(offers([CT]), start=1)
    if (abstract, transfer) == (CT, (IMPLICIT.decode(),))
)


def acceptance_with(
    *contexts: tuple[int, bytes], roles: tuple[tuple[str, int, int], ...] = ((CT, 0, 1),), more: bytes = b""
) -> bytes:
    """Return an A-ASSOCIATE-AC: contexts with their transfer syntax, and roles (SCU, SCP) of classes."""
    body = struct.pack(">HH64x", 1, 0) + item(0x10, b"1.2.840.10008.3.1.1.1")
    for context_id, transfer_syntax in contexts or ((GET, IMPLICIT), (CT_CONTEXT, IMPLICIT)):
        body += item(0x21, struct.pack("BBBB", context_id, 0, 0, 0) + item(0x40, transfer_syntax))
    selections = b"".join(
        item(0x54, struct.pack(">H", len(uid)) + uid.encode() + bytes((scu, scp))) for uid, scu, scp in roles
    )
    body += item(0x50, item(0x51, struct.pack(">L", 16384)) + selections + more)
    return struct.pack(">BBL", 2, 0, len(body)) + body


def element(group: int, number: int, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHL", group, number, len(value)) + value


def data_set(
    uid: str = REQUESTED,
    *,
    sop_class: str = CT,
    study: str = STUDY,
    series: str = SERIES,
    size_bytes: int = 64,
) -> bytes:
    """Return an object in Implicit VR Little Endian."""
    return (
        element(0x0008, 0x0016, sop_class.encode())
        + element(0x0008, 0x0018, uid.encode())
        + element(0x0020, 0x000D, study.encode())
        + element(0x0020, 0x000E, series.encode())
        + element(0x7FE0, 0x0010, bytes(size_bytes))
    )


def store_command(
    uid: str | None = REQUESTED,
    *,
    sop_class: str | None = CT,
    message_id: int | None = 7,
    has_data_set: bool = True,
    **more: int,
) -> bytes:
    """Return the command set of a C-STORE-RQ; `more` are other elements of US, named as `x0700`."""
    elements: dict[int, int | str] = {0x0100: 0x0001, 0x0700: 0}
    elements |= {int(name[1:], 16): value for name, value in more.items()}
    for number, value in ((0x0002, sop_class), (0x0110, message_id), (0x1000, uid)):
        if value is not None:
            elements[number] = value
    return encode_command(elements, has_data_set=has_data_set)


def get_command(status: int | None, *, field: int = 0x8010, data: bool = False, **counters: int) -> bytes:
    """Return the command set of a C-GET-RSP; counters are named as `x1021`."""
    elements: dict[int, int | str] = {0x0100: field, 0x0120: 1}
    if status is not None:
        elements[0x0900] = status
    elements |= {int(name[1:], 16): value for name, value in counters.items()}
    return encode_command(elements, has_data_set=data)


def command_pdu(command: bytes, context_id: int = CT_CONTEXT, size_bytes: int = 16000) -> bytes:
    return p_data(context_id, command, is_command=True, maximum_length=size_bytes)


def data_pdu(data: bytes, context_id: int = CT_CONTEXT, size_bytes: int = 16000) -> bytes:
    return p_data(context_id, data, is_command=False, maximum_length=size_bytes)


def an_object(uid: str = REQUESTED, data: bytes | None = None, context_id: int = CT_CONTEXT) -> bytes:
    """Return a C-STORE-RQ with its data set."""
    return command_pdu(store_command(uid), context_id) + data_pdu(
        data_set(uid) if data is None else data, context_id
    )


def final(status: int = 0x0000, failed: bytes | None = None, **counters: int) -> bytes:
    """Return the final C-GET-RSP, with a data set that holds a Failed SOP Instance UID List."""
    response = command_pdu(get_command(status, data=failed is not None, **counters), GET)
    return response if failed is None else response + data_pdu(failed, GET)


def pdv(context_id: int, header: int, fragment: bytes) -> bytes:
    return struct.pack(">LBB", len(fragment) + 2, context_id, header) + fragment


def p_data_tf(*pdvs: bytes) -> bytes:
    """Return one P-DATA-TF PDU with these values."""
    body = b"".join(pdvs)
    return struct.pack(">BBL", 4, 0, len(body)) + body
