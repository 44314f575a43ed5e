"""The listening side of the store: sockets with what pynetdicom leaves to the kernel."""

from __future__ import annotations

import socket
import socketserver
import struct
from typing import Any, cast

from pynetdicom.transport import ThreadedAssociationServer

#: Connections that wait to be accepted.
BACKLOG = 128

#: Type and length of a PDU (PS3.8 9.3.1); pynetdicom reads them first.
_PDU_HEADER_BYTES = 6


class _EagerSocket(socket.socket):
    """A connection that acknowledges at once.

    A sender with Nagle's algorithm holds back the rest of its request until we acknowledge the begin, which
    the kernel delays by 40 ms. It falls back to delaying whenever we send, so that each PDU arms it again.
    """

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        if bufsize == _PDU_HEADER_BYTES:
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return super().recv(bufsize, flags)


class StoreServer(ThreadedAssociationServer):
    """Listens, and sets what pynetdicom leaves to the kernel."""

    request_queue_size = BACKLOG
    daemon_threads = True
    share_port = False
    stall_timeout_s = 60.0

    def server_bind(self) -> None:
        """Bind, beside others where the port is shared."""
        listening = cast("socket.socket", self.socket)
        if self.share_port:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection and prepare it."""
        accepted, address = super().get_request()
        connection = _EagerSocket(fileno=accepted.detach())
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # In the kernel, so that reading stays one call: half a PDU must not hold its thread for ever.
        timeout = struct.pack("ll", int(self.stall_timeout_s), int(self.stall_timeout_s % 1 * 1_000_000))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
        return connection, address

    def shutdown(self) -> None:
        """Stop listening; pynetdicom's own also asks for a place in the list of its AE."""
        socketserver.BaseServer.shutdown(self)
        self.server_close()


class SharedPortServer(StoreServer):
    """Listens on a port beside other processes of the store (SO_REUSEPORT)."""

    share_port = True
