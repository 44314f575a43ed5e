"""The bytes of one HTTP/1.1 request while they arrive, and the limits that they must keep (RFC 9112)."""

from __future__ import annotations

from http import HTTPStatus

#: Bytes of the request line, bytes of the whole head, and header lines; browsers send about 1 KiB.
REQUEST_LINE_BYTES, HEAD_BYTES, HEADERS = 8 << 10, 16 << 10, 100
#: Bytes of the body; a form of ours is far smaller.
BODY_BYTES = 1 << 20
#: Bytes of the body of an upload, at the only paths that take one.
UPLOAD_BYTES = 9 << 20
UPLOAD_PATHS = frozenset(
    {
        b"/reconciliations",
        b"/api/v1/reconciliations",
        b"/imports/query",
        b"/imports/query/list",
        b"/api/v1/study-lists",
    }
)
#: Seconds in which the whole head must arrive, and after it the whole body.
HEAD_S, BODY_S = 10.0, 30.0

_END_OF_HEAD = b"\r\n\r\n"
_LINE_END = b"\r\n"


class RequestRefusedError(Exception):
    """The request breaks a limit or cannot be understood."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(f"{status.value} {status.phrase}")
        self.status = status


class RequestBuffer:
    """Gathers one request; the times are seconds of a monotonic clock."""

    def __init__(self, now: float) -> None:
        self.deadline = now + HEAD_S
        #: Whether the client waits for `100 Continue` before it sends the body (RFC 9110 10.1.1).
        self.expects_continue = False
        self._data = bytearray()
        self._head_bytes: int | None = None
        self._body_bytes = 0

    def __len__(self) -> int:
        return len(self._data)

    @property
    def complete(self) -> bool:
        """Whether head and body are here."""
        return self._head_bytes is not None and len(self._data) >= self._head_bytes + self._body_bytes

    @property
    def has_head(self) -> bool:
        """Whether the head is here."""
        return self._head_bytes is not None

    @property
    def path(self) -> bytes:
        """The path of the request line, as sent; empty before the head is here."""
        return self._path() if self.has_head else b""

    def _path(self) -> bytes:
        parts = bytes(self._data[: self._data.find(_LINE_END)]).split(b" ")
        return parts[1].partition(b"?")[0] if len(parts) > 1 else b""

    def feed(self, received: bytes, now: float) -> None:
        """Add received bytes.

        Raises:
            RequestRefusedError: a limit is exceeded, or the length of the body cannot be known.
        """
        self._data += received
        if self._head_bytes is not None:
            return
        # RFC 9112 2.2: empty lines before a request line are ignored.
        while self._data.startswith(_LINE_END):
            del self._data[:2]
        line_end = self._data.find(_LINE_END)
        if (line_end if line_end >= 0 else len(self._data)) > REQUEST_LINE_BYTES:
            raise RequestRefusedError(HTTPStatus.REQUEST_URI_TOO_LONG)
        end = self._data.find(_END_OF_HEAD)
        if (end if end >= 0 else len(self._data)) > HEAD_BYTES:
            raise RequestRefusedError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if end >= 0:
            self._read_head(end)
            self.deadline = now + BODY_S

    def take(self) -> tuple[bytes, bytes]:
        """Return the complete request, and what was sent after it."""
        assert self._head_bytes is not None
        end = self._head_bytes + self._body_bytes
        return bytes(self._data[:end]), bytes(self._data[end:])

    def _read_head(self, end: int) -> None:
        lines = bytes(self._data[:end]).split(_LINE_END)[1:]
        if len(lines) > HEADERS:
            raise RequestRefusedError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        lengths: set[bytes] = set()
        for line in lines:
            name, _, value = line.partition(b":")
            name, value = name.strip().lower(), value.strip()
            if name == b"transfer-encoding":
                # Bodies are read whole before a worker gets them, so their length must be announced.
                raise RequestRefusedError(HTTPStatus.LENGTH_REQUIRED)
            if name == b"content-length":
                lengths.add(value)
            self.expects_continue |= name == b"expect" and value.lower() == b"100-continue"
        limit = UPLOAD_BYTES if self._path() in UPLOAD_PATHS else BODY_BYTES
        self._body_bytes = _body_bytes(lengths, limit)
        if self.expects_continue:
            # The server behind would send `100 Continue` once more.
            head = bytes(self._data[:end]).split(_LINE_END)
            self._data[:end] = _LINE_END.join(
                line for line in head if not line.lower().startswith(b"expect:")
            )
            end = self._data.find(_END_OF_HEAD)
        self._head_bytes = end + len(_END_OF_HEAD)


def _body_bytes(lengths: set[bytes], limit: int) -> int:
    """Return the one announced length; different ones would be read differently by a proxy (RFC 9112 6.3)."""
    if not lengths:
        return 0
    length = lengths.pop()
    if lengths or not length.isdigit():
        raise RequestRefusedError(HTTPStatus.BAD_REQUEST)
    if len(length) > len(str(limit)) or int(length) > limit:
        raise RequestRefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return int(length)
