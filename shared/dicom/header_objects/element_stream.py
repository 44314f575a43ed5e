"""Follows the elements of a data set as its bytes come (PS3.5 7): nothing of their values is kept."""

from __future__ import annotations

import struct

from shared.dicom.transfer_syntaxes import BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

_UNDEFINED_LENGTH = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_ITEM_GROUP = 0xFFFE
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_VRS = _SHORT_VRS | _LONG_VRS
#: What some devices write where they do not know the VR.
_NO_VRS = frozenset({b"??", b"  ", b"\0\0"})

_SHORT_HEADER_BYTES, _LONG_HEADER_BYTES = 8, 12
#: Sequences within sequences.
_MAX_DEPTH = 64


class ElementStream:
    """Follows the elements of one data set."""

    def __init__(self, transfer_syntax_uid: str) -> None:
        self._implicit = transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN
        order = ">" if transfer_syntax_uid == BIG_ENDIAN else "<"
        self._tag = struct.Struct(f"{order}HH")
        self._short = struct.Struct(f"{order}H")
        self._long = struct.Struct(f"{order}L")
        self._head = bytearray()
        #: Bytes of a value that are still to come.
        self._skipped = 0
        #: Delimiters of what has an undefined length, and whether implicit VR holds within.
        self._open: list[tuple[int, bool]] = []
        self._at_begin_of_item = False
        self._broken = False

    @property
    def whole(self) -> bool:
        """Whether the data set may end here; a few NULs at its end are padding."""
        padded = not any(self._head)
        return not self._broken and self._skipped == 0 and not self._open and padded

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        at, end = 0, len(data)
        while at < end and not self._broken:
            if self._skipped:
                step = min(self._skipped, end - at)
                self._value(data[at : at + step])
                self._skipped -= step
                at += step
                continue
            wanted = self._header_bytes() - len(self._head)
            self._head += data[at : at + wanted]
            at += wanted
            if len(self._head) >= self._header_bytes():
                self._take_header()

    def _element(self, tag: int, head: bytes, *, outermost: bool) -> None:
        """Take the tag, VR and length of an element; within sequences it is not one of the outermost."""

    def _value(self, data: bytes) -> None:
        """Take bytes of the value of the element in hand."""

    @property
    def broken(self) -> bool:
        """Whether what came is no data set in this transfer syntax."""
        return self._broken

    def _header_bytes(self) -> int:
        if len(self._head) < _SHORT_HEADER_BYTES or self._group() == _ITEM_GROUP:
            return _SHORT_HEADER_BYTES
        vr = bytes(self._head[4:6])
        if self._at_begin_of_item:
            self._begin_item(vr)
        if self._is_implicit():
            return _SHORT_HEADER_BYTES
        known_short = vr not in _LONG_VRS and (not (vr.isalpha() and vr.isupper()) or vr in _SHORT_VRS)
        return _SHORT_HEADER_BYTES if known_short else _LONG_HEADER_BYTES

    def _begin_item(self, vr: bytes) -> None:
        """Find out by its first element how an item is encoded: some devices mix both forms."""
        self._at_begin_of_item = False
        if self._implicit:
            return
        delimiter, implicit = self._open[-1]
        if implicit and vr in _VRS:
            self._open[-1] = (delimiter, False)
        elif not implicit and not (vr in _NO_VRS or (vr.isalpha() and vr.isupper())):
            self._open[-1] = (delimiter, True)

    def _is_implicit(self) -> bool:
        return self._open[-1][1] if self._open else self._implicit

    def _group(self) -> int:
        return int(self._tag.unpack_from(self._head)[0])

    def _take_header(self) -> None:
        group, number = self._tag.unpack_from(self._head)
        tag, vr = group << 16 | number, bytes(self._head[4:6])
        if len(self._head) == _LONG_HEADER_BYTES:
            (length,) = self._long.unpack_from(self._head, 8)
        elif self._is_implicit() or group == _ITEM_GROUP:
            vr = b""
            (length,) = self._long.unpack_from(self._head, 4)
        else:
            (length,) = self._short.unpack_from(self._head, 6)
        self._element(tag, bytes(self._head), outermost=not self._open)
        self._head.clear()
        self._at_begin_of_item = False
        if tag in (_ITEM_END, _SEQUENCE_END):
            self._close(tag)
        elif length == _UNDEFINED_LENGTH:
            self._enter(_ITEM_END if tag == _ITEM else _SEQUENCE_END, vr)
        else:
            self._skipped = length

    def _enter(self, delimiter: int, vr: bytes) -> None:
        # Within UN of undefined length, all is implicit VR little endian (PS3.5 6.2.2, note 2).
        self._open.append((delimiter, self._is_implicit() or vr == b"UN"))
        self._at_begin_of_item = delimiter == _ITEM_END
        self._broken = len(self._open) > _MAX_DEPTH

    def _close(self, tag: int) -> None:
        self._broken = not self._open or self._open.pop()[0] != tag
