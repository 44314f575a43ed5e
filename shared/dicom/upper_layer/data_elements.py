"""The elements of a data set as bytes (PS3.5 7): explicit or implicit VR, little or big endian. Pure.

Values are not decoded: most are never used. Every length is held against the bytes that are there, since a
data set that is cut off must not pass for a shorter one. Nothing recurses, and the elements are counted, so
that hostile bytes cost little.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from shared.dicom.upper_layer.errors import MalformedDataSetError

Buffer = bytes | bytearray | memoryview

_UNDEFINED_LENGTH = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
#: Group of items and delimiters, which have no VR in any transfer syntax (PS3.5 7.5).
_ITEM_GROUP = 0xFFFE

#: VRs with a length of 16 and of 32 bits in explicit VR (PS3.5 tables 7.1-1 and 7.1-2).
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_VRS = _SHORT_VRS | _LONG_VRS
#: What some devices write where they do not know the VR; the length has 16 bits.
_SHORT_OR_UNKNOWN_VRS = _SHORT_VRS | {b"??", b"  ", b"\0\0"}

#: Elements of one data set, those of items included; no object has so many before its pixels.
MAX_ELEMENTS = 200_000
#: Sequences within sequences in what is read in full; no response to a query comes near.
MAX_DEPTH = 16

_HEADER_BYTES, _LONG_HEADER_BYTES = 8, 12


class _Structs(NamedTuple):
    #: Group, element, and a length of 32 bits.
    implicit: struct.Struct
    #: Group, element, VR, and a length of 16 bits.
    explicit: struct.Struct
    long: struct.Struct


_LITTLE_ENDIAN = _Structs(struct.Struct("<HHL"), struct.Struct("<HH2sH"), struct.Struct("<L"))
_BIG_ENDIAN = _Structs(struct.Struct(">HHL"), struct.Struct(">HH2sH"), struct.Struct(">L"))


class TruncatedDataSetError(MalformedDataSetError):
    """The bytes end within an element; more of them may help."""

    def __init__(self, tag: int | None = None, at: int = 0) -> None:
        """Name the element that has no end, if its tag is there, and where that of the top level begins."""
        shown = "" if tag is None else f" ({tag >> 16:04X},{tag & 0xFFFF:04X})"
        super().__init__(f"ends within an element{shown}")
        self.at = at


class BrokenSequenceError(MalformedDataSetError):
    """Something else stands where an item or the end of a sequence is due."""

    def __init__(self, tag: int | None = None) -> None:
        """Name the sequence, if its tag is known."""
        shown = "" if tag is None else f" ({tag >> 16:04X},{tag & 0xFFFF:04X})"
        super().__init__(f"has a sequence{shown} that is not made of items")
        self.tag = tag


def _has_long_length(vr: bytes) -> bool:
    # A VR that a later edition adds has a length of 32 bits (PS3.5 6.2, note).
    return vr in _LONG_VRS or (vr.isalpha() and vr.isupper())


def starts_explicit(data: Buffer) -> bool:
    """Return whether the first element of a data set names its VR."""
    return bytes(data[4:6]) in _VRS


class ElementWalker:
    """One walk over the top level of a data set.

    Unless `implicit` is set, whether the VR is explicit is read from the first element: some peers encode
    otherwise than negotiated.
    """

    def __init__(
        self,
        data: Buffer,
        *,
        implicit: bool | None = None,
        big_endian: bool = False,
        max_elements: int = MAX_ELEMENTS,
        max_depth: int | None = MAX_DEPTH,
        padded: bool = False,
        odd_padded: bool = False,
    ) -> None:
        """Prepare a walk.

        `padded`: a few NULs at the end, too short for an element, are none. `odd_padded`: a byte that its
        length does not count follows each value of odd length, as some devices write them.
        """
        self._data = data
        self._end = len(data)
        self._structs = _BIG_ENDIAN if big_endian else _LITTLE_ENDIAN
        self.implicit = not starts_explicit(data) if implicit is None else implicit
        self._max_elements = max_elements
        self._max_depth = max_depth
        self._padded = padded
        self._odd_padding = int(odd_padded)
        self._count = 0

    def walk(self) -> Iterator[tuple[int, bytes, int, int]]:
        """Yield tag, VR, begin and end of the value of each element.

        The VR is empty in implicit VR, but SQ for what has an undefined length; its delimiter is left out.

        Raises:
            MalformedDataSetError: lengths do not fit the bytes, or there are too many elements.
        """
        at, end, data, implicit, odd_padding = 0, self._end, self._data, self.implicit, self._odd_padding
        unpack = self._structs.implicit.unpack_from
        for _ in range(self._max_elements):
            if at >= end or (self._padded and end - at < _HEADER_BYTES and not any(data[at:end])):
                return
            if implicit:  # what most peers speak, and so without a call
                start = at + _HEADER_BYTES
                if start > end:
                    raise TruncatedDataSetError(None, at)
                group, number, length = unpack(data, at)
                tag, vr = group << 16 | number, b""
            else:
                tag, vr, length, start = self._header(at, implicit, self._structs)
            if length == _UNDEFINED_LENGTH:
                try:
                    at = self._after_undefined(tag, start, vr)
                except TruncatedDataSetError:
                    raise TruncatedDataSetError(tag, at) from None
                yield tag, b"SQ", start, at - _HEADER_BYTES
                continue
            if start + length > end:
                raise TruncatedDataSetError(tag, at)
            at = start + length
            yield tag, vr, start, at
            at += length & odd_padding
        if at < end:
            raise self._too_many()

    def _too_many(self) -> MalformedDataSetError:
        return MalformedDataSetError(f"has more than {self._max_elements} elements")

    def _header(self, at: int, implicit: bool, structs: _Structs) -> tuple[int, bytes, int, int]:
        """Return tag, VR and length of the element at a place, and the place of its value."""
        self._count += 1
        if self._count > self._max_elements:
            raise self._too_many()
        start = at + _HEADER_BYTES
        if start > self._end:
            raise TruncatedDataSetError(None, at)
        if implicit:
            group, number, length = structs.implicit.unpack_from(self._data, at)
            return group << 16 | number, b"", length, start
        group, number, vr, length = structs.explicit.unpack_from(self._data, at)
        if group == _ITEM_GROUP:
            return group << 16 | number, b"", structs.long.unpack_from(self._data, at + 4)[0], start
        if vr in _SHORT_OR_UNKNOWN_VRS:
            return group << 16 | number, vr, length, start
        if not _has_long_length(vr):
            raise MalformedDataSetError("has an element without a value representation")
        start = at + _LONG_HEADER_BYTES
        if start > self._end:
            raise TruncatedDataSetError(group << 16 | number, at)
        return group << 16 | number, vr, structs.long.unpack_from(self._data, at + 8)[0], start

    def _after_undefined(self, tag: int, at: int, vr: bytes) -> int:
        """Return the place after a sequence or item of undefined length that begins here (PS3.5 7.5)."""
        outer = tag
        first = _ITEM_END if tag == _ITEM else _SEQUENCE_END
        open_ends = [(first, *self._encoding_within(vr, self.implicit, self._structs))]
        while open_ends:
            expected, implicit, structs = open_ends[-1]
            tag, vr, length, at = self._header(at, implicit, structs)
            if tag == expected:
                open_ends.pop()
            elif (expected == _SEQUENCE_END) != (tag == _ITEM):
                raise BrokenSequenceError(outer)
            elif length != _UNDEFINED_LENGTH:
                at += length + (length & self._odd_padding)
                if at > self._end:
                    raise TruncatedDataSetError
            elif tag == _ITEM:
                open_ends.append((_ITEM_END, *self._encoding_of_item(at, implicit, structs)))
            elif self._max_depth is not None and len(open_ends) >= 2 * self._max_depth:
                raise MalformedDataSetError("has sequences within sequences without end")
            else:
                open_ends.append((_SEQUENCE_END, *self._encoding_within(vr, implicit, structs)))
        return at

    @staticmethod
    def _encoding_within(vr: bytes, implicit: bool, structs: _Structs) -> tuple[bool, _Structs]:
        # Within UN of undefined length, all is implicit VR little endian (PS3.5 6.2.2, note 2).
        return (True, _LITTLE_ENDIAN) if vr == b"UN" else (implicit, structs)

    def _encoding_of_item(self, at: int, implicit: bool, structs: _Structs) -> tuple[bool, _Structs]:
        """Return how the item whose content begins here is encoded: some devices mix both forms."""
        if self.implicit:
            return implicit, structs
        vr = bytes(self._data[at + 4 : at + 6])
        if implicit:
            return (False, self._structs) if vr in _VRS else (implicit, structs)
        return vr not in _SHORT_OR_UNKNOWN_VRS and not _has_long_length(vr), structs


def elements_of(data: bytes) -> dict[int, bytes]:
    """Return the values of the top level by tag (group * 65536 + element), without those of sequences.

    Raises:
        MalformedDataSetError: lengths do not fit the bytes.
    """
    elements = {}
    for tag, vr, start, stop in ElementWalker(data, padded=True).walk():
        if vr != b"SQ":
            elements[tag] = data[start:stop]
    return elements


def sequence_of(data: bytes, wanted: int) -> list[dict[int, bytes]]:
    """Return the elements of each item of a sequence of the top level; empty if it is not there.

    Raises:
        MalformedDataSetError: lengths do not fit the bytes.
    """
    items: list[dict[int, bytes]] = []
    walker = ElementWalker(data)
    for tag, _, start, stop in walker.walk():
        if tag == wanted:
            contents = _items(data[start:stop], implicit=walker.implicit)
            items = [elements_of(content) for content in contents]
    return items


def _items(sequence: bytes, *, implicit: bool) -> Iterator[bytes]:
    """Yield the content of each item of a sequence."""
    for tag, _, start, stop in ElementWalker(sequence, implicit=implicit).walk():
        if tag != _ITEM:
            raise BrokenSequenceError
        yield sequence[start:stop]
