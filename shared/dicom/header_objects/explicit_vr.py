"""A data set as explicit VR little endian; values stay byte for byte but for their byte order (PS3.5 7)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from shared.dicom.transfer_syntaxes import BIG_ENDIAN
from shared.dicom.upper_layer.data_elements import BrokenSequenceError, ElementWalker
from shared.dicom.upper_layer.errors import MalformedDataSetError

#: VRs with a length of 32 bits (PS3.5 table 7.1-1), and what a length of 16 bits can hold.
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT_MOST = 0xFFFF
#: Bytes of one value of a VR that depends on the byte order.
_WIDTHS = {
    b"US": 2, b"SS": 2, b"OW": 2, b"AT": 2,
    b"UL": 4, b"SL": 4, b"FL": 4, b"OF": 4, b"OL": 4,
    b"FD": 8, b"OD": 8, b"SV": 8, b"UV": 8, b"OV": 8,
}  # fmt: skip
#: Dictionary VRs that depend on other elements (PS3.5 annex A): `US or SS` is one of Pixel Representation.
_AMBIGUOUS = {"OB or OW": b"OW", "US or OW": b"OW", "US or SS or OW": b"OW"}
_PIXEL_REPRESENTATION = 0x0028_0103
_ITEM = 0xFFFE_E000
_DELIMITERS, _DELIMITER_BYTES = (b"\xfe\xff\xdd\xe0", b"\xfe\xff\x0d\xe0"), 8
#: Sequences within sequences.
_MAX_DEPTH = 32
_BLOCK_FIRST, _BLOCK_LAST = 0x10, 0xFF


@dataclass(frozen=True, slots=True)
class _Encoding:
    implicit: bool
    big_endian: bool
    signed: bool = False


def explicit_elements(data_set: bytes, transfer_syntax_uid: str) -> Iterator[tuple[int, bytes]]:
    """Yield tag and bytes of each element of the outermost level; group lengths are left out.

    Elements that are explicit VR little endian already are not touched.

    Raises:
        MalformedDataSetError: lengths do not fit the bytes.
    """
    big_endian = transfer_syntax_uid == BIG_ENDIAN
    walker = ElementWalker(data_set, big_endian=big_endian, max_depth=_MAX_DEPTH, padded=True)
    if not walker.implicit and not big_endian:
        yield from _untouched(walker, data_set)
        return
    encoding = _Encoding(walker.implicit, big_endian, _is_signed(data_set, big_endian=big_endian))
    yield from _elements(data_set, encoding, 0)


def _untouched(walker: ElementWalker, data_set: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    for tag, _, _, stop in walker.walk():
        # The delimiter of an undefined length belongs to it, and begins no other element.
        end = stop + _DELIMITER_BYTES if data_set[stop : stop + 4] in _DELIMITERS else stop
        if tag & 0xFFFF:
            yield tag, data_set[at:end]
        at = end


def _is_signed(data_set: bytes, *, big_endian: bool) -> bool:
    for tag, _, start, _ in ElementWalker(
        data_set, big_endian=big_endian, max_depth=_MAX_DEPTH, padded=True
    ).walk():
        if tag >= _PIXEL_REPRESENTATION:
            return tag == _PIXEL_REPRESENTATION and any(data_set[start : start + 2])
    return False


def _elements(data: bytes, encoding: _Encoding, depth: int) -> Iterator[tuple[int, bytes]]:
    if depth > _MAX_DEPTH:
        raise MalformedDataSetError("has sequences within sequences without end")
    walker = ElementWalker(
        data, implicit=encoding.implicit, big_endian=encoding.big_endian, max_depth=_MAX_DEPTH, padded=True
    )
    for tag, named, start, stop in walker.walk():
        if tag & 0xFFFF == 0:
            continue
        value = data[start:stop]
        vr = named or _vr_of(tag, signed=encoding.signed)
        if vr == b"SQ":
            value = b"".join(_items(value, encoding, depth))
        elif encoding.big_endian:
            value = _swapped(value, _WIDTHS.get(vr, 1))
        yield tag, _element(tag, vr, value)


def _items(sequence: bytes, encoding: _Encoding, depth: int) -> Iterator[bytes]:
    walker = ElementWalker(
        sequence,
        implicit=encoding.implicit,
        big_endian=encoding.big_endian,
        max_depth=_MAX_DEPTH,
        padded=True,
    )
    for tag, _, start, stop in walker.walk():
        if tag != _ITEM:
            raise BrokenSequenceError
        content = b"".join(element for _, element in _elements(sequence[start:stop], encoding, depth + 1))
        yield struct.pack("<HHL", _ITEM >> 16, _ITEM & 0xFFFF, len(content)) + content


def _element(tag: int, vr: bytes, value: bytes) -> bytes:
    group, number = tag >> 16, tag & 0xFFFF
    if vr not in _LONG_VRS and len(value) > _SHORT_MOST:
        vr = b"UN"  # PS3.5 6.2.2, note: what is too long for its VR
    if vr in _LONG_VRS:
        return struct.pack("<HH2sHL", group, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


def _vr_of(tag: int, *, signed: bool) -> bytes:
    group, number = tag >> 16, tag & 0xFFFF
    if group % 2:
        return b"LO" if _BLOCK_FIRST <= number <= _BLOCK_LAST else b"UN"
    # Loaded when it is needed: most objects name their VRs.
    from pydicom.datadict import dictionary_VR  # noqa: PLC0415

    try:
        vr = dictionary_VR(tag)
    except KeyError:
        return b"UN"
    if vr == "US or SS":
        return b"SS" if signed else b"US"
    return _AMBIGUOUS.get(vr) or vr.encode("ascii")


def _swapped(value: bytes, width: int) -> bytes:
    if width == 1 or len(value) % width:
        return value
    swapped = bytearray(len(value))
    for place in range(width):
        swapped[place::width] = value[width - 1 - place :: width]
    return bytes(swapped)
