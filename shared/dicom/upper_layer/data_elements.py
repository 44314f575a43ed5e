"""The elements of a data set as bytes (PS3.5 7), implicit or explicit VR little endian. Pure.

Values are not decoded: most are never looked at. Every length is held against the bytes that are there, since
a data set that is cut off must not pass for one that says less.
"""

from __future__ import annotations

import struct

from shared.dicom.upper_layer.errors import MalformedDataSetError

_UNDEFINED_LENGTH = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

#: VRs with a length of 32 bits in explicit VR (PS3.5 table 7.1-1).
_LONG_VRS = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)
_SHORT_VRS = frozenset(
    {
        *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT"),
        *(b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
    }
)
_VRS = _LONG_VRS | _SHORT_VRS

#: Sequences within sequences that are gone into; no answer to a query comes near.
_DEEPEST = 16

_IMPLICIT = struct.Struct("<HHL")
_SHORT = struct.Struct("<H")
_LONG = struct.Struct("<L")
_TAG_BYTES = 8


def elements_of(data: bytes, *, implicit: bool) -> dict[int, bytes]:
    """Return the values of the top level by tag (group * 65536 + element), without those of sequences.

    A peer that encodes in the other VR than it has agreed to is understood.

    Raises:
        MalformedDataSetError: lengths do not fit the bytes.
    """
    implicit = _is_implicit(data, agreed=implicit)
    elements: dict[int, bytes] = {}
    at, end = 0, len(data)
    while at < end:
        tag, length, at, is_sequence = _head(data, at, end, implicit=implicit)
        if length == _UNDEFINED_LENGTH:
            at = _after_sequence(data, at, end, implicit=implicit, depth=0)
            continue
        stop = at + length
        if stop > end:
            raise MalformedDataSetError("an element is shorter than it says")
        if not is_sequence:
            elements[tag] = data[at:stop]
        at = stop
    return elements


def sequence_of(data: bytes, wanted: int, *, implicit: bool) -> list[dict[int, bytes]]:
    """Return the elements of each item of a sequence of the top level; empty if it is not there.

    Raises:
        MalformedDataSetError: lengths do not fit the bytes.
    """
    implicit = _is_implicit(data, agreed=implicit)
    items: list[dict[int, bytes]] = []
    at, end = 0, len(data)
    while at < end:
        tag, length, at, _ = _head(data, at, end, implicit=implicit)
        undefined = length == _UNDEFINED_LENGTH
        if undefined:
            stop = _after_sequence(data, at, end, implicit=implicit, depth=0)
        else:
            stop = _within(at + length, end)
        if tag == wanted:
            items = _items(data, at, stop - _TAG_BYTES if undefined else stop, implicit=implicit)
        at = stop
    return items


def _items(data: bytes, at: int, end: int, *, implicit: bool) -> list[dict[int, bytes]]:
    """Return the items of a sequence that fills these bytes, without its delimiter."""
    items = []
    while at < end:
        tag, length, at, _ = _head(data, at, end, implicit=True)
        if tag != _ITEM:
            raise MalformedDataSetError("something other than an item in a sequence")
        undefined = length == _UNDEFINED_LENGTH
        if undefined:
            stop = _after_item(data, at, end, implicit=implicit, depth=0)
        else:
            stop = _within(at + length, end)
        content = data[at : stop - _TAG_BYTES if undefined else stop]
        items.append(elements_of(content, implicit=implicit))
        at = stop
    return items


def _is_implicit(data: bytes, *, agreed: bool) -> bool:
    """Tell how a data set is encoded; a peer may do otherwise than it has agreed to."""
    first_vr = data[4:6]
    if agreed and first_vr in _VRS:
        return False
    return agreed or bool(data and first_vr not in _VRS)


def _head(data: bytes, at: int, end: int, *, implicit: bool) -> tuple[int, int, int, bool]:
    """Return tag, length, the place of the value, and whether it is known to be a sequence."""
    if end - at < _TAG_BYTES:
        raise MalformedDataSetError("an element is cut off")
    group, number, length = _IMPLICIT.unpack_from(data, at)
    tag = group << 16 | number
    if implicit or group == 0xFFFE:  # noqa: PLR2004 - items have no VR (PS3.5 7.5)
        return tag, length, at + 8, False
    vr = data[at + 4 : at + 6]
    if vr in _SHORT_VRS:
        return tag, _SHORT.unpack_from(data, at + 6)[0], at + 8, False
    if vr not in _LONG_VRS or end - at < 12:  # noqa: PLR2004 - PS3.5 table 7.1-1
        raise MalformedDataSetError("an element without a value representation")
    return tag, _LONG.unpack_from(data, at + 8)[0], at + 12, vr == b"SQ"


def _after_sequence(data: bytes, at: int, end: int, *, implicit: bool, depth: int) -> int:
    """Return the place after a sequence of undefined length (PS3.5 7.5.2)."""
    if depth >= _DEEPEST:
        raise MalformedDataSetError("sequences within sequences without end")
    while True:
        tag, length, at, _ = _head(data, at, end, implicit=True)
        if tag == _SEQUENCE_END:
            return at
        if tag != _ITEM:
            raise MalformedDataSetError("something other than an item in a sequence")
        if length == _UNDEFINED_LENGTH:
            at = _after_item(data, at, end, implicit=implicit, depth=depth)
        else:
            at = _within(at + length, end)


def _after_item(data: bytes, at: int, end: int, *, implicit: bool, depth: int) -> int:
    """Return the place after an item of undefined length (PS3.5 7.5.2)."""
    while True:
        tag, length, at, _ = _head(data, at, end, implicit=implicit)
        if tag == _ITEM_END:
            return at
        if length == _UNDEFINED_LENGTH:
            at = _after_sequence(data, at, end, implicit=implicit, depth=depth + 1)
        else:
            at = _within(at + length, end)


def _within(place: int, end: int) -> int:
    if place > end:
        raise MalformedDataSetError("an element is shorter than it says")
    return place
