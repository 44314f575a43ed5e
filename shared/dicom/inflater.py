"""A deflated data set, inflated in pieces (PS3.5 A.5, RFC 1951): memory stays small whatever it holds."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from shared.dicom.upper_layer.data_elements import Buffer

#: Bytes that are inflated, and that are deflated, at once.
_INFLATED_AT_ONCE, _DEFLATED_AT_ONCE = 1 << 16, 1 << 16


class Inflater:
    """Inflates one deflated stream."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)

    @property
    def ended(self) -> bool:
        """Whether the end of the stream has come; what follows it is padding."""
        return self._inflater.eof

    def pieces(self, data: Buffer) -> Iterator[bytes]:
        """Yield what the next bytes of the stream hold.

        Raises:
            zlib.error: they are not deflated.
        """
        with memoryview(data) as view:
            for at in range(0, len(view), _DEFLATED_AT_ONCE):
                pending: Buffer = view[at : at + _DEFLATED_AT_ONCE]
                while not self._inflater.eof:
                    piece = self._inflater.decompress(pending, _INFLATED_AT_ONCE)
                    pending = self._inflater.unconsumed_tail
                    if piece:
                        yield piece
                    # A full piece may leave some of what it was made of behind, without any of its bytes.
                    if not pending and len(piece) < _INFLATED_AT_ONCE:
                        break
