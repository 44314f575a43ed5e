"""The parts of pynetdicom's requestor that are replaced: its queue of messages and its socket.

pynetdicom up to 3.0.4 (its issue 875): the requestor's own thread polls the queue of received messages and
may take a response from it and drop it. `ResponseQueue` gives nothing to a reader that does not wait. It also
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

from pynetdicom.association import Association as Assoc
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

from shared.dicom.association.operation_deadline import CANCEL_GRACE_S, OperationDeadline
from shared.dicom.cancellation import Cancellation
from shared.dicom.upper_layer.pdu import COMMAND, LAST, MAX_PDU_BYTES

#: Seconds between two checks whether a wait for a response should stop.
POLL_INTERVAL_S = 0.1

_RECEIVE_BYTES = 1 << 16


class ResponseQueue(queue.Queue[Any]):
    """The queue of received DIMSE messages of a requestor: only a reader that waits gets them.

    While a reader waits, it checks the cancellation of the operation in hand, calls `on_cancel` once, and
    gives the peer `CANCEL_GRACE_S` from then on.
    """

    def __init__(self, can_receive: Callable[[], bool]) -> None:
        super().__init__()
        self._can_receive = can_receive
        self.cancellation: Cancellation | None = None
        self.on_cancel: Callable[[], None] | None = None
        #: Whether the last wait ended without a message.
        self.timed_out = False
        self._deadline: float | None = None
        self._operation: OperationDeadline | None = None

    def begin(
        self,
        cancellation: Cancellation | None,
        on_cancel: Callable[[], None] | None,
        operation: OperationDeadline | None = None,
    ) -> None:
        """Set what ends the operation that starts now."""
        self.cancellation, self.on_cancel, self._operation = cancellation, on_cancel, operation
        self.timed_out, self._deadline = False, None

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Wait for the next message.

        Raises:
            queue.Empty: none came in time, none can come any more, or `block` is false.
        """
        if not block:
            raise queue.Empty
        give_up = time.monotonic() + (timeout if timeout is not None else float("inf"))
        while (left := min(give_up, self._until()) - time.monotonic()) > 0:
            # Before each message, too: they may come faster than the polls of an empty queue.
            self._check_cancelled()
            with contextlib.suppress(queue.Empty):
                return super().get(block=True, timeout=min(POLL_INTERVAL_S, left))
            if not self._can_receive():
                # pynetdicom itself wakes a waiting reader after an abort, but not after an invalid PDU.
                return super().get(block=False)
        self.timed_out = True
        raise queue.Empty

    @property
    def operation_is_over(self) -> bool:
        """Whether the operation in hand has taken too long."""
        return self._operation is not None and self._operation.is_over

    def _until(self) -> float:
        until = self._deadline if self._deadline is not None else float("inf")
        return until if self._operation is None else min(until, self._operation.at)

    def expire(self) -> None:
        """Give no further message of the operation in hand: it has taken too long."""
        self._deadline = time.monotonic()

    def _check_cancelled(self) -> None:
        if self.cancellation is None or not self.cancellation.requested or self._deadline:
            return
        self._deadline = time.monotonic() + CANCEL_GRACE_S
        if self.on_cancel is not None:
            self.on_cancel()


class MessageBound:
    """Drops what comes after a message that is longer than is accepted."""

    def __init__(self, assoc: Assoc, max_bytes: int) -> None:
        self._assoc = assoc
        self._receive = assoc.dimse.receive_primitive
        self.max_bytes = max_bytes
        self._size_bytes = 0
        self.exceeded = False

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Pass on what came, in place of pynetdicom's own method."""
        for _, fragment in primitive.presentation_data_value_list:
            self._size_bytes += len(fragment)
            if fragment[0] & LAST and not fragment[0] & COMMAND:
                self._size_bytes = 0
        self.exceeded = self.exceeded or self._size_bytes > self.max_bytes
        if self.exceeded:
            # A thread that waits for a message learns it from the queue, and aborts the association.
            self._assoc.dimse.message = None
            return
        self._receive(primitive)


class RequestorSocket(AssociationSocket):
    """A connection without Nagle that keeps the reason of a failure and waits for no PDU for ever."""

    error: OSError | None = None
    response_timeout_s: float | None = None
    #: Seconds for a whole PDU, or its header, until the association is established.
    associate_timeout_s: float | None = None
    is_open: Callable[[], bool] = staticmethod(lambda: False)

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

    def recv(self, nr_bytes: int) -> bytearray:
        """Read `nr_bytes` bytes; all of them have to come in time, not only each read of them.

        Raises:
            TimeoutError: they do not.
            OSError: no PDU of this length is read.
        """
        if nr_bytes > MAX_PDU_BYTES:
            raise OSError(f"a PDU of {nr_bytes} bytes is longer than any that is read")
        sock = self.socket
        within_s = self.response_timeout_s if self.is_open() else self.associate_timeout_s
        if sock is None or within_s is None:
            return super().recv(nr_bytes)
        deadline = time.monotonic() + within_s
        received = bytearray()
        while len(received) < nr_bytes:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("the peer sends a PDU too slowly")
            sock.settimeout(left_s)
            data = sock.recv(min(nr_bytes - len(received), _RECEIVE_BYTES))
            if not data:
                return received
            received += data
        sock.settimeout(self.response_timeout_s)
        return received

    def _shutdown_socket(self) -> None:
        """Shut down and close; pynetdicom's own leaves the socket open if the peer was faster."""
        sock = self.socket
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def shut(self) -> None:
        """Cut the connection, so that no thread stays in a read or write."""
        if self.socket is not None:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
