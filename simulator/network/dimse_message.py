"""DIMSE messages as bytes: command sets (PS3.7 6.3, E) and P-DATA-TF PDUs (PS3.8 9.3.5); pure."""

import struct
from collections.abc import Iterable

#: The data set that follows is absent (PS3.7 E.1, Command Data Set Type).
NO_DATA_SET = 0x0101
_DATA_SET_FOLLOWS = 0x0001

C_STORE_RQ = 0x0001
C_FIND_RSP = 0x8020
C_GET_RSP = 0x8010
C_MOVE_RSP = 0x8021
C_ECHO_RSP = 0x8030

AFFECTED_SOP_CLASS_UID = 0x0002
COMMAND_FIELD = 0x0100
MESSAGE_ID = 0x0110
MESSAGE_ID_RESPONDED_TO = 0x0120
MOVE_DESTINATION = 0x0600
PRIORITY = 0x0700
COMMAND_DATA_SET_TYPE = 0x0800
STATUS = 0x0900
ERROR_COMMENT = 0x0902
AFFECTED_SOP_INSTANCE_UID = 0x1000
REMAINING_SUB_OPERATIONS = 0x1020
COMPLETED_SUB_OPERATIONS = 0x1021
FAILED_SUB_OPERATIONS = 0x1022
WARNING_SUB_OPERATIONS = 0x1023
MOVE_ORIGINATOR_AE_TITLE = 0x1030
MOVE_ORIGINATOR_MESSAGE_ID = 0x1031

_UID_ELEMENTS = frozenset({AFFECTED_SOP_CLASS_UID, AFFECTED_SOP_INSTANCE_UID})
_PDV_OVERHEAD = 6
#: Fragment size towards peers that announce no limit.
_UNLIMITED_PDU = 1 << 17


def padded(value: bytes, pad: bytes = b" ") -> bytes:
    """Return the value with an even length, as every DICOM value has."""
    return value + pad if len(value) % 2 else value


def _value(element: int, value: int | str) -> bytes:
    if isinstance(value, int):
        return struct.pack("<H", value)
    return padded(value.encode("ascii"), b"\0" if element in _UID_ELEMENTS else b" ")


def command_set(elements: Iterable[tuple[int, int | str]], *, has_data_set: bool) -> bytes:
    """Return a command set, implicit VR little endian with its group length, from (element, value) pairs."""
    described = {
        **dict(elements),
        COMMAND_DATA_SET_TYPE: _DATA_SET_FOLLOWS if has_data_set else NO_DATA_SET,
    }
    body = b"".join(
        struct.pack("<HHL", 0, element, len(encoded)) + encoded
        for element, encoded in sorted(
            (element, _value(element, value)) for element, value in described.items()
        )
    )
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def p_data(context_id: int, payload: bytes, *, is_command: bool, maximum_length: int) -> bytes:
    """Return the P-DATA-TF PDUs of one command set or data set; a `maximum_length` of 0 means no limit."""
    size = max((maximum_length or _UNLIMITED_PDU) - _PDV_OVERHEAD, 1)
    pieces = [payload[start : start + size] for start in range(0, len(payload), size)] or [b""]
    flag = 0x01 if is_command else 0x00
    pdus = []
    for number, piece in enumerate(pieces, start=1):
        header = flag | (0x02 if number == len(pieces) else 0x00)
        length = len(piece) + 2
        pdus.append(struct.pack(">BBLLBB", 0x04, 0, length + 4, length, context_id, header) + piece)
    return b"".join(pdus)


def message(context_id: int, command: bytes, data_set: bytes | None, maximum_length: int) -> bytes:
    """Return a whole DIMSE message: the command set and, where there is one, the data set."""
    encoded = p_data(context_id, command, is_command=True, maximum_length=maximum_length)
    if data_set is None:
        return encoded
    return encoded + p_data(context_id, data_set, is_command=False, maximum_length=maximum_length)


def element(tag: int, vr: str, value: bytes, *, implicit_vr: bool) -> bytes:
    """Return one little endian data element; a value of 64 KiB or more needs implicit VR."""
    value = padded(value, b"\0" if vr in {"UI", "OB"} else b" ")
    group, number = tag >> 16, tag & 0xFFFF
    if implicit_vr:
        return struct.pack("<HHL", group, number, len(value)) + value
    if vr in {"SQ", "UT", "OB", "OW", "UN", "UC", "UR"}:
        return struct.pack("<HH2sHL", group, number, vr.encode("ascii"), 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr.encode("ascii"), len(value)) + value
