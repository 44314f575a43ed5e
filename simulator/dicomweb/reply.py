"""HTTP responses before they are sent, whole or as a stream of pieces."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler

BOUNDARY = "frontier"
JSON_TYPE = "application/dicom+json"
_DRIP_BYTES, _DRIP_S = 200, 0.005
_PIECE_BYTES = 1 << 16
_NO_CONTENT = 204


@dataclass(frozen=True)
class Reply:
    """A response; `cut`: bytes of its body after which the connection is closed.

    `pieces` makes a body that is sent as it is made; it goes before `body`.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    pieces: Callable[[], Iterator[bytes]] | None = None
    cut: int | None = None
    chunked: bool = False
    drips: bool = False

    def whole(self) -> "Reply":
        """Return the same response with its body made."""
        return self if self.pieces is None else replace(self, body=b"".join(self.pieces()), pieces=None)


def json_reply(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Return a document in the DICOM JSON model."""
    return Reply(status, {"Content-Type": JSON_TYPE, **(headers or {})}, json.dumps(document).encode())


def json_list(entries: Callable[[], Iterable[Mapping[str, object]]]) -> Reply:
    """Return a long list in the DICOM JSON model, made as it is sent."""

    def pieces() -> Iterator[bytes]:
        yield b"["
        for number, entry in enumerate(entries()):
            yield b"," * bool(number) + json.dumps(entry).encode()
        yield b"]"

    return Reply(200, {"Content-Type": JSON_TYPE}, pieces=pieces)


def multipart(
    files: Callable[[], Iterable[bytes]], boundary: str = BOUNDARY, part_type: str = "application/dicom"
) -> Reply:
    """Return files as one response, each made as it is sent (PS3.18 8.6.1.2)."""

    def pieces() -> Iterator[bytes]:
        for file in files():
            yield f"\r\n--{boundary}\r\nContent-Type: {part_type}\r\n\r\n".encode()
            yield file
        yield f"\r\n--{boundary}--\r\n".encode()

    kind = f'multipart/related; type="{part_type}"; boundary={boundary}'
    return Reply(200, {"Content-Type": kind}, pieces=pieces)


def send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    """Send a response; a client that has gone ends the connection."""
    chunked = reply.chunked or reply.pieces is not None
    try:
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if chunked:
            handler.send_header("Transfer-Encoding", "chunked")
        elif reply.status != _NO_CONTENT:
            handler.send_header("Content-Length", str(len(reply.body)))
        handler.end_headers()
        for piece in _pieces(reply):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            if reply.drips:
                handler.wfile.flush()
                time.sleep(_DRIP_S)
        if chunked and reply.cut is None:
            handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = handler.close_connection or reply.cut is not None
    except OSError:
        handler.close_connection = True


def _pieces(reply: Reply) -> Iterator[bytes]:
    if reply.pieces is not None:
        yield from (piece for piece in reply.pieces() if piece)
        return
    body = reply.body if reply.cut is None else reply.body[: reply.cut]
    size = _DRIP_BYTES if reply.drips else _PIECE_BYTES
    yield from (body[at : at + size] for at in range(0, len(body), size))
