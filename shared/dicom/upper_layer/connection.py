"""A TCP connection that carries an association: PDUs in, bytes out, and no wait without an end.

It has no thread of its own: what a peer sends while nobody reads is noticed at the next read.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from shared.dicom.upper_layer.errors import ProtocolError
from shared.dicom.upper_layer.pdu import PduSplitter
from shared.dicom.upper_layer.receive_rate import ReceiveRate

#: Seconds between two checks whether a wait should stop.
POLL_INTERVAL_S = 0.1

#: Seconds for a peer to read what was sent last, and to close.
DRAIN_S = 5.0

_RECEIVE_BYTES = 1 << 18

#: Seconds of one part of a long wait: with parts that are all the same, the time-out of the socket is not set
#: anew for every message, which is a system call.
_PART_S = 10.0

#: Only Linux has it.
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class AbortedError(ProtocolError):
    """The peer has ended the association: A-ABORT, A-RELEASE-RQ in the middle, or a closed connection."""


class Connection:
    """A connection without Nagle's algorithm; read by one thread, ended by any."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over a connected socket."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._sock = sock
        self._splitter = PduSplitter()
        self._pdus: deque[tuple[int, bytes]] = deque()
        self._timeout_s = -1.0
        self.closed = False

    def secure(
        self, context: ssl.SSLContext, timeout_s: float, *, server_hostname: str | None = None
    ) -> None:
        """Do the TLS handshake: as the client of `server_hostname` where there is one, else as the server.

        Raises:
            AbortedError: it failed.
            TimeoutError: it took longer.
        """
        self._set_timeout(timeout_s)
        try:
            self._sock = context.wrap_socket(
                self._sock, server_side=server_hostname is None, server_hostname=server_hostname
            )
        except TimeoutError:
            raise
        except OSError as error:
            reason = getattr(error, "verify_message", None) or getattr(error, "reason", None)
            raise AbortedError(f"no TLS: {reason or type(error).__name__}") from error
        self._timeout_s = -1.0

    def pdu(self, rate: ReceiveRate, idle_s: float | None = None) -> tuple[int, bytes]:
        """Return the next PDU; its sender may be silent for `idle_s` before it begins, where that is given.

        Raises:
            TimeoutError: the peer was silent for too long, or sends more slowly than the rate.
            AbortedError: the connection is closed.
            ProtocolError: the peer sends what is no PDU, or a longer one than is accepted.
        """
        while not self._pdus:
            if idle_s is not None and not self._splitter.in_progress:
                self._receive(idle_s)
                rate.begin()
                continue
            if rate.left_s <= 0:
                raise TimeoutError
            began = time.monotonic()
            size_bytes = self._receive(rate.left_s)
            rate.came(size_bytes, time.monotonic() - began)
        return self._pdus.popleft()

    def pdu_until(self, deadline: float, check: Callable[[], float] | None = None) -> tuple[int, bytes]:
        """Return the next PDU, complete by the deadline (monotonic seconds).

        While it waits it calls `check`, which returns a deadline of its own, or raises.

        Raises:
            TimeoutError: there is none at the earlier of the deadlines.
            AbortedError: the connection is closed.
            ProtocolError: the peer sends what is no PDU, or a longer one than is accepted.
        """
        while not self._pdus:
            until = deadline if check is None else min(deadline, check())
            left_s = until - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            with suppress(TimeoutError):
                self._receive(left_s if check is None else min(left_s, POLL_INTERVAL_S))
        return self._pdus.popleft()

    def send(self, data: bytes, timeout_s: float) -> None:
        """Send bytes.

        Raises:
            TimeoutError: the peer takes none in time.
            AbortedError: the connection is closed.
        """
        try:
            rest, left_s = self._send_at_once(data, timeout_s)
            if rest:
                self._set_timeout(left_s)
                self._sock.sendall(rest)
        except TimeoutError:
            raise
        except OSError as error:
            raise AbortedError("the connection is gone") from error

    def _send_at_once(self, data: bytes, timeout_s: float) -> tuple[memoryview, float]:
        """Send what the kernel takes, with the time-out that is set; return the rest, and its seconds."""
        rest = memoryview(data)
        if not 0 < self._timeout_s < timeout_s or isinstance(self._sock, ssl.SSLSocket):
            return rest, timeout_s
        try:
            return rest[self._sock.send(rest) :], timeout_s
        except TimeoutError:
            return rest, timeout_s - self._timeout_s

    def is_quiet(self) -> bool:
        """Return whether the peer has neither sent anything nor closed the connection."""
        if self.closed or self._pdus:
            return False
        waiter = select.poll()
        waiter.register(self._sock, select.POLLIN)
        return not waiter.poll(0)

    def end(self, last: bytes = b"") -> None:
        """Let the thread that reads see the end; with TLS nothing can be sent from another thread."""
        with suppress(OSError, ValueError):
            if last and not isinstance(self._sock, ssl.SSLSocket):
                self._sock.send(last, socket.MSG_DONTWAIT)
        self._shut_down(socket.SHUT_RDWR)

    def drain(self, timeout_s: float) -> None:
        """Send no more and read on until the peer has closed, so that it reads what was sent last.

        A connection that is closed with bytes unread is reset, and with it goes what was sent.
        """
        deadline = time.monotonic() + timeout_s
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
            while (left_s := deadline - time.monotonic()) > 0:
                self._set_timeout(left_s)
                if not self._sock.recv(_RECEIVE_BYTES):
                    return

    def close(self) -> None:
        """Close the connection."""
        self.closed = True
        self._shut_down(socket.SHUT_RDWR)
        with suppress(OSError):
            self._sock.close()

    def _shut_down(self, how: int) -> None:
        with suppress(OSError):
            self._sock.shutdown(how)

    def _receive(self, timeout_s: float) -> int:
        try:
            data = self._received(timeout_s)
        except TimeoutError:
            raise
        except OSError as error:
            raise AbortedError("the connection was cut") from error
        if not data:
            raise AbortedError("the peer closed the connection")
        self._pdus.extend(self._splitter.feed(data))
        return len(data)

    def _received(self, timeout_s: float) -> bytes:
        # A peer with Nagle's algorithm holds back the rest of its message until we acknowledge the
        # begin, which the kernel delays by 40 ms, and does so again whenever we have sent something.
        if _QUICK_ACK is not None:
            self._sock.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
        while timeout_s > _PART_S:
            self._set_timeout(_PART_S)
            try:
                return self._sock.recv(_RECEIVE_BYTES)
            except TimeoutError:
                timeout_s -= _PART_S
        self._set_timeout(timeout_s)
        return self._sock.recv(_RECEIVE_BYTES)

    def _set_timeout(self, timeout_s: float) -> None:
        if timeout_s != self._timeout_s:
            self._sock.settimeout(timeout_s)
            self._timeout_s = timeout_s
