"""A connection from a sender: PDUs in, bytes out; nothing waits longer than it may."""

from __future__ import annotations

import socket
import ssl
import time
from collections import deque
from contextlib import suppress

from shared.dicom.upper_layer.pdu import PduSplitter
from shared.dicom.upper_layer.receive_rate import ReceiveRate

#: For a sender to read what was said last, and to close.
DRAIN_S = 5.0

_RECEIVE_BYTES = 1 << 18

#: Only Linux has it.
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class GoneError(ConnectionError):
    """The sender has closed or lost the connection."""


class AcceptorConnection:
    """One connection; read by one thread, ended by any."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over a connected socket."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._sock = sock
        self._splitter = PduSplitter()
        self._pdus: deque[tuple[int, bytes]] = deque()
        self._timeout_s = -1.0

    def secure(self, context: ssl.SSLContext, timeout_s: float) -> None:
        """Do the TLS handshake.

        Raises:
            GoneError: it failed.
            TimeoutError: it took longer.
        """
        self._wait_at_most(timeout_s)
        try:
            self._sock = context.wrap_socket(self._sock, server_side=True)
        except TimeoutError:
            raise
        except OSError as error:
            raise GoneError(f"no TLS: {getattr(error, 'reason', None) or type(error).__name__}") from None
        self._timeout_s = -1.0

    def pdu(self, pace: ReceiveRate, idle_s: float | None = None) -> tuple[int, bytes]:
        """Return the next PDU; its sender may be silent for `idle_s` before it begins, where that is given.

        Raises:
            TimeoutError: nothing came for so long, or what comes is slower than the pace.
            GoneError: the connection is closed.
            ProtocolError: the sender sends what is no PDU, or a longer one than is taken.
        """
        while not self._pdus:
            if idle_s is not None and not self._splitter.in_hand:
                self._receive(idle_s)
                pace.begin()
                continue
            if pace.left_s <= 0:
                raise TimeoutError
            began = time.monotonic()
            size_bytes = self._receive(pace.left_s)
            pace.came(size_bytes, time.monotonic() - began)
        return self._pdus.popleft()

    def pdu_until(self, deadline: float) -> tuple[int, bytes]:
        """Return the next PDU, whole by the deadline (monotonic seconds).

        Raises:
            TimeoutError: it is not.
            GoneError: the connection is closed.
            ProtocolError: the sender sends what is no PDU, or a longer one than is taken.
        """
        while not self._pdus:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            self._receive(left_s)
        return self._pdus.popleft()

    def send(self, data: bytes, timeout_s: float) -> None:
        """Send bytes.

        Raises:
            TimeoutError: the sender takes none for so long.
            GoneError: the connection is closed.
        """
        self._wait_at_most(timeout_s)
        try:
            self._sock.sendall(data)
        except TimeoutError:
            raise
        except OSError as error:
            raise GoneError(type(error).__name__) from None

    def end(self, last: bytes = b"") -> None:
        """Let the thread that reads see the end; with TLS nothing can be said from another thread."""
        with suppress(OSError, ValueError):
            if last and not isinstance(self._sock, ssl.SSLSocket):
                self._sock.send(last, socket.MSG_DONTWAIT)
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def drain(self, timeout_s: float) -> None:
        """Say no more and read on until the sender has closed, so that it reads what was said last.

        A connection that is closed with bytes unread is reset, and with it goes what was sent.
        """
        deadline = time.monotonic() + timeout_s
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
            while (left_s := deadline - time.monotonic()) > 0:
                self._wait_at_most(left_s)
                if not self._sock.recv(_RECEIVE_BYTES):
                    return

    def close(self) -> None:
        """Close the connection."""
        with suppress(OSError):
            self._sock.close()

    def _receive(self, timeout_s: float) -> int:
        try:
            self._wait_at_most(timeout_s)
            # A sender with Nagle's algorithm holds back the rest of its request until we acknowledge the
            # begin, which the kernel delays by 40 ms, and does so again whenever we have sent something.
            if _QUICK_ACK is not None:
                self._sock.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
            data = self._sock.recv(_RECEIVE_BYTES)
        except TimeoutError:
            raise
        except OSError as error:
            raise GoneError(type(error).__name__) from None
        if not data:
            raise GoneError("closed")
        self._pdus.extend(self._splitter.feed(data))
        return len(data)

    def _wait_at_most(self, timeout_s: float) -> None:
        if timeout_s != self._timeout_s:
            self._sock.settimeout(timeout_s)
            self._timeout_s = timeout_s
