"""A socket whose reads notice a deadline and a cancellation; what `http.client` needs of one, and no more."""

from __future__ import annotations

import io
import select
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Seconds between two looks at a cancellation.
POLL_INTERVAL_S = 0.2


class PolledSocket:
    """Wraps a connected socket, with or without TLS.

    `check` is called while bytes are waited for; it raises what ends the wait.
    """

    def __init__(self, sock: socket.socket, idle_s: float) -> None:
        """`idle_s`: seconds for which the peer may be silent, or take nothing."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._idle_s = idle_s
        self._readers = 0
        self._closed = False
        self.check: Callable[[], None] = _nothing

    def recv_into(self, buffer: WriteableBuffer) -> int:
        """Read what there is.

        Raises:
            TimeoutError: there is nothing for too long.
        """
        until = time.monotonic() + self._idle_s
        while True:
            self.check()
            left_s = until - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(f"nothing came for {self._idle_s:g} s")
            self._sock.settimeout(min(left_s, POLL_INTERVAL_S))
            try:
                return self._sock.recv_into(buffer)
            except TimeoutError:
                continue

    def sendall(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            TimeoutError: the peer takes none in time.
        """
        self._sock.settimeout(self._idle_s)
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a reader; the connection stays open until it is closed."""
        self._readers += 1
        return io.BufferedReader(_SocketReader(self))

    def settimeout(self, _timeout_s: float | None) -> None:
        """Keep the time-outs that there are."""

    def is_quiet(self) -> bool:
        """Return whether the peer has neither sent anything nor closed the connection."""
        if self._closed:
            return False
        waiter = select.poll()
        waiter.register(self._sock, select.POLLIN)
        return not waiter.poll(0)

    def close(self) -> None:
        """Close it once it is read."""
        self._closed = True
        if self._readers <= 0:
            self._sock.close()

    def reader_closed(self) -> None:
        """Note that a reader is closed."""
        self._readers -= 1
        if self._closed:
            self.close()

    def abort(self) -> None:
        """Close it now."""
        self._closed = True
        self._sock.close()


class _SocketReader(io.RawIOBase):
    def __init__(self, sock: PolledSocket) -> None:
        super().__init__()
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        return self._sock.recv_into(buffer)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._sock.reader_closed()


def _nothing() -> None:
    pass
