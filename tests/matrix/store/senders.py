"""Odd and hostile senders, byte by byte: what they send to the store, its responses, and what it keeps."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tests.support.peers.byte_get_pacs import command_pdu, data_pdu, element, p_data_tf, pdv, store_command
from tests.support.services.store import CT, MR, made_object

#: Presentation contexts of the association: CT images in Explicit VR Little Endian, and Verification.
STORAGE, ECHO = 1, 3
VERIFICATION = "1.2.840.10008.1.1"
ONE, TWO = made_object(1), made_object(2)
RELEASE, ABORT = struct.pack(">BBL", 5, 0, 4) + bytes(4), struct.pack(">BBL", 7, 0, 4) + bytes(4)
#: Sources and reasons of an A-ABORT (PS3.8 table 9-26).
INVALID, UNEXPECTED = (2, 6), (2, 2)


@dataclass(frozen=True)
class SenderRow:
    """The bytes that follow the A-ASSOCIATE-AC, and the end."""

    fault: str
    stream: bytes
    #: Statuses of the responses.
    responses: tuple[int, ...] = (0x0000,)
    #: Paths of what is kept.
    kept: frozenset[str] = frozenset({ONE.path})
    #: Source and reason of an A-ABORT.
    abort: tuple[int, int] | None = None
    released: bool = False
    #: Whether the sender closes the connection after its bytes; if not, C-ECHO shows that it still stands.
    closes: bool = False
    moment: str = "C-STORE"

    @property
    def ending(self) -> str:
        statuses = ", ".join(f"0x{status:04X}" for status in self.responses)
        end = "A-ABORT" if self.abort else "the association ends" if self.released or self.closes else ""
        kept = f"{len(self.kept)} kept" if self.kept else "nothing kept"
        return "; ".join(filter(None, (statuses, kept, end)))


def refused(fault: str, stream: bytes, *responses: int) -> SenderRow:
    """Return a row of which nothing is kept, and whose association goes on."""
    return SenderRow(fault, stream, responses, frozenset())


def aborted(fault: str, stream: bytes, abort: tuple[int, int] = INVALID, *kept: str) -> SenderRow:
    """Return a row that ends in an A-ABORT."""
    return SenderRow(fault, stream, (0x0000,) * len(kept), frozenset(kept), abort)


def left(fault: str, stream: bytes, *kept: str) -> SenderRow:
    """Return a row whose sender leaves without a word."""
    return SenderRow(fault, stream, (0x0000,) * len(kept), frozenset(kept), closes=True)


def command(
    uid: str | None = ONE.sop_instance_uid,
    context_id: int = STORAGE,
    *,
    sop_class: str | None = CT,
    message_id: int | None = 7,
    has_data_set: bool = True,
    **more: int,
) -> bytes:
    """Return the PDU of a command set; `more` are elements, as in `store_command`."""
    encoded = store_command(
        uid, sop_class=sop_class, message_id=message_id, has_data_set=has_data_set, **more
    )
    return command_pdu(encoded, context_id)


def an_object(number: int = 1, *, message_id: int = 7, **more: int) -> bytes:
    sent = made_object(number)
    request = store_command(sent.sop_instance_uid, message_id=message_id, **more)  # type: ignore[arg-type]
    return command_pdu(request, STORAGE) + data_pdu(sent.data_set, STORAGE)


def in_pieces(payload: bytes, is_command: int) -> bytes:
    last = len(payload) - 1
    return b"".join(
        p_data_tf(pdv(STORAGE, is_command | 2 * (at == last), payload[at : at + 1])) for at in range(last + 1)
    )


_COMMAND = store_command(ONE.sop_instance_uid)
_DATA = ONE.data_set
_BOTH = frozenset({ONE.path, TWO.path})
_PART_OF_DATA = command() + p_data_tf(pdv(STORAGE, 0, _DATA[:4000]))
#: Content Sequence, of undefined length, with an item.
_SEQUENCE_WITHOUT_END = struct.pack("<HH2sHLHHL", 0x40, 0xA730, b"SQ", 0, 0xFFFFFFFF, 0xFFFE, 0xE000, 0)
_PART_10 = bytes(128) + b"DICM" + struct.pack("<HH2sHL", 2, 0, b"UL", 4, 0) + _DATA

# fmt: off
FRAGMENTS = [
    SenderRow("a command set in single bytes", in_pieces(_COMMAND, 1) + data_pdu(_DATA, STORAGE)),
    SenderRow("a data set in single bytes", command() + in_pieces(_DATA[:-7790] + _DATA[-7790:], 0)),
    SenderRow("command and data set in one P-DATA-TF",
              p_data_tf(pdv(STORAGE, 3, _COMMAND), pdv(STORAGE, 2, _DATA))),
    SenderRow("two objects in one P-DATA-TF",
              p_data_tf(pdv(STORAGE, 3, _COMMAND), pdv(STORAGE, 2, _DATA),
                        pdv(STORAGE, 3, store_command(TWO.sop_instance_uid)), pdv(STORAGE, 2, TWO.data_set)),
              (0, 0), _BOTH),
    SenderRow("two objects without a wait for the response", an_object(1) + an_object(2), (0, 0), _BOTH),
    SenderRow("values without bytes", p_data_tf(pdv(STORAGE, 1, b"")) + command()
              + p_data_tf(pdv(STORAGE, 0, b"")) * 3 + data_pdu(_DATA, STORAGE)),
    SenderRow("a last fragment without bytes",
              command() + p_data_tf(pdv(STORAGE, 0, _DATA)) + p_data_tf(pdv(STORAGE, 2, b""))),
    SenderRow("reserved bits in the message control header",
              p_data_tf(pdv(STORAGE, 0xF3, _COMMAND), pdv(STORAGE, 0xF2, _DATA))),
    aborted("a P-DATA-TF without values", p_data_tf()),
    aborted("bytes after the last value", struct.pack(">BBL", 4, 0, 3) + b"abc"),
    aborted("a value without a header", struct.pack(">BBLLBB", 4, 0, 6, 1, STORAGE, 3)),
    aborted("presentation context 0", p_data_tf(pdv(0, 3, _COMMAND))),
    aborted("a presentation context of an even number", p_data_tf(pdv(2, 3, _COMMAND))),
    aborted("the data set in another context", command() + data_pdu(_DATA, ECHO)),
    aborted("a second command set before the data set", command() + command() + data_pdu(_DATA, STORAGE)),
    aborted("a C-ECHO within a data set",
            _PART_OF_DATA + command_pdu(store_command(None, x0100=0x30, has_data_set=False), ECHO)),
    aborted("the command set marked as data", p_data_tf(pdv(STORAGE, 2, _COMMAND))),
    aborted("the data set marked as command", command() + p_data_tf(pdv(STORAGE, 3, _DATA))),
    aborted("an A-ASSOCIATE-AC", struct.pack(">BBL", 2, 0, 4) + bytes(4), UNEXPECTED),
    aborted("an A-RELEASE-RP that nobody requested", struct.pack(">BBL", 6, 0, 4) + bytes(4), UNEXPECTED),
]

COMMANDS = [
    SenderRow("no Message ID", command(message_id=None) + data_pdu(_DATA, STORAGE)),
    aborted("a response in place of a request", command(x0100=0x8001, has_data_set=False)),
    aborted("no Command Field", command_pdu(element(0, 0x0110, b"\1\0"), STORAGE)),
    aborted("a command set of another group", command_pdu(element(8, 0x18, b"1.2"), STORAGE)),
    aborted("a command set that is cut off", command_pdu(_COMMAND[:-3], STORAGE)),
    SenderRow("Message ID 0", an_object(message_id=0)),
    SenderRow("the same Message ID twice", an_object(1) + an_object(2), (0, 0), _BOTH),
    SenderRow("an odd priority and a move originator", an_object(x0700=0x7777, x1031=9)),
    SenderRow("elements that the standard does not name", an_object(x5010=1, x9999=2)),
    SenderRow("a wrong group length",
              command_pdu(struct.pack("<HHLL", 0, 0, 4, 9999) + _COMMAND[12:], STORAGE)
              + data_pdu(_DATA, STORAGE)),
    SenderRow("no group length", command_pdu(_COMMAND[12:], STORAGE) + data_pdu(_DATA, STORAGE)),
    SenderRow("elements out of order",
              command_pdu(_COMMAND[-24:] + _COMMAND[12:-24], STORAGE) + data_pdu(_DATA, STORAGE)),
    SenderRow("UIDs padded with spaces",
              command_pdu(store_command(ONE.sop_instance_uid + " ", sop_class=CT + " "), STORAGE)
              + data_pdu(_DATA, STORAGE)),
    refused("no data set", command(has_data_set=False), 0xC000),
    refused("no Affected SOP Class UID", command(sop_class=None) + data_pdu(_DATA, STORAGE), 0xC000),
    refused("another class than that of the context, in command and data set",
            command("1.2.9", sop_class=MR) + data_pdu(_DATA, STORAGE), 0xC001),
    refused("an object in the context of C-ECHO", command(context_id=ECHO) + data_pdu(_DATA, ECHO), 0x0122),
    refused("a C-FIND", command(x0100=0x20, has_data_set=False), 0x0211),
    refused("a C-FIND with an identifier", command(x0100=0x20) + data_pdu(_DATA, STORAGE), 0x0211),
    refused("a C-MOVE", command(x0100=0x21, has_data_set=False), 0x0211),
    refused("an N-CREATE", command(x0100=0x140, has_data_set=False), 0x0211),
    refused("an N-EVENT-REPORT in the context of objects",
            command(x0100=0x100) + data_pdu(b"", STORAGE), 0x0211),
    refused("a C-ECHO with a data set",
            command(None, ECHO, sop_class=VERIFICATION, x0100=0x30) + data_pdu(bytes(10), ECHO), 0x0000),
    SenderRow("a C-CANCEL of nothing, and then an object",
              command(None, message_id=None, x0100=0xFFF, has_data_set=False) + an_object()),
    refused("a data set that stops within its pixels", command() + data_pdu(_DATA[:-100], STORAGE), 0xC003),
    refused("a data set that stops within a sequence",
            command() + data_pdu(_DATA[:-7812] + _SEQUENCE_WITHOUT_END, STORAGE), 0xC003),
    refused("a whole file with its preamble as data set", command() + data_pdu(_PART_10, STORAGE), 0xC000),
]

ENDINGS = [
    SenderRow("A-RELEASE-RQ, within a data set", _PART_OF_DATA + RELEASE, (), frozenset(), released=True),
    SenderRow("A-RELEASE-RQ, after a command set", command() + RELEASE, (), frozenset(), released=True),
    SenderRow("A-RELEASE-RQ twice, after an object", an_object() + RELEASE + RELEASE, (0,), released=True),
    SenderRow("an object after A-RELEASE-RQ", RELEASE + an_object(), (), frozenset(), released=True),
    left("A-ABORT, within a data set", _PART_OF_DATA + ABORT),
    left("A-ABORT, after a command set", command() + ABORT),
    left("the connection is closed, after a command set", command()),
    left("the connection is closed, within a data set", _PART_OF_DATA),
    left("the connection is closed, within a PDU", an_object()[:-100]),
    left("the connection is closed, before the response is read", an_object(), ONE.path),
]
# fmt: on

SENDER_ROWS = [*FRAGMENTS, *COMMANDS, *ENDINGS]
