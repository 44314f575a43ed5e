"""The two parts of pynetdicom's requestor that are replaced: its queue of answers and its socket.

pynetdicom up to 3.0.4 (its issue 875): the requestor's own thread polls the queue of received messages and
may take an answer from it and drop it. `ResponseQueue` gives nothing to a reader that does not wait. It also
sets no TCP_NODELAY, which costs 40 ms for each request that is written in two pieces, and only logs why a
connection failed.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import time
from collections.abc import Callable
from typing import Any

from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

from shared.dicom.cancellation import Cancellation

#: How often a wait for an answer looks whether it should stop.
POLL_S = 0.1

#: How long a peer may take to end an operation after C-CANCEL before the association is aborted.
CANCEL_GRACE_S = 2.0


class ResponseQueue(queue.Queue[Any]):
    """The queue of received DIMSE messages of a requestor: only the one who waits for an answer gets it.

    While it waits it looks at the cancellation of the operation in hand, calls `on_cancel` once, and gives
    the peer `CANCEL_GRACE_S` from then on.
    """

    def __init__(self, can_receive: Callable[[], bool]) -> None:
        super().__init__()
        self._can_receive = can_receive
        self.cancellation: Cancellation | None = None
        self.on_cancel: Callable[[], None] | None = None
        #: Whether the last wait ended without a message.
        self.timed_out = False
        self._deadline: float | None = None

    def begin(self, cancellation: Cancellation | None, on_cancel: Callable[[], None] | None) -> None:
        """Set what an operation that starts now listens to."""
        self.cancellation, self.on_cancel = cancellation, on_cancel
        self.timed_out, self._deadline = False, None

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Wait for the next message.

        Raises:
            queue.Empty: none came in time, none can come any more, or `block` is false.
        """
        if not block:
            raise queue.Empty
        give_up = time.monotonic() + (timeout if timeout is not None else float("inf"))
        while (left := min(give_up, self._deadline or give_up) - time.monotonic()) > 0:
            # Before each message, too: they may come faster than it is looked while none is there.
            self._check_cancelled()
            with contextlib.suppress(queue.Empty):
                return super().get(block=True, timeout=min(POLL_S, left))
            if not self._can_receive():
                # pynetdicom itself tells a waiting reader of an abort, but not of a peer that sends nonsense.
                return super().get(block=False)
        self.timed_out = True
        raise queue.Empty

    def expire(self) -> None:
        """Give no further message of the operation in hand: it has taken too long."""
        self._deadline = time.monotonic()

    def _check_cancelled(self) -> None:
        if self.cancellation is None or not self.cancellation.requested or self._deadline:
            return
        self._deadline = time.monotonic() + CANCEL_GRACE_S
        if self.on_cancel is not None:
            self.on_cancel()


class RequestorSocket(AssociationSocket):
    """A connection without Nagle that keeps the reason of a failure and waits for no half PDU for ever."""

    error: OSError | None = None
    response_timeout_s: float | None = None

    def connect(self, primitive: T_CONNECT) -> None:
        """Connect; the state machine learns the result, `error` holds what went wrong."""
        try:
            self._connect(primitive)
            primitive.result = "Evt2"
        except OSError as error:
            self.error = error
            if self.socket is not None:
                self._shutdown_socket()
                self.socket = None
            primitive.result = "Evt17"
        finally:
            self.provider_queue.put(primitive)
            self._ready.set()

    def _connect(self, primitive: T_CONNECT) -> None:
        if self.socket is None:
            raise OSError("the socket is closed")
        if self.tls_args:
            context, server_hostname = self.tls_args
            self.socket = context.wrap_socket(self.socket, server_hostname=server_hostname)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.socket.settimeout(self.assoc.connection_timeout)
        self.socket.connect(primitive.address_info.as_tuple)
        self.socket.settimeout(self.response_timeout_s)
        self.assoc.requestor.address_info = AddressInformation.from_tuple(self.socket.getsockname())
        self._is_connected = True

    def _shutdown_socket(self) -> None:
        """Shut down and close; pynetdicom's own leaves the socket open if the peer was faster."""
        sock = self.socket
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def shut(self) -> None:
        """Cut the connection at once, so that no thread stays in a read or write."""
        if self.socket is not None:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
