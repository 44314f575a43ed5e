"""Items of A-ASSOCIATE PDUs (PS3.8 9.3.2): type, reserved byte, length of 16 bits, value. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator

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
