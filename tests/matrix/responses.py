"""Odd and hostile C-FIND responses, byte by byte, and the result that they lead to."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from shared.dicom.query.matches import StudyMatch
from shared.dicom.upper_layer.dimse_command import (
    C_FIND_RSP,
    COMMAND_DATA_SET_TYPE,
    COMMAND_FIELD,
    MESSAGE_ID_BEING_RESPONDED_TO,
    NO_DATA_SET,
    STATUS,
    encode_command,
)
from shared.dicom.upper_layer.pdu import P_DATA_TF, p_data

PENDING, SUCCESS = 0xFF00, 0x0000
FIRST = StudyMatch("1.2.1")
ERROR_COMMENT = struct.pack("<HHL", 0x0000, 0x0902, 8) + b"Too busy"


@dataclass(frozen=True)
class ResponseRow:
    """The bytes that follow a C-FIND-RQ, in Implicit VR Little Endian, and the result."""

    fault: str
    stream: bytes
    matches: tuple[StudyMatch, ...] = ()
    #: The final status, and whether the result holds all matches.
    status_code: int | None = SUCCESS
    complete: bool = True
    moment: str = "C-FIND response"

    @property
    def ending(self) -> str:
        status = "no final status" if self.status_code is None else f"status 0x{self.status_code:04X}"
        read = "complete" if self.complete else "not complete"
        return f"{read}; {status}; {len(self.matches)} matches read"


def response(status: int, data_set: bytes | None = None, message_id: int | None = 1) -> bytes:
    """Return a C-FIND-RSP as PDUs."""
    stream = p_data(1, _command(status, data_set, message_id), is_command=True, maximum_length=0)
    if data_set is not None:
        stream += p_data(1, data_set, is_command=False, maximum_length=0)
    return stream


def _command(status: int, data_set: bytes | None, message_id: int | None) -> bytes:
    elements: dict[int, int | str] = {COMMAND_FIELD: C_FIND_RSP, STATUS: status}
    if message_id is not None:
        elements[MESSAGE_ID_BEING_RESPONDED_TO] = message_id
    return encode_command(elements, has_data_set=data_set is not None)


def element(group: int, number: int, value: bytes) -> bytes:
    return struct.pack("<HHL", group, number, len(value)) + value


def study(uid: bytes = b"1.2.1\0", before: bytes = b"") -> bytes:
    """Return a match at STUDY level; `before` are elements of lower tags."""
    return before + element(0x0020, 0x000D, uid)


def dated(date: bytes, time: bytes) -> bytes:
    return study(before=element(0x0008, 0x0020, date) + element(0x0008, 0x0030, time))


def in_one_pdu(status: int, data_set: bytes) -> bytes:
    """Return command and data set as two presentation data values of one P-DATA-TF."""
    bodies = [
        p_data(1, _command(status, data_set, 1), is_command=True, maximum_length=0)[6:],
        p_data(1, data_set, is_command=False, maximum_length=0)[6:],
    ]
    return struct.pack(">BBL", P_DATA_TF, 0, sum(map(len, bodies))) + b"".join(bodies)


_END = response(SUCCESS)
_UNTYPED_END = struct.pack("<HHLH", 0, COMMAND_FIELD, 2, C_FIND_RSP) + struct.pack(
    "<HHLH", 0, STATUS, 2, SUCCESS
)
_LONG_END = p_data(
    1,
    struct.pack("<HHLH", 0, COMMAND_FIELD, 2, C_FIND_RSP)
    + struct.pack("<HHLH", 0, COMMAND_DATA_SET_TYPE, 2, NO_DATA_SET)
    + struct.pack("<HHLL", 0, STATUS, 4, SUCCESS),
    is_command=True,
    maximum_length=0,
)
_EMPTY_PDU = struct.pack(">BBL", P_DATA_TF, 0, 0)
_PRIVATE = (
    struct.pack("<HHL", 0x0009, 0x1001, 0xFFFFFFFF)
    + struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    + element(0x0020, 0x000D, b"9.9.9\0")
    + struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
    + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
)

RESPONSE_ROWS = [
    ResponseRow("0xFF01, and no Query/Retrieve Level", response(0xFF01, study()) + _END, (FIRST,)),
    ResponseRow(
        "Message ID Being Responded To of 0",
        response(PENDING, study(), 0) + response(SUCCESS, None, 0),
        (FIRST,),
    ),
    ResponseRow(
        "no Message ID Being Responded To",
        response(PENDING, study(), None) + response(SUCCESS, None, None),
        (FIRST,),
    ),
    ResponseRow("command and data set in one P-DATA-TF", in_one_pdu(PENDING, study()) + _END, (FIRST,)),
    ResponseRow(
        "the last match again in the final response",
        response(PENDING, study()) + response(SUCCESS, study()),
        (FIRST,),
    ),
    ResponseRow(
        "error comment in a data set",
        response(0xC001, ERROR_COMMENT),
        status_code=0xC001,
        complete=False,
    ),
    ResponseRow(
        "a failure with an empty data set",
        response(PENDING, study()) + response(0xA700, b""),
        (FIRST,),
        status_code=0xA700,
        complete=False,
    ),
    ResponseRow(
        "a final response that announces a data set, and none comes",
        response(PENDING, study()) + p_data(1, _command(SUCCESS, b"", 1), is_command=True, maximum_length=0),
        (FIRST,),
    ),
    ResponseRow(
        "no Command Data Set Type in the final response",
        response(PENDING, study()) + p_data(1, _UNTYPED_END, is_command=True, maximum_length=0),
        (FIRST,),
    ),
    ResponseRow("a status of four bytes", response(PENDING, study()) + _LONG_END, (FIRST,)),
    ResponseRow("a P-DATA-TF without a fragment", _EMPTY_PDU + response(PENDING, study()) + _END, (FIRST,)),
    *(
        ResponseRow(f"a UID {how}", response(PENDING, study(uid)) + _END, (FIRST,))
        for how, uid in {
            "that comes twice": b"1.2.1\\1.2.1\0",
            "with an empty value after it": b"1.2.1\\",
            "with an empty value before it": b"\\1.2.1",
            "in blanks": b" 1.2.1  ",
        }.items()
    ),
    ResponseRow("a match padded with NULs", response(PENDING, study() + bytes(3)) + _END, (FIRST,)),
    ResponseRow(
        "the final status in a data set, and then silence",
        response(PENDING, study()) + response(PENDING, element(0x0000, 0x0900, b"\0\0")),
        (FIRST,),
        status_code=None,
        complete=False,
    ),
    ResponseRow(
        "a status that the standard does not name",
        response(PENDING, study()) + response(0x1234),
        (FIRST,),
        status_code=0x1234,
        complete=False,
    ),
    *(
        ResponseRow(
            f"a date of {date!r} and a time of {time!r}",
            response(PENDING, dated(date.encode(), time.encode())) + _END,
            (StudyMatch("1.2.1", study_date=date.strip(), study_time=time.strip()),),
        )
        for date, time in (("2024.03.10", "10:15:00"), ("20240310 ", "1015"), ("20240310", "101500.123456 "))
    ),
    ResponseRow(
        "a private sequence with another study's UID",
        response(PENDING, study(before=_PRIVATE)) + _END,
        (FIRST,),
    ),
    ResponseRow("a UID padded with a space", response(PENDING, study(b"1.2.1 ")) + _END, (FIRST,)),
    ResponseRow("a UID padded with NUL", response(PENDING, study(b"1.2.1\0\0\0")) + _END, (FIRST,)),
    ResponseRow("a UID of 65 characters", response(PENDING, study(b"1" * 65 + b"\0")) + _END, complete=False),
    ResponseRow("a path for a UID", response(PENDING, study(b"../../x\0")) + _END, complete=False),
    ResponseRow("a UID that is empty", response(PENDING, study(b"")) + _END, complete=False),
    ResponseRow(
        "a value longer than its data set",
        response(PENDING, struct.pack("<HHL", 0x0020, 0x000D, 64) + b"1.2.1\0") + _END,
        complete=False,
    ),
    ResponseRow(
        "a match after one that is broken",
        response(PENDING, study(b"")) + response(PENDING, study()) + _END,
        (FIRST,),
        complete=False,
    ),
]
