"""Odd and hostile archives behind a C-GET, byte by byte: what they send, and what is taken of it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.peers.byte_get_pacs import (
    ALSO,
    CT,
    CT_CONTEXT,
    GET,
    MR,
    REQUESTED,
    acceptance_with,
    an_object,
    command_pdu,
    data_pdu,
    data_set,
    element,
    final,
    get_command,
    p_data_tf,
    pdv,
    store_command,
)

ABORT = struct.pack(">BBL", 7, 0, 4) + bytes((0, 0, 0, 0))
RELEASE = struct.pack(">BBL", 5, 0, 4) + bytes(4)
ABORTED, TIMED_OUT, BAD = "aborted", "timed out", "answer not understood"


@dataclass(frozen=True)
class GetRow:
    """The bytes that follow a C-GET-RQ for one or two objects, and the end."""

    fault: str
    stream: bytes
    #: SOP Instance UIDs that the store has in the end.
    stored: frozenset[str] = frozenset({REQUESTED})
    #: The statuses with which we respond to its objects.
    responses: tuple[int, ...] = (0x0000,)
    #: The final status, None where none counts.
    status_code: int | None = 0x0000
    #: The outcome of what went wrong, and a part of its words.
    error: str = ""
    words: str = ""
    #: Whether the association may be used again.
    alive: bool = True
    #: Whether the peer closes the connection after its bytes.
    closes: bool = False
    moment: str = "C-GET"

    @property
    def ending(self) -> str:
        kept = f"{len(self.stored)} stored" if self.stored else "nothing stored"
        status = "no final status" if self.status_code is None else f"status 0x{self.status_code:04X}"
        return "; ".join(filter(None, (kept, status, self.error)))


def refused(fault: str, stream: bytes, *responses: int, **fields: object) -> GetRow:
    """Return a row of which nothing is stored, and that ends with success."""
    values: dict[str, object] = {"stored": frozenset(), "error": BAD} | fields
    return GetRow(fault, stream, responses=responses, **values)  # type: ignore[arg-type]


def broken(fault: str, stream: bytes, **fields: object) -> GetRow:
    """Return a row after which we abort."""
    values: dict[str, object] = {
        "stored": frozenset(), "responses": (), "status_code": None, "error": ABORTED, "alive": False,
    } | fields  # fmt: skip
    return GetRow(fault, stream, **values)  # type: ignore[arg-type]


def in_pieces(payload: bytes, is_command: int, size_bytes: int = 1) -> bytes:
    """Return a PDU for each piece of a command set or data set."""
    starts = range(0, len(payload), size_bytes)
    last = starts[-1]
    return b"".join(
        p_data_tf(pdv(CT_CONTEXT, is_command | 2 * (at == last), payload[at : at + size_bytes]))
        for at in starts
    )


_END = final()
_PENDING = command_pdu(get_command(0xFF00), GET)
_BOTH = frozenset({REQUESTED, ALSO})
_WHOLE_COMMAND = pdv(CT_CONTEXT, 3, store_command())
_WHOLE_DATA = pdv(CT_CONTEXT, 2, data_set())
_EMPTY_PDU = p_data_tf()
_EMPTY_COMMAND, _EMPTY_DATA = p_data_tf(pdv(CT_CONTEXT, 1, b"")), p_data_tf(pdv(CT_CONTEXT, 0, b""))


def failed_list(value: bytes) -> bytes:
    return element(0x0008, 0x0058, value)


# fmt: off
#: Objects that are others than was requested or announced.
OBJECTS = [
    GetRow("the object that was requested", an_object() + _END),
    refused("an object that was not requested", an_object("1.2.9") + _END, 0x0124, words="not requested"),
    GetRow("one that was requested, and one that was not", an_object("1.2.9") + an_object() + _END,
           responses=(0x0124, 0x0000)),
    refused("a data set of another object than its command", an_object(data=data_set("1.2.9")) + _END, 0xC000,
            words="another than announced"),
    refused("a command of another object than its data set", an_object("1.2.9", data_set()) + _END, 0x0124),
    refused("a data set of another class than its command", an_object(data=data_set(sop_class=MR)) + _END,
            0xC000),
    refused("a class that was not agreed",
            command_pdu(store_command(sop_class=MR)) + data_pdu(data_set(sop_class=MR)) + _END, 0x0122,
            error=""),
    refused("no Affected SOP Instance UID", command_pdu(store_command(None)) + data_pdu(data_set()) + _END,
            0x0124),
    refused("no Affected SOP Class UID",
            command_pdu(store_command(sop_class=None)) + data_pdu(data_set()) + _END, 0xC000),
    refused("a path for a UID", an_object("../../x") + _END, 0x0124),
    refused("a UID of 200 characters", an_object("1." * 100) + _END, 0x0124),
    GetRow("the study changed on the way", an_object(data=data_set(study="1.2.77")) + _END),
    GetRow("the same object twice", an_object() + an_object() + _END, responses=(0x0000, 0x0000)),
    broken("the same object without end", an_object() * 150, stored=frozenset({REQUESTED}),
           responses=(0x0000,) * 100, error=BAD, words="sent already"),
    broken("objects that were not requested, without end", an_object("1.2.9") * 150,
           responses=(0x0124,) * 99, error=BAD, words="not requested"),
    refused("an empty data set", an_object(data=b"") + _END, 0xC000),
    refused("no data set", command_pdu(store_command(has_data_set=False)) + _END, 0xC000),
    refused("a data set that is cut off within its UIDs", an_object(data=data_set()[:40]) + _END, 0xC000),
    refused("a data set that is cut off within its pixels", an_object(data=data_set()[:-4]) + _END, 0xC003,
            words=f"{REQUESTED} was not handed on: data_set: is cut off"),
    GetRow("an object that is cut off, and a whole one",
           an_object(data=data_set()[:-4]) + an_object(ALSO) + final(0xB000, failed_list(REQUESTED.encode())),
           stored=frozenset({ALSO}), responses=(0xC003, 0x0000), status_code=0xB000),
    refused("a data set of noise", an_object(data=b"\xff" * 4000) + _END, 0xC000),
    refused("HTML for a data set", an_object(data=b"<html>" * 100) + _END, 0xC000),
    GetRow("a data set with its UIDs padded with spaces",
           an_object(data=element(8, 0x16, CT.encode() + b" ") + element(8, 0x18, REQUESTED.encode() + b" ")
                     + data_set()[data_set().index(struct.pack("<HH", 0x20, 0xD)):]) + _END),
    broken("an object of more bytes than is taken", an_object(data=data_set(size_bytes=3 << 20)) + _END,
           error=BAD, words="more than 2 MiB"),
    broken("a data set without end", command_pdu(store_command())
           + p_data_tf(pdv(CT_CONTEXT, 0, data_set()[:-4] + bytes(100_000))) * 30,
           error=BAD, words="more than 2 MiB"),
]

#: Messages and fragments.
MESSAGES = [
    GetRow("a command set in single bytes",
           in_pieces(store_command(), 1) + data_pdu(data_set()) + _END),
    GetRow("a data set in single bytes", command_pdu(store_command()) + in_pieces(data_set(), 0) + _END),
    GetRow("command and data set in one P-DATA-TF", p_data_tf(_WHOLE_COMMAND, _WHOLE_DATA) + _END),
    GetRow("two objects and the final response in one P-DATA-TF",
           p_data_tf(_WHOLE_COMMAND, _WHOLE_DATA, pdv(CT_CONTEXT, 3, store_command(ALSO)),
                     pdv(CT_CONTEXT, 2, data_set(ALSO)), pdv(GET, 3, get_command(0))),
           stored=_BOTH, responses=(0x0000, 0x0000)),
    GetRow("all objects sent without a wait for responses", an_object() + an_object(ALSO) + _END,
           stored=_BOTH, responses=(0x0000, 0x0000)),
    GetRow("P-DATA-TF without values", _EMPTY_PDU * 3 + an_object() + _EMPTY_PDU + _END),
    GetRow("values without bytes", _EMPTY_COMMAND * 2 + command_pdu(store_command()) + _EMPTY_DATA * 2
           + data_pdu(data_set()) + _END),
    GetRow("a last fragment without bytes", command_pdu(store_command())
           + p_data_tf(pdv(CT_CONTEXT, 0, data_set())) + p_data_tf(pdv(CT_CONTEXT, 2, b"")) + _END),
    GetRow("a P-DATA-TF longer than we announced", command_pdu(store_command())
           + p_data_tf(pdv(CT_CONTEXT, 2, data_set(size_bytes=500_000))) + _END),
    GetRow("other elements in the command set, and an odd priority",
           command_pdu(store_command(x0700=0x7777, x1031=5, x5010=1)) + data_pdu(data_set()) + _END),
    GetRow("a wrong group length",
           command_pdu(struct.pack("<HHLL", 0, 0, 4, 9999) + store_command()[12:])
           + data_pdu(data_set()) + _END),
    GetRow("reserved bits in the message control header",
           p_data_tf(pdv(CT_CONTEXT, 0xF3, store_command()), pdv(CT_CONTEXT, 0xF2, data_set())) + _END),
    broken("an object in the context of the C-GET", an_object(context_id=GET), words="context 1"),
    broken("an object in a context that was not accepted", an_object(context_id=253), words="context 253"),
    broken("an object in a context of an even number", an_object(context_id=2), words="context 2"),
    broken("a data set in another context than its command",
           command_pdu(store_command()) + data_pdu(data_set(), GET), words="another presentation context"),
    broken("a second command set before the data set",
           command_pdu(store_command()) + command_pdu(store_command(ALSO)) + data_pdu(data_set()),
           words="a command set in place of a data set"),
    broken("a C-GET response within an object",
           command_pdu(store_command()) + p_data_tf(pdv(CT_CONTEXT, 0, data_set()[:50])) + _END,
           words="another presentation context"),
    broken("a data set without a command set", data_pdu(data_set()), words="without a command set"),
    broken("an object without a Message ID",
           command_pdu(store_command(message_id=None)) + data_pdu(data_set()), words="responded to"),
    broken("a command set of 20 KiB", command_pdu(store_command() + element(0, 0x0902, bytes(20_000))),
           words="longer than any"),
    broken("a command set that is cut off", command_pdu(store_command()[:-3]), words="does not fit"),
    broken("a command set of another group", command_pdu(element(8, 0x18, b"1.2")), words="does not fit"),
    broken("a C-ECHO request of the peer", command_pdu(store_command(x0100=0x30, has_data_set=False)),
           words="no response to the request"),
    broken("a C-STORE response for a request", command_pdu(store_command(x0100=0x8001, has_data_set=False)),
           words="no response to the request"),
    broken("a value longer than its PDU", struct.pack(">BBLLBB", 4, 0, 6, 5000, CT_CONTEXT, 3),
           words="does not fit its PDU"),
    broken("a value without a header", struct.pack(">BBLLBB", 4, 0, 6, 1, CT_CONTEXT, 3),
           words="does not fit its PDU"),
    broken("a P-DATA-TF of 1 GiB", struct.pack(">BBL", 4, 0, 1 << 30), words="longer than any"),
    broken("an unknown PDU type", struct.pack(">BBL", 0x2A, 0, 4) + bytes(4), words="2AH"),
    broken("a second A-ASSOCIATE-AC", acceptance_with(), words="02H"),
    broken("HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n", words="48H"),
]

#: The end in each moment.
ENDINGS = [
    *(
        broken(f"{name}, {moment}", before + end, stored=frozenset(stored),
               responses=(0x0000,) * len(stored), words="ended the association")
        for name, end in (("A-ABORT", ABORT), ("A-RELEASE-RQ", RELEASE))
        for moment, before, stored in (
            ("before the first object", b"", ()),
            ("after a command set", command_pdu(store_command()), ()),
            ("within a data set",
             command_pdu(store_command()) + p_data_tf(pdv(CT_CONTEXT, 0, data_set())), ()),
            ("after an object", an_object(), (REQUESTED,)),
        )
    ),
    broken("the connection is closed, within a data set",
           command_pdu(store_command()) + p_data_tf(pdv(CT_CONTEXT, 0, data_set())), closes=True,
           words="closed the connection"),
    broken("the connection is closed, within a PDU", an_object()[:-20], closes=True,
           words="closed the connection"),
    broken("silence, before the first object", b"", error=TIMED_OUT),
    broken("silence, after a command set", command_pdu(store_command()), error=TIMED_OUT),
    broken("silence, within a PDU", an_object()[:-20], error=TIMED_OUT),
    broken("silence, in place of the final response", an_object(), stored=frozenset({REQUESTED}),
           responses=(0x0000,), error=TIMED_OUT),
]

#: Responses to the C-GET itself.
RESPONSES = [
    GetRow("Pending with counters, and without", command_pdu(get_command(0xFF00, x1020=1), GET) + an_object()
           + command_pdu(get_command(0xFF00), GET) + _END),
    GetRow("counters that go backwards", command_pdu(get_command(0xFF00, x1020=0, x1021=9), GET)
           + command_pdu(get_command(0xFF00, x1020=9, x1021=0), GET) + an_object() + _END),
    GetRow("Pending after success", an_object() + _END + command_pdu(get_command(0xFF00), GET), alive=False),
    GetRow("a second final response", an_object() + _END + final(0xA702), alive=False),
    GetRow("an object after the final response", _END + an_object(), stored=frozenset(), responses=(),
           alive=False),
    GetRow("an object after the final response, which counts it", final(x1021=1) + an_object()),
    GetRow("objects before and after the final response, which counts both",
           an_object() + final(0xB000, x1021=1, x1023=1) + an_object(ALSO), stored=_BOTH,
           responses=(0x0000, 0x0000), status_code=0xB000),
    GetRow("A-ABORT after a final response that counts more", final(x1021=1) + ABORT, stored=frozenset(),
           responses=(), alive=False),
    GetRow("0xB000 with counters and a list of what failed",
           an_object() + final(0xB000, failed_list(ALSO.encode()), x1021=1, x1022=1), status_code=0xB000),
    GetRow("0xB000 and a list that is none",
           an_object() + final(0xB000, failed_list(b"\xff\\..\\x\\" + ALSO.encode())), status_code=0xB000),
    GetRow("0xB000 and noise in place of a list", an_object() + final(0xB000, b"\xff" * 33),
           status_code=0xB000),
    GetRow("0xA702 after an object", an_object() + final(0xA702, failed_list(ALSO.encode())),
           status_code=0xA702, error="answered with status"),
    GetRow("0xFE00 though nothing was cancelled", an_object() + final(0xFE00), status_code=0xFE00,
           error="answered with status"),
    GetRow("a status that the standard does not name", an_object() + final(0x1234), status_code=0x1234,
           error="answered with status"),
    GetRow("success, and no object", _END, stored=frozenset(), responses=()),
    GetRow("success with counters of what never came", final(x1021=5), stored=frozenset(), responses=()),
    GetRow("Pending with a data set", command_pdu(get_command(0xFF00, data=True), GET)
           + data_pdu(failed_list(b"1.2"), GET) + an_object() + _END),
    GetRow("the response in the context of the objects", an_object()
           + command_pdu(get_command(0), CT_CONTEXT)),
    broken("Pending responses without end", _PENDING * 110, error=BAD, words="more than 100 pending"),
    broken("Pending responses without end, between objects", (an_object() + _PENDING * 40) * 3,
           stored=frozenset({REQUESTED}), responses=(0x0000,) * 3, error=BAD, words="more than 100 pending"),
    broken("a response without a status", command_pdu(get_command(None), GET), words="without Status"),
    broken("a response to a C-MOVE", command_pdu(get_command(0, field=0x8021), GET), words="no response to"),
]

# fmt: on

GET_ROWS = [*OBJECTS, *MESSAGES, *ENDINGS, *RESPONSES]


@dataclass(frozen=True)
class AcceptanceRow:
    """An A-ASSOCIATE-AC on whose association no object could come, and the words for it."""

    fault: str
    acceptance: Callable[[], bytes]
    words: str
    moment: str = "A-ASSOCIATE-AC for C-GET"

    @property
    def ending(self) -> str:
        return f"not used; the error says {self.words!r}"


_JPEG, _BIG = b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.2"
_NO_CLASS, _NO_GET = "would send no class", "does not offer C-GET"
_IMPLICIT = b"1.2.840.10008.1.2"

# fmt: off
ACCEPTANCE_ROWS = [
    AcceptanceRow("no role for any class", lambda: acceptance_with(roles=()), _NO_CLASS),
    AcceptanceRow("the role is refused", lambda: acceptance_with(roles=((CT, 1, 0),)), _NO_CLASS),
    AcceptanceRow("a role for a class that was not proposed",
                  lambda: acceptance_with(roles=((MR + ".9", 0, 1),)), _NO_CLASS),
    AcceptanceRow("a role item that is cut off",
                  lambda: acceptance_with(roles=(), more=b"\x54\0\0\x05\0\x19abc"), _NO_CLASS),
    AcceptanceRow("a transfer syntax that was not proposed in its context",
                  lambda: acceptance_with((GET, _IMPLICIT), (CT_CONTEXT, _JPEG)), _NO_CLASS),
    AcceptanceRow("C-GET itself is not accepted", lambda: acceptance_with((CT_CONTEXT, _IMPLICIT)), _NO_GET),
    AcceptanceRow("C-GET in a transfer syntax that was not proposed",
                  lambda: acceptance_with((GET, _BIG), (CT_CONTEXT, _IMPLICIT)), _NO_GET),
    AcceptanceRow("contexts that were never proposed",
                  lambda: acceptance_with((2, _IMPLICIT), (251, _IMPLICIT)), _NO_GET),
]
# fmt: on
