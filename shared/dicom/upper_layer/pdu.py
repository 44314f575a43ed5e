"""PDUs of the DICOM upper layer (PS3.8 9.3) as bytes: framing and P-DATA-TF. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from shared.dicom.upper_layer.errors import ProtocolError

APPLICATION_CONTEXT_ITEM = 0x10
CONTEXT_RQ_ITEM, CONTEXT_AC_ITEM = 0x20, 0x21
ABSTRACT_SYNTAX_ITEM, TRANSFER_SYNTAX_ITEM = 0x30, 0x40
USER_INFORMATION_ITEM = 0x50
MAXIMUM_LENGTH_ITEM = 0x51
IMPLEMENTATION_CLASS_ITEM, IMPLEMENTATION_VERSION_ITEM = 0x52, 0x55
ROLE_SELECTION_ITEM = 0x54
EXTENDED_NEGOTIATION_ITEM = 0x56

#: DICOM application context (PS3.7 A.2.1).
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
PROTOCOL_VERSION = 1
#: Protocol version, reserved, called and calling AE title, reserved (PS3.8 tables 9-11 and 9-17).
FIXED_BYTES = 68

_ITEM = struct.Struct(">BBH")


def item(kind: int, value: bytes) -> bytes:
    """Return an item."""
    return _ITEM.pack(kind, 0, len(value)) + value


def items_of(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and value of each item.

    Raises:
        ProtocolError: lengths do not fit.
    """
    at = 0
    while at < len(data):
        if len(data) - at < _ITEM.size:
            raise ProtocolError("an item of an A-ASSOCIATE is cut off")
        kind, _, length = _ITEM.unpack_from(data, at)
        at += _ITEM.size
        if at + length > len(data):
            raise ProtocolError("the length of an item of an A-ASSOCIATE does not fit")
        yield kind, data[at : at + length]
        at += length


A_ASSOCIATE_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ = 0x01, 0x02, 0x03
P_DATA_TF = 0x04
A_RELEASE_RQ, A_RELEASE_RP, A_ABORT = 0x05, 0x06, 0x07

#: Message Control Header (PS3.8 E.2): bits of a fragment.
COMMAND, LAST = 0x01, 0x02

#: No PDU that is longer is read: eight times what we announce, for peers that ignore it.
MAX_PDU_BYTES = 1 << 20

#: Length of PDU type, reserved byte and PDU length (PS3.8 table 9-22).
HEADER_BYTES = 6

RELEASE_RQ = struct.pack(">BBLL", A_RELEASE_RQ, 0, 4, 0)
RELEASE_RP = struct.pack(">BBLL", A_RELEASE_RP, 0, 4, 0)
#: Source: service-user (PS3.8 9.3.8).
ABORT = struct.pack(">BBLL", A_ABORT, 0, 4, 0)

#: Sources of an A-ABORT (PS3.8 table 9-26), and reasons of a service-provider.
SERVICE_USER, SERVICE_PROVIDER = 0, 2
REASON_NOT_SPECIFIED, UNRECOGNIZED_PDU, UNEXPECTED_PDU, INVALID_PARAMETER = 0, 1, 2, 6

_HEADER = struct.Struct(">BBL")
_PDV = struct.Struct(">LBB")
#: Presentation context ID and message control header, which the length of a PDV counts.
_PDV_EXTRA_BYTES = 2
#: Length of a PDV item and what it counts beside the fragment.
_PDV_OVERHEAD_BYTES = 6
#: Length of fragments towards a peer that announces no limit.
_UNLIMITED_BYTES = 1 << 17


def a_abort(source: int, reason: int = REASON_NOT_SPECIFIED) -> bytes:
    """Return an A-ABORT PDU (PS3.8 9.3.8); the reason counts where the source is the service-provider."""
    return struct.pack(">BBLBBBB", A_ABORT, 0, 4, 0, 0, source, reason)


_ABORT_SOURCES = {SERVICE_USER: "service user", SERVICE_PROVIDER: "service provider"}
_ABORT_REASONS = {
    REASON_NOT_SPECIFIED: "not specified",
    UNRECOGNIZED_PDU: "unrecognized PDU",
    UNEXPECTED_PDU: "unexpected PDU",
    4: "unrecognized PDU parameter",
    5: "unexpected PDU parameter",
    INVALID_PARAMETER: "invalid PDU parameter value",
}


def abort_reason(body: bytes) -> str:
    """Return source and reason of an A-ABORT in words, from its variable field (PS3.8 table 9-26)."""
    if len(body) < 4:  # noqa: PLR2004 - PS3.8 table 9-26
        return "A-ABORT"
    source, reason = body[2], body[3]
    text = f"A-ABORT; source: {_ABORT_SOURCES.get(source, source)}"
    if source == SERVICE_PROVIDER:
        text += f"; reason: {_ABORT_REASONS.get(reason, reason)}"
    return text


class Pdv(NamedTuple):
    """One presentation data value: a fragment of a command set or data set."""

    context_id: int
    header: int
    fragment: bytes


class PduSplitter:
    """Cuts what arrives on a connection into PDUs; holds at most one that is not complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def in_progress(self) -> bool:
        """Whether a PDU has begun that is not complete."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield type and variable field of each PDU that is complete with these bytes.

        Every call has to be followed to its end before the next one.

        Raises:
            ProtocolError: what follows is no PDU, or a longer one than is taken.
        """
        buffer = self._buffer
        buffer += data
        at = 0
        try:
            while len(buffer) - at >= HEADER_BYTES:
                kind, _, length = _HEADER.unpack_from(buffer, at)
                if not A_ASSOCIATE_RQ <= kind <= A_ABORT:
                    raise ProtocolError(f"PDU type {kind:02X}H is none of the standard")
                if length > MAX_PDU_BYTES:
                    raise ProtocolError(f"a PDU of {length} bytes is longer than any that is taken")
                end = at + HEADER_BYTES + length
                if end > len(buffer):
                    return
                body = bytes(buffer[at + HEADER_BYTES : end])
                at = end
                yield kind, body
        finally:
            del buffer[:at]


def pdvs_of(body: bytes) -> Iterator[Pdv]:
    """Yield the presentation data values of a P-DATA-TF PDU (PS3.8 9.3.5); some peers send PDUs without one.

    Raises:
        ProtocolError: lengths do not fit.
    """
    at, end = 0, len(body)
    while at < end:
        if end - at < _PDV_OVERHEAD_BYTES:
            raise ProtocolError("a presentation data value is cut off")
        length, context_id, header = _PDV.unpack_from(body, at)
        stop = at + 4 + length
        if length < _PDV_EXTRA_BYTES or stop > end:
            raise ProtocolError("the length of a presentation data value does not fit its PDU")
        yield Pdv(context_id, header, body[at + _PDV_OVERHEAD_BYTES : stop])
        at = stop


def p_data(context_id: int, payload: bytes, *, is_command: bool, maximum_length: int) -> bytes:
    """Return the P-DATA-TF PDUs of a command set or data set; a `maximum_length` of 0 means no limit.

    The maximum length counts the variable field of the PDU (PS3.8 D.1.1).
    """
    size = max((maximum_length or _UNLIMITED_BYTES) - _PDV_OVERHEAD_BYTES, 1)
    kind = COMMAND if is_command else 0
    pdus = bytearray()
    for start in range(0, max(len(payload), 1), size):
        header = kind | (LAST if start + size >= len(payload) else 0)
        pdus += p_data_tf(Pdv(context_id, header, payload[start : start + size]))
    return bytes(pdus)


def p_data_tf(pdv: Pdv) -> bytes:
    """Return a P-DATA-TF PDU with one presentation data value."""
    size = len(pdv.fragment)
    return (
        _HEADER.pack(P_DATA_TF, 0, size + _PDV_OVERHEAD_BYTES)
        + _PDV.pack(size + _PDV_EXTRA_BYTES, pdv.context_id, pdv.header)
        + pdv.fragment
    )


def fragment_bytes(maximum_length: int) -> int:
    """Return the length of a fragment for a peer's maximum length; 0 means no limit, and we have one."""
    return max(min(maximum_length or _UNLIMITED_BYTES, _UNLIMITED_BYTES) - _PDV_OVERHEAD_BYTES, 1)
