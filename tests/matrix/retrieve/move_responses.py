"""Odd and hostile responses to a C-MOVE, byte by byte, and what is read of them."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from shared.dicom.association.sub_operations import SubOperations
from tests.support.peers import byte_get_pacs
from tests.support.peers.byte_get_pacs import GET as MOVE
from tests.support.peers.byte_get_pacs import element, get_command, p_data_tf, pdv, store_command

ABORTED, TIMED_OUT, STATUS = "aborted", "timed out", "answered with status"
ABORT, RELEASE = struct.pack(">BBL", 7, 0, 4) + bytes(4), struct.pack(">BBL", 5, 0, 4) + bytes(4)
MOVE_RSP = 0x8021
A, B = "1.2.1.1.1", "1.2.1.1.2"
NO_COUNTERS = SubOperations()


@dataclass(frozen=True)
class MoveResponseRow:
    """The bytes that follow a C-MOVE-RQ, and the result."""

    fault: str
    stream: bytes
    status_code: int | None = 0x0000
    counters: SubOperations = NO_COUNTERS
    failed: tuple[str, ...] = ()
    #: The outcome of what went wrong, and a part of its words.
    error: str = ""
    words: str = ""
    alive: bool = True
    closes: bool = False
    moment: str = "C-MOVE response"

    @property
    def ending(self) -> str:
        status = "no final status" if self.status_code is None else f"status 0x{self.status_code:04X}"
        failed = f"{len(self.failed)} named as failed" if self.failed else ""
        return "; ".join(filter(None, (status, failed, self.error)))


_Row = MoveResponseRow


def broken(
    fault: str, stream: bytes, words: str = "", error: str = ABORTED, *, closes: bool = False
) -> MoveResponseRow:
    """Return a row after which we abort."""
    return _Row(fault, stream, None, error=error, words=words, alive=False, closes=closes)


def raw(elements: bytes, context_id: int = MOVE) -> bytes:
    return byte_get_pacs.command_pdu(elements, context_id)


def response(status: int | None, data: bytes | None = None, **fields: int) -> bytes:
    """Return a C-MOVE-RSP; a data set follows if there is one."""
    command = get_command(status, field=MOVE_RSP, data=data is not None, **fields)
    return raw(command) + (b"" if data is None else byte_get_pacs.data_pdu(data, MOVE))


def failed(value: bytes, before: bytes = b"") -> bytes:
    return before + element(0x0008, 0x0058, value)


def counter(number: int, value: bytes) -> bytes:
    """Return a final response of which one counter has these bytes."""
    return raw(get_command(0, field=MOVE_RSP) + struct.pack("<HHL", 0, number, len(value)) + value)


_PENDING = response(0xFF00, x1020=2, x1021=1, x1022=0, x1023=0)
_LIST = f"{A}\\{B}".encode()
_EXPLICIT = struct.pack("<HH2sH", 8, 0x58, b"UI", len(_LIST) + 1) + _LIST + b"\0"

# fmt: off
STATUSES = [
    *(_Row(f"0x{status:04X}", response(status), status)
      for status in (0x0000, 0x0001, 0x0107, 0x0116, 0xB000, 0xB006, 0xB007, 0xBFFF)),
    *(_Row(f"0x{status:04X}", response(status), status, error=STATUS, words=words)
      for status, words in ((0xA701, "matches"), (0xA702, "sub-operations"), (0xA7FF, ""),
                            (0xA801, "move destination unknown"), (0xA900, "does not match SOP class"),
                            (0xC000, "unable to process"), (0xCFFF, "unable to process"),
                            (0xFE00, "C-CANCEL"),
                            (0x0122, "not supported"), (0x0210, "duplicate"), (0x1234, "does not name"),
                            (0xFF02, "does not name"), (0xFFFF, "does not name"))),
]

COUNTERS = [
    _Row("counters", response(0xB000, x1021=3, x1022=1, x1023=2), 0xB000,
         SubOperations(None, 3, 1, 2)),
    _Row("some remain after the end", response(0, x1020=4, x1021=3), counters=SubOperations(4, 3)),
    _Row("counters of 65535", response(0, x1021=65535, x1022=65535),
         counters=SubOperations(None, 65535, 65535)),
    _Row("a counter of four bytes", counter(0x1021, b"\5\0\0\0"), counters=SubOperations(None, 5)),
    _Row("a counter of one byte", counter(0x1021, b"\5")),
    _Row("a counter without a value", counter(0x1021, b"")),
    _Row("a counter of eight bytes", counter(0x1021, b"\5" + bytes(7))),
    _Row("a counter as text", counter(0x1021, b"5 "), counters=SubOperations(None, 0x2035)),
    _Row("counters that go backwards",
         _PENDING + response(0xFF00, x1020=9, x1021=0) + response(0, x1021=3),
         counters=SubOperations(None, 3)),
    _Row("counters in Pending responses only", _PENDING + response(0)),
    _Row("a Pending response 0xFF01", response(0xFF01) + response(0)),
]

LISTS = [
    _Row("two failed", response(0xB000, failed(_LIST)), 0xB000, failed=(A, B)),
    _Row("one failed", response(0xB000, failed(A.encode())), 0xB000, failed=(A,)),
    _Row("the same one twice", response(0xB000, failed(f"{A}\\{A}".encode())), 0xB000, failed=(A,)),
    _Row("a list that is empty", response(0xB000, failed(b"")), 0xB000),
    _Row("a list with blanks and NULs", response(0xB000, failed(f" {A} \\\0{B}\0\0".encode())), 0xB000,
         failed=(A, B)),
    _Row("garbage between two", response(0xB000, failed(f"{A}\\\u00e9x\\..\\{B}".encode())), 0xB000,
         failed=(A, B)),
    _Row("a path and a UID of 65 characters",
         response(0xB000, failed(f"../../x\\{'1' * 65}\\{A}".encode())), 0xB000, failed=(A,)),
    _Row("a list under a character set",
         response(0xB000, failed(_LIST, element(8, 5, b"ISO_IR 192"))), 0xB000, failed=(A, B)),
    _Row("a list in Explicit VR though Implicit was agreed", response(0xB000, _EXPLICIT), 0xB000,
         failed=(A, B)),
    _Row("a list that is longer than its data set", response(0xB000, failed(_LIST)[:-4]), 0xB000),
    _Row("noise in place of a data set", response(0xB000, b"\xff" * 41), 0xB000),
    _Row("an empty data set", response(0xB000, b""), 0xB000),
    _Row("a list beside success", response(0, failed(A.encode())), failed=(A,)),
    _Row("a list in a Pending response", response(0xFF00, failed(A.encode())) + response(0)),
    _Row("ten thousand failed",
         response(0xB000, failed("\\".join(f"1.2.{n}" for n in range(10_000)).encode())), 0xB000,
         failed=tuple(f"1.2.{n}" for n in range(10_000))),
]

MESSAGES = [
    _Row("Pending after success", response(0) + _PENDING, alive=False),
    _Row("a second final response", response(0) + response(0xA702), alive=False),
    _Row("A-RELEASE-RQ after the final response", response(0) + RELEASE, alive=False),
    _Row("A-ABORT after the final response", response(0) + ABORT, alive=False),
    _Row("another Message ID Being Responded To", response(0, x0120=99)),
    _Row("command set in single bytes", b"".join(
        p_data_tf(pdv(MOVE, 1, bytes((byte,)))) for byte in get_command(0, field=MOVE_RSP))
        + p_data_tf(pdv(MOVE, 3, b""))),
    broken("a response without a status", response(None), "without Status"),
    broken("a response to a C-FIND", raw(get_command(0, field=0x8020)), "no response to the request"),
    broken("a response to a C-GET", raw(get_command(0)), "no response to the request"),
    broken("an object on the association of the C-MOVE",
           raw(store_command()) + byte_get_pacs.data_pdu(b"", MOVE), "no response to the request"),
    broken("no Command Field", raw(element(0, 0x0900, b"\0\0") + element(0, 0x0800, b"\1\1")),
           "no response to the request"),
    broken("a command set that is cut off", raw(get_command(0, field=MOVE_RSP)[:-3]), "is cut off"),
    broken("a data set without a command set", byte_get_pacs.data_pdu(failed(_LIST), MOVE),
           "without a command set"),
    broken("a data set of 20 MiB", response(None, b"")[:-12]
           + p_data_tf(pdv(MOVE, 0, bytes(1_000_000))) * 20, "longer than any"),
    broken("HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n", "48H"),
    *(broken(f"{name}, {moment}", before + end, "before its final response")
      for name, end in (("A-ABORT", ABORT), ("A-RELEASE-RQ", RELEASE))
      for moment, before in (("before the first response", b""), ("after a Pending response", _PENDING))),
    broken("the connection is closed, after a Pending response", _PENDING, "closed the connection",
           closes=True),
    broken("the connection is closed, within a response", response(0)[:-5], "closed the connection",
           closes=True),
    broken("silence, after a Pending response", _PENDING, error=TIMED_OUT),
    broken("silence, within a response", response(0)[:-5], error=TIMED_OUT),
]
# fmt: on

MOVE_RESPONSE_ROWS = [*STATUSES, *COUNTERS, *LISTS, *MESSAGES]
