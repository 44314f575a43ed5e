"""Leaves bulk data out of a data set as it comes, in any transfer syntax; the rest stays as it is."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable

from shared.dicom.header_objects.element_stream import ElementStream
from shared.dicom.header_objects.explicit_vr import explicit_elements
from shared.dicom.header_objects.mark import Origin, mark_elements
from shared.dicom.inflater import Inflater
from shared.dicom.transfer_syntaxes import (
    EVERY_DEFLATED,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from shared.dicom.upper_layer.data_elements import TruncatedDataSetError, starts_explicit
from shared.dicom.upper_layer.errors import MalformedDataSetError

#: Groups that are bulk data as a whole: pixels, in whatever form, and the padding and signatures that follow
#: them and are not true of the rest (PS3.3 C.7.6.3, C.12.1.1.3).
_GROUPS = frozenset({0x7FE0, 0xFFFA, 0xFFFC})
#: Single elements of them (PS3.4 table Z.1-1), those of repeating groups by their number.
_ELEMENTS = frozenset({0x54001010, 0x56000020, 0x00420011})
_OVERLAY, _CURVES = 0x3000, frozenset({0x3000, 0x200C})

PIXEL_DATA = 0x7FE0_0010

#: Bytes of a header, at most: of mammograms with all that vendors add it is a few hundred kilobytes.
MAX_HEADER_BYTES = 8 << 20
#: Bytes of one data set that are inflated, at most.
_MAX_INFLATED_BYTES = 8 << 30
#: Bytes by which explicit VR is recognised.
_FIRST_BYTES = 8


def is_bulk(tag: int) -> bool:
    """Return whether an element of the outermost level is bulk data."""
    group, number = tag >> 16, tag & 0xFFFF
    if group in _GROUPS or tag in _ELEMENTS:
        return True
    if group % 2:
        return False
    in_overlay, in_curve = group & 0xFF00 == 0x6000, group & 0xFF00 == 0x5000  # noqa: PLR2004 - repeating groups
    return (in_overlay and number == _OVERLAY) or (in_curve and number in _CURVES)


def header_data_set(elements: Iterable[tuple[int, bytes]], origin: Origin) -> bytes:
    """Return elements with the mark among them; what is bulk data is left out.

    Raises:
        MalformedDataSetError: there is no place for the mark.
    """
    kept = {tag: element for tag, element in elements if not is_bulk(tag)}
    try:
        kept |= dict(mark_elements(origin, kept))
    except LookupError as error:
        raise MalformedDataSetError(str(error)) from error
    return b"".join(kept[tag] for tag in sorted(kept))


class BulkSieve:
    """Takes the bytes of one data set and keeps what is no bulk data, deflated or not."""

    def __init__(self, transfer_syntax_uid: str, on_bulk: Callable[[bytes], bool]) -> None:
        """`on_bulk` is called once, with what came before the first bulk data: whether to leave it out."""
        self._transfer_syntax_uid = transfer_syntax_uid
        self._on_bulk = on_bulk
        self._begin = bytearray()
        self._stream: _Sieved | None = None
        deflated = transfer_syntax_uid in EVERY_DEFLATED
        self._inflater = Inflater() if deflated else None
        self._inflated_bytes = 0
        self._failed = False

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        if self.useless:
            return
        if self._inflater is None:
            self._add(data)
            return
        try:
            self._inflate(self._inflater, data)
        except zlib.error:
            self._failed = True

    @property
    def leaves_out(self) -> bool:
        """Whether bulk data came and is left out."""
        return self._stream is not None and bool(self._stream.absent) and not self._stream.refused

    @property
    def useless(self) -> bool:
        """Whether nothing is gained from what follows: it is not to be left out, or nobody can tell."""
        stream = self._stream
        return self._failed or (stream is not None and (stream.refused or stream.broken or stream.too_long))

    @property
    def whole(self) -> bool:
        """Whether the data set may end here."""
        ended = self._inflater is None or self._inflater.ended
        return self._stream is not None and not self.useless and self._stream.whole and ended

    @property
    def header(self) -> bytes:
        """What was kept, as it came; inflated where it was deflated."""
        return bytes(self._stream.kept) if self._stream is not None else b""

    @property
    def absent(self) -> list[int]:
        """Tags of what was left out."""
        return list(self._stream.absent) if self._stream is not None else []

    def data_set(self, origin: Origin) -> bytes:
        """Return what was kept as explicit VR little endian, marked.

        Raises:
            TruncatedDataSetError: it is cut off.
            MalformedDataSetError: it cannot be written so.
        """
        if not self.whole:
            raise TruncatedDataSetError
        return header_data_set(explicit_elements(self.header, self._transfer_syntax_uid), origin)

    def _inflate(self, inflater: Inflater, data: bytes) -> None:
        for piece in inflater.pieces(data):
            self._inflated_bytes += len(piece)
            self._failed = self._inflated_bytes > _MAX_INFLATED_BYTES
            self._add(piece)
            if self.useless:
                return

    def _add(self, data: bytes) -> None:
        if self._stream is None:
            self._begin += data
            if len(self._begin) < _FIRST_BYTES:
                return
            data, syntax = bytes(self._begin), self._transfer_syntax_uid
            self._begin.clear()
            # Some peers encode otherwise than negotiated.
            if starts_explicit(data) != (syntax != IMPLICIT_VR_LITTLE_ENDIAN):
                syntax = EXPLICIT_VR_LITTLE_ENDIAN if starts_explicit(data) else IMPLICIT_VR_LITTLE_ENDIAN
            self._stream = _Sieved(syntax, self._on_bulk)
        self._stream.add(data)


class _Sieved(ElementStream):
    """Keeps elements but those of bulk data; what lies within sequences, such as icons, is kept."""

    def __init__(self, transfer_syntax_uid: str, on_bulk: Callable[[bytes], bool]) -> None:
        super().__init__(transfer_syntax_uid)
        self._on_bulk = on_bulk
        self._leaving_out = False
        self.kept = bytearray()
        self.absent: list[int] = []
        self.refused = False
        self.too_long = False

    def _element(self, tag: int, head: bytes, *, outermost: bool) -> None:
        if outermost:
            self._leaving_out = is_bulk(tag)
            if self._leaving_out:
                self._note(tag)
        self._keep(head)

    def _value(self, data: bytes) -> None:
        self._keep(data)

    def _note(self, tag: int) -> None:
        if not self.absent and not self.refused:
            self.refused = not self._on_bulk(bytes(self.kept))
        self.absent.append(tag)

    def _keep(self, data: bytes) -> None:
        if self._leaving_out or self.too_long:
            return
        self.kept += data
        self.too_long = len(self.kept) > MAX_HEADER_BYTES
