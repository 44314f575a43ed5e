"""Multipart responses (RFC 2046 5.1, PS3.18 8.6.1.2) as a stream: no part is in memory as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email.message import Message

from shared.dicom.errors import Outcome, PeerError

#: Bytes of a boundary, and of the headers of a part; RFC 2046 has 70 for a boundary.
_BOUNDARY_MOST_BYTES, _HEADERS_MOST_BYTES = 200, 16 << 10


class BrokenMultipartError(PeerError):
    """A multipart response ends early, or is none."""

    def __init__(self, detail: str) -> None:
        super().__init__(Outcome.ABORTED, detail)


class MultipartPart:
    """One part: its headers, and its bytes, which are read once."""

    def __init__(self, headers: Mapping[str, str], body: Iterator[bytes]) -> None:
        self.headers = headers
        self._body = body

    @property
    def media_type(self) -> str:
        """Its media type without parameters; empty where there is none."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    @property
    def announced_bytes(self) -> int | None:
        """Its length, if it announces one."""
        text = self.headers.get("content-length", "").strip()
        return int(text) if text.isascii() and text.isdecimal() else None

    def chunks(self) -> Iterator[bytes]:
        """Yield its bytes.

        Raises:
            BrokenMultipartError: it ends without a boundary.
            PeerError, InterruptedWorkError: as for the response.
        """
        return self._body


def parts_of(content_type: str, chunks: Iterator[bytes]) -> Iterator[MultipartPart]:
    """Yield the parts of a response; what is left unread of one is skipped before the next.

    A response that is a DICOM file by itself is its only part.

    Raises:
        BrokenMultipartError: it is no multipart, or ends before its last boundary.
        PeerError, InterruptedWorkError: as for the response.
    """
    message = Message()
    message["Content-Type"] = content_type
    if message.get_content_type() == "application/dicom":
        yield MultipartPart({"content-type": "application/dicom"}, chunks)
        return
    boundary = str(message.get_param("boundary") or "")
    if message.get_content_maintype() != "multipart" or not boundary.isascii():
        raise BrokenMultipartError(f"a response that is no multipart ({message.get_content_type()[:64]})")
    if not 0 < len(boundary) <= _BOUNDARY_MOST_BYTES:
        raise BrokenMultipartError("a multipart response without a usable boundary")
    yield from _MultipartReader(boundary.encode(), chunks).parts()


class _MultipartReader:
    def __init__(self, boundary: bytes, chunks: Iterator[bytes]) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._chunks = chunks
        # The first delimiter may stand at the very begin.
        self._buffer = bytearray(b"\r\n")
        self._last = False

    def parts(self) -> Iterator[MultipartPart]:
        for _ in self._until_delimiter():
            pass  # the preamble
        while not self._last:
            body = self._until_delimiter()
            yield MultipartPart(self._headers(), body)
            for _ in body:
                pass

    def _fill(self) -> None:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise BrokenMultipartError("a multipart response that ends before its last boundary")
        self._buffer += chunk

    def _until_delimiter(self) -> Iterator[bytes]:
        """Yield what comes before the next delimiter, and take the delimiter."""
        searched = 0
        while True:
            at = self._buffer.find(self._delimiter, searched)
            if at < 0:
                # A delimiter may have begun at the end.
                searched = max(0, len(self._buffer) - len(self._delimiter) + 1)
                if searched:
                    yield self._taken(searched)
                    searched = 0
                self._fill()
                continue
            end = at + len(self._delimiter)
            while len(self._buffer) < end + 2:
                self._fill()
            if not self._ends_delimiter(end):
                searched = at + 1  # bytes that resemble one
                continue
            if at:
                yield self._taken(at)
            self._take_delimiter()
            return

    def _ends_delimiter(self, at: int) -> bool:
        following = bytes(self._buffer[at : at + 2])
        return following in (b"--", b"\r\n") or following[:1] in (b" ", b"\t")

    def _taken(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _take_delimiter(self) -> None:
        del self._buffer[: len(self._delimiter)]
        if self._buffer.startswith(b"--"):
            self._last = True
            return
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._bound()
            self._fill()
        # The line break stays: headers may be absent, and an empty line ends them.
        del self._buffer[:end]

    def _headers(self) -> dict[str, str]:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._bound()
            self._fill()
        lines = self._taken(end + 4).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines if ":" in line)
        return {name.strip().lower(): value.strip() for name, _, value in pairs}

    def _bound(self) -> None:
        if len(self._buffer) > _HEADERS_MOST_BYTES:
            raise BrokenMultipartError("a part with headers that do not end")
