"""Who an object is: its UIDs, read from the raw bytes of a data set; pure, and bounded for hostile input.

Only the elements up to Series Instance UID (0020,000E) are walked; pixels are never reached and no value but
the four UIDs is looked at. Encodings are those of PS3.5 chapter 7 and annex A.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from shared.errors import InvalidInputError
from shared.identifiers import Uid, parse_uid

Buffer = bytes | bytearray | memoryview

_BIG_ENDIAN = "1.2.840.10008.1.2.2"
#: Deflated Explicit VR Little Endian, and the two JPIP Referenced Deflate syntaxes.
_DEFLATED = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})

_WANTED = {
    0x0008_0016: "sop_class_uid",
    0x0008_0018: "sop_instance_uid",
    0x0020_000D: "study_instance_uid",
    0x0020_000E: "series_instance_uid",
}
_LAST_TAG = max(_WANTED)

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
_DELIMITERS = frozenset({_ITEM, _ITEM_END, _SEQUENCE_END})
_UNDEFINED = 0xFFFF_FFFF

#: VRs whose length field has 16 bits (PS3.5 table 7.1-2); a later VR has 32 bits.
_SHORT = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_KNOWN = _SHORT | _LONG
#: What some devices write where they do not know the VR; the length has 16 bits.
_UNKNOWN_SHORT = frozenset((b"??", b"  ", b"\0\0"))

#: More elements than this before the UIDs is an attack, or at least no object.
MAX_ELEMENTS = 200_000
#: A deflated data set is inflated in steps up to this; a bomb is not followed further.
_INFLATE_STEPS = (1 << 20, 1 << 23, 1 << 26)
#: Longest value read as a UID: 64 characters and generous padding.
_MAX_UID_BYTES = 128


@dataclass(frozen=True, slots=True)
class Identity:
    """The UIDs of one object."""

    sop_class_uid: Uid
    sop_instance_uid: Uid
    study_instance_uid: Uid
    series_instance_uid: Uid


class _TruncatedError(InvalidInputError):
    """The data end before the UIDs were found; more of the stream may help."""


def read_identity(data_set: Buffer, transfer_syntax_uid: str) -> Identity:
    """Read the UIDs of a data set that is encoded in the transfer syntax.

    Raises:
        InvalidInputError: it cannot be read as a data set, or a UID is missing or wrong; names which.
    """
    if transfer_syntax_uid in _DEFLATED:
        return _identity(_find_in_deflated(data_set))
    order = ">" if transfer_syntax_uid == _BIG_ENDIAN else "<"
    return _identity(_Walk(memoryview(data_set), order).find())


def _identity(found: dict[str, bytes]) -> Identity:
    return Identity(**{name: _uid(name, found.get(name)) for name in _WANTED.values()})


def _uid(name: str, value: bytes | None) -> Uid:
    if value is None:
        raise InvalidInputError(name, "is missing from the data set")
    return parse_uid(name, value.decode("latin-1"))


def _find_in_deflated(data_set: Buffer) -> dict[str, bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = bytearray()
    rest: Buffer = data_set
    for size in _INFLATE_STEPS:
        try:
            inflated += inflater.decompress(rest, size - len(inflated))
        except zlib.error:
            raise InvalidInputError("data_set", "cannot be inflated") from None
        rest = inflater.unconsumed_tail
        try:
            return _Walk(memoryview(bytes(inflated)), "<").find()
        except _TruncatedError:
            if inflater.eof or not rest:
                raise
    raise InvalidInputError("data_set", "has no UIDs where they belong")


class _Walk:
    """One walk over the top level of a data set, without recursion."""

    def __init__(self, data: memoryview, order: str) -> None:
        self._data = data
        self._order = order
        self._elements = 0
        # Some senders encode otherwise than negotiated: readers look at the first VR, and so do we.
        self._implicit = bytes(data[4:6]) not in _KNOWN

    def find(self) -> dict[str, bytes]:
        """Return the wanted values that are there."""
        found: dict[str, bytes] = {}
        at, end = 0, len(self._data)
        while at < end and len(found) < len(_WANTED):
            tag, vr, length, at = self._header(at, self._order, implicit=self._implicit)
            if tag > _LAST_TAG:
                break
            if length == _UNDEFINED:
                at = self._skip_undefined(at, vr)
                continue
            name = _WANTED.get(tag)
            if name and length <= _MAX_UID_BYTES:
                found[name] = bytes(self._data[at : at + length])
            elif name:
                raise InvalidInputError(name, "is too long to be a UID")
            at = self._skip(at, length)
        return found

    def _skip(self, at: int, length: int) -> int:
        if at + length > len(self._data):
            raise _TruncatedError("data_set", "ends within an element")
        return at + length

    def _header(self, at: int, order: str, *, implicit: bool) -> tuple[int, bytes, int, int]:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise InvalidInputError("data_set", f"has more than {MAX_ELEMENTS} elements before its UIDs")
        body = self._skip(at, 8)
        group, element, length = struct.unpack_from(order + "HHL", self._data, at)
        tag = group << 16 | element
        if implicit or tag in _DELIMITERS:
            return tag, b"", length, body
        vr = bytes(self._data[at + 4 : at + 6])
        if vr in _SHORT or vr in _UNKNOWN_SHORT:
            return tag, vr, struct.unpack_from(order + "H", self._data, at + 6)[0], body
        if not (vr.isalpha() and vr.isupper()):
            raise InvalidInputError("data_set", "has an element without a value representation")
        body = self._skip(at, 12)
        return tag, vr, struct.unpack_from(order + "L", self._data, at + 8)[0], body

    def _skip_undefined(self, at: int, vr: bytes) -> int:
        """Return the position after a sequence of undefined length that begins here (PS3.5 7.5)."""
        # Within UN of undefined length, everything is Implicit VR Little Endian (PS3.5 6.2.2, note 2).
        implicit, order = (True, "<") if vr == b"UN" else (self._implicit, self._order)
        open_ends = [(_SEQUENCE_END, implicit, order)]
        while open_ends:
            expected, implicit, order = open_ends[-1]
            tag, vr, length, at = self._header(at, order, implicit=implicit)
            if tag == expected:
                open_ends.pop()
            elif (expected == _SEQUENCE_END) != (tag == _ITEM):
                raise InvalidInputError("data_set", "has a sequence that is not made of items")
            elif length != _UNDEFINED:
                at = self._skip(at, length)
            elif tag == _ITEM:
                open_ends.append((_ITEM_END, implicit, order))
            elif vr == b"UN":
                open_ends.append((_SEQUENCE_END, True, "<"))
            else:
                open_ends.append((_SEQUENCE_END, implicit, order))
        return at
