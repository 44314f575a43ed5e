"""Parts are read as a stream, whatever the pieces in which they come; one that is cut off is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.dicomweb.wado.multipart import BrokenMultipartError, parts_of

KIND = 'multipart/related; type="application/dicom"; boundary="b--x"'
BODY = (
    b"preamble\r\n--b--x\r\nContent-Type: application/dicom\r\nContent-Length: 5\r\n\r\nfirst"
    b"\r\n--b--x\r\n\r\nsec\r\n--b--y--ond\r\n--b--x  \r\nA: b\r\n\r\n\r\n--b--x--\r\nepilogue"
)


def pieces(body: bytes, size: int) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


def read(body: bytes, size: int = 7, kind: str = KIND) -> list[bytes]:
    return [b"".join(part.chunks()) for part in parts_of(kind, pieces(body, size))]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 1000])
def test_parts_are_the_same_in_pieces_of_any_size(size):
    assert read(BODY, size) == [b"first", b"sec\r\n--b--y--ond", b""]


def test_a_part_has_its_headers():
    # When
    part = next(parts_of(KIND, pieces(BODY, 9)))
    # Then
    assert (part.media_type, part.announced_bytes) == ("application/dicom", 5)


def test_a_part_that_is_not_read_is_skipped():
    # When
    parts = [part.headers for part in parts_of(KIND, pieces(BODY, 4))]
    # Then
    assert len(parts) == 3


@pytest.mark.parametrize("cut", range(1, len(BODY) - len(b"--\r\nepilogue") + 1, 3))
def test_a_response_that_is_cut_off_is_refused(cut):
    with pytest.raises(BrokenMultipartError):
        read(BODY[:cut])


@pytest.mark.parametrize(
    "kind",
    ["text/html", "multipart/related", 'multipart/related; boundary="' + "x" * 300 + '"', ""],
)
def test_what_is_no_multipart_is_refused(kind):
    with pytest.raises(BrokenMultipartError):
        read(BODY, kind=kind)


def test_headers_that_do_not_end_are_refused():
    with pytest.raises(BrokenMultipartError):
        read(b"--b--x\r\n" + b"A: b\r\n" * 10_000)


def test_a_single_file_is_the_only_part():
    assert read(b"file", kind="application/dicom") == [b"file"]
