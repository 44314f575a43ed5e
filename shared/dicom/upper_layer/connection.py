"""A connection of a requestor: whole messages in, bytes out, and nothing waits longer than it may.

No thread of its own: what a peer sends while nobody asks is seen at the next look.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections import deque
from collections.abc import Callable

from shared.dicom.upper_layer.dimse_message import DimseMessage, MessageAssembler
from shared.dicom.upper_layer.errors import ProtocolError
from shared.dicom.upper_layer.pdu import A_ABORT, A_RELEASE_RQ, P_DATA_TF, RELEASE_RP, PduSplitter, pdvs_of

#: How often a wait looks whether it should stop.
POLL_S = 0.1

_RECEIVE_BYTES = 1 << 18

#: Only Linux has it.
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class AbortedError(ProtocolError):
    """The peer has ended the association: A-ABORT, A-RELEASE-RQ in the middle, or a closed connection."""


class Connection:
    """A TCP connection without Nagle; used by one thread at a time."""

    def __init__(self, sock: socket.socket, send_timeout_s: float) -> None:
        """Take over a connected socket; `send_timeout_s` is how long a peer may refuse to take bytes."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._sock = sock
        self._send_timeout_s = send_timeout_s
        self._splitter = PduSplitter()
        self._pdus: deque[tuple[int, bytes]] = deque()
        self._assembler = MessageAssembler()
        self._messages: deque[DimseMessage] = deque()
        self.closed = False

    def send(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            AbortedError: the peer takes none.
        """
        try:
            self._sock.settimeout(self._send_timeout_s)
            self._sock.sendall(data)
        except OSError as error:
            raise AbortedError("the connection is gone") from error

    def pdu(self, deadline: float, look: Callable[[], float]) -> tuple[int, bytes]:
        """Return the next PDU. While it waits it calls `look`, which gives a deadline of its own or raises.

        Raises:
            TimeoutError: there is none at the deadline (monotonic seconds).
            AbortedError: the connection is closed.
            ProtocolError: the peer sends what is no PDU.
        """
        while not self._pdus:
            left_s = min(deadline, look()) - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            self._receive(min(left_s, POLL_S))
        return self._pdus.popleft()

    def message(self, response_s: float, look: Callable[[], float]) -> DimseMessage:
        """Return the next message; it has to be whole `answer_s` seconds after the call.

        Raises:
            TimeoutError: it is not, or what `look` gave is over.
            AbortedError: the peer has ended the association.
            ProtocolError: the peer sends what is no message.
        """
        if not self._messages:
            deadline = time.monotonic() + response_s
            while not self._messages:
                self._take(*self.pdu(deadline, look))
        return self._messages.popleft()

    def is_quiet(self) -> bool:
        """Tell whether the peer has neither sent anything nor closed the connection."""
        if self.closed or self._pdus or self._messages:
            return False
        waiter = select.poll()
        waiter.register(self._sock, select.POLLIN)
        return not waiter.poll(0)

    def close(self) -> None:
        """Close the connection at once."""
        self.closed = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _take(self, kind: int, body: bytes) -> None:
        if kind == P_DATA_TF:
            for pdv in pdvs_of(body):
                message = self._assembler.add(pdv)
                if message is not None:
                    self._messages.append(message)
            return
        if kind == A_RELEASE_RQ:
            with contextlib.suppress(AbortedError):
                self.send(RELEASE_RP)
        if kind in (A_RELEASE_RQ, A_ABORT):
            raise AbortedError("the peer ended the association before its final answer")
        raise ProtocolError(f"a PDU of type {kind:02X}H where none may come")

    def _receive(self, timeout_s: float) -> None:
        try:
            self._sock.settimeout(timeout_s)
            self._acknowledge_at_once()
            data = self._sock.recv(_RECEIVE_BYTES)
        except TimeoutError:
            return
        except OSError as error:
            raise AbortedError("the connection was cut") from error
        if not data:
            raise AbortedError("the peer closed the connection")
        self._pdus.extend(self._splitter.feed(data))

    def _acknowledge_at_once(self) -> None:
        """Let the kernel not wait with its ACK: with Nagle on, a peer sends the rest of an answer only then.

        That is 40 ms for each request. Linux forgets the option after a while, so it is set for every read.
        """
        if _QUICK_ACK is not None:
            self._sock.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
