"""Whether a data set goes on to its end: one that stops within an element is no object.

Only tags, VRs and lengths are examined (PS3.5 7): values, above all pixels, are passed over. Oddities that
show no cut are no reason to refuse: padding, odd lengths, a VR that is none.
"""

from __future__ import annotations

import zlib

from shared.dicom.header_objects.element_stream import ElementStream
from shared.dicom.inflater import Inflater
from shared.dicom.transfer_syntaxes import (
    BIG_ENDIAN,
    EVERY_DEFLATED,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from shared.dicom.upper_layer.data_elements import (
    BrokenSequenceError,
    Buffer,
    ElementWalker,
    TruncatedDataSetError,
    starts_explicit,
)
from shared.dicom.upper_layer.errors import MalformedDataSetError
from shared.errors import InvalidInputError

#: Elements that are examined, those of items included; an object with more is taken as it is.
MAX_ELEMENTS = 1_000_000
#: Bytes that are inflated to find the end of a deflated object; what follows is taken as it is.
MAX_INFLATED_BYTES = 256 << 20

_PIXEL_DATA = 0x7FE0_0010
_HEADER_BYTES = 8


class CutOffError(InvalidInputError):
    """The data set ends before its last element does."""

    def __init__(self, problem: str = "ends within an element") -> None:
        super().__init__("data_set", f"is cut off: it {problem}")


def check_end(data_set: Buffer, transfer_syntax_uid: str) -> None:
    """Check that a data set in the transfer syntax does not stop within an element.

    Raises:
        CutOffError: it does.
    """
    if transfer_syntax_uid in EVERY_DEFLATED:
        _check_deflated(data_set)
        return
    with memoryview(data_set) as view:
        _check(view, big_endian=transfer_syntax_uid == BIG_ENDIAN)


def _check(data_set: memoryview, *, big_endian: bool) -> None:
    try:
        _walk(data_set, big_endian=big_endian)
    except BrokenSequenceError as error:
        # Some devices give native pixels an undefined length.
        if error.tag != _PIXEL_DATA:
            raise CutOffError(str(error)) from error
    except TruncatedDataSetError as error:
        if not _is_padding(data_set[error.at :]) and not _ends_if_odd_padded(data_set, big_endian=big_endian):
            raise CutOffError(str(error)) from error
    except MalformedDataSetError:
        pass  # odd, but nothing shows that it is not all there


def _walk(data_set: memoryview, *, big_endian: bool, odd_padded: bool = False) -> None:
    for _ in ElementWalker(
        data_set,
        big_endian=big_endian,
        max_elements=MAX_ELEMENTS,
        max_depth=None,
        padded=True,
        odd_padded=odd_padded,
    ).walk():
        pass


def _is_padding(rest: memoryview) -> bool:
    """Return whether what is left is too short for an element, and no begin of one."""
    return len(rest) == 1 or (len(rest) < _HEADER_BYTES and not bytes(rest).strip(b" "))


def _ends_if_odd_padded(data_set: memoryview, *, big_endian: bool) -> bool:
    try:
        _walk(data_set, big_endian=big_endian, odd_padded=True)
    except MalformedDataSetError:
        return False
    return True


def _check_deflated(data_set: Buffer) -> None:
    inflater, elements, inflated_bytes = Inflater(), _InflatedElements(), 0
    try:
        for piece in inflater.pieces(data_set):
            elements.add(piece)
            inflated_bytes += len(piece)
            if elements.is_lost or inflated_bytes > MAX_INFLATED_BYTES:
                return
    except zlib.error as error:
        raise InvalidInputError("data_set", "cannot be inflated") from error
    if not inflater.ended:
        raise CutOffError("has no end of its deflated stream")
    if not elements.ended:
        raise CutOffError


class _InflatedElements:
    """Follows the elements of a data set that comes in pieces."""

    def __init__(self) -> None:
        self._begin = b""
        self._stream: ElementStream | None = None

    def add(self, piece: bytes) -> None:
        if self._stream is None:
            self._begin += piece
            if len(self._begin) < _HEADER_BYTES:
                return
            piece = self._begin
            explicit = starts_explicit(piece)
            self._stream = ElementStream(EXPLICIT_VR_LITTLE_ENDIAN if explicit else IMPLICIT_VR_LITTLE_ENDIAN)
        self._stream.add(piece)

    @property
    def is_lost(self) -> bool:
        return self._stream is not None and self._stream.broken

    @property
    def ended(self) -> bool:
        return self._stream is not None and self._stream.whole
