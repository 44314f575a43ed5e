"""A PACS that sends the bytes that a test wants, whatever the request."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from shared.dicom.peer import Peer
from shared.dicom.upper_layer.pdu import A_ASSOCIATE_AC, A_RELEASE_RQ, RELEASE_RP, PduSplitter

IMPLICIT, EXPLICIT = b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1"


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def acceptance(transfer_syntax: bytes = IMPLICIT, maximum_length: int = 16384) -> bytes:
    """Return an A-ASSOCIATE-AC PDU."""
    body = struct.pack(">HH64x", 1, 0) + item(0x10, b"1.2.840.10008.3.1.1.1")
    body += item(0x21, b"\x01\0\0\0" + item(0x40, transfer_syntax))
    body += item(0x50, item(0x51, struct.pack(">L", maximum_length)))
    return struct.pack(">BBL", A_ASSOCIATE_AC, 0, len(body)) + body


class StrangePacs:
    """Takes one association after the other; the bytes that follow the request are up to the test."""

    def __init__(self, reply: Callable[[socket.socket], None], accept: bytes = acceptance()) -> None:
        self.reply, self.accept = reply, accept
        #: The PDUs that came, with their variable fields.
        self.received: list[tuple[int, bytes]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more associations, and wait for the end of the one in hand."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    @property
    def peer(self) -> Peer:
        return Peer("127.0.0.1", self.port, "STRANGE", "DOSEQR")

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        splitter = PduSplitter()
        associated = rejected = False
        while data := connection.recv(65536):
            self.received += splitter.feed(data)
            if not associated:
                connection.sendall(self.accept)
                associated = True
            elif any(kind == A_RELEASE_RQ for kind, _ in self.received):
                connection.sendall(RELEASE_RP)
                return
            elif not rejected:
                rejected = True
                self.reply(connection)


def respond_with(*pdus: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(b"".join(pdus))


@pytest.fixture
def strange_pacs() -> Iterator[Callable[..., StrangePacs]]:
    started: list[StrangePacs] = []

    def start(reply: Callable[[socket.socket], None], **options: bytes) -> StrangePacs:
        started.append(StrangePacs(reply, **options))
        return started[-1]

    yield start
    for pacs in started:
        pacs.close()
