"""Deflated bytes in pieces: all of them come, and none is inflated before it is taken."""

from __future__ import annotations

import zlib

import pytest

from shared.dicom.inflater import Inflater


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("step", [1, 100, 1 << 20])
@pytest.mark.parametrize("size_bytes", [0, 1, 1 << 16, (1 << 17) + 1, (1 << 17) + 29, 1 << 20])
def test_all_of_a_stream_is_inflated_however_it_comes(size_bytes, step):
    # Given zeros, whose last bytes zlib may hold back until it is called without any more
    stream, inflater = deflated(bytes(size_bytes)), Inflater()
    # When
    pieces = [
        piece for at in range(0, len(stream), step) for piece in inflater.pieces(stream[at : at + step])
    ]
    # Then
    assert b"".join(pieces) == bytes(size_bytes)
    assert max(map(len, pieces), default=0) <= 1 << 16
    assert inflater.ended


def test_a_stream_without_its_end_has_not_ended():
    # Given
    inflater = Inflater()
    # When
    list(inflater.pieces(deflated(b"some words, and some words")[:-2]))
    # Then
    assert not inflater.ended


def test_what_is_not_deflated_is_refused():
    # When / Then
    with pytest.raises(zlib.error):
        list(Inflater().pieces(b"\xff" * 100))
