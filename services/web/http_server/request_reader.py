"""Reads the requests of all connections on one thread, so that a slow client holds no worker."""

from __future__ import annotations

import contextlib
import io
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from queue import Empty, SimpleQueue

import structlog
from cheroot.server import HTTPConnection

from services.web.http_server.request_buffer import RequestBuffer, RequestRefusedError

log = structlog.get_logger(__name__)

#: Connections in all, and from one address (not counted behind a proxy, which is one address for all).
CONNECTIONS, CONNECTIONS_OF_ADDRESS = 512, 100
#: Bytes of unfinished requests that are held for all connections together.
BUFFERED_BYTES = 64 << 20
#: Seconds in which a response must be sent; an event stream ends after 60 s by itself.
RESPONSE_S = 300.0
#: Seconds between two checks of the deadlines.
_TICK_S = 0.25
_RECEIVE_BYTES = 64 << 10


class RequestFile(io.BytesIO):
    """A whole request, in place of the socket's file."""

    def __init__(self, request: bytes, rest: bytes) -> None:
        super().__init__(request)
        #: What the client sent after this request.
        self.rest = rest
        self.bytes_read = len(request)

    def has_data(self) -> bool:
        """Whether the client has already sent more (pipelining)."""
        return bool(self.rest)


class RequestReader:
    """Owns each connection from its acceptance until its request is whole, and between two requests."""

    def __init__(
        self,
        dispatch: Callable[[HTTPConnection, bytes], None],
        *,
        of_address: int | None = CONNECTIONS_OF_ADDRESS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dispatch = dispatch
        self._of_address = of_address
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._waker, self._wakened = socket.socketpair()
        self._arrived: SimpleQueue[HTTPConnection] = SimpleQueue()
        self._reading: dict[HTTPConnection, RequestBuffer] = {}
        self._lock = threading.Lock()
        self._open: dict[HTTPConnection, str] = {}
        self._addresses: Counter[str] = Counter()
        self._responding: dict[HTTPConnection, float] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="http requests", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._wakened.setblocking(False)
        self._selector.register(self._wakened, selectors.EVENT_READ)
        self._thread.start()

    def stop(self) -> None:
        """End, and close the connections whose request is not whole."""
        self._stopping.set()
        self._wake()
        if self._thread.ident is not None:
            self._thread.join()
        for connection in [*self._reading, *self._drain()]:
            connection.close()
        self._selector.close()
        self._waker.close()
        self._wakened.close()

    def add(self, connection: HTTPConnection) -> None:
        """Read the next request of a connection; callable from any thread."""
        with self._lock:
            self._responding.pop(connection, None)
        self._arrived.put(connection)
        self._wake()

    def closed(self, connection: HTTPConnection) -> None:
        """Stop counting a connection; idempotent."""
        with self._lock:
            self._responding.pop(connection, None)
            address = self._open.pop(connection, None)
            if address is not None:
                self._addresses[address] -= 1
                if not self._addresses[address]:
                    del self._addresses[address]

    def _run(self) -> None:
        while not self._stopping.is_set():
            for key, _ in self._selector.select(_TICK_S):
                if key.fileobj is self._wakened:
                    with contextlib.suppress(BlockingIOError):
                        self._wakened.recv(_RECEIVE_BYTES)
                elif key.data in self._reading:
                    self._receive(key.data)
            for connection in self._drain():
                self._begin(connection)
            self._expire()

    def _drain(self) -> list[HTTPConnection]:
        connections: list[HTTPConnection] = []
        with contextlib.suppress(Empty):
            while True:
                connections.append(self._arrived.get_nowait())
        return connections

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._waker.send(b"\0", socket.MSG_DONTWAIT)

    def _begin(self, connection: HTTPConnection) -> None:
        if not self._admit(connection):
            self._refuse(connection, HTTPStatus.SERVICE_UNAVAILABLE)
            return
        self._reading[connection] = RequestBuffer(self._clock())
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        rest = getattr(connection.rfile, "rest", b"")
        if rest:
            self._feed(connection, rest)

    def _admit(self, connection: HTTPConnection) -> bool:
        """Count a new connection; where there are too many, the one that has waited longest gives way."""
        address = str(connection.remote_addr)
        with self._lock:
            if connection in self._open:
                return True
            if self._of_address is not None and self._addresses[address] >= self._of_address:
                return False
            full = len(self._open) >= CONNECTIONS
        if full:
            waiting = min(self._reading.items(), key=lambda item: item[1].deadline, default=None)
            if waiting is None:
                return False
            self._refuse(waiting[0], HTTPStatus.SERVICE_UNAVAILABLE)
        with self._lock:
            self._open[connection] = address
            self._addresses[address] += 1
        return True

    def _receive(self, connection: HTTPConnection) -> None:
        try:
            received = connection.socket.recv(_RECEIVE_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if received:
            self._feed(connection, received)
        else:
            self._release(connection)
            connection.close()

    def _feed(self, connection: HTTPConnection, received: bytes) -> None:
        request = self._reading[connection]
        had_head = request.has_head
        try:
            request.feed(received, self._clock())
        except RequestRefusedError as error:
            self._refuse(connection, error.status)
            return
        if request.complete:
            self._release(connection)
            path = request.path
            connection.rfile = RequestFile(*request.take())
            with self._lock:
                self._responding[connection] = self._clock() + RESPONSE_S
            self._dispatch(connection, path)
        elif sum(len(buffer) for buffer in self._reading.values()) > BUFFERED_BYTES:
            self._refuse(connection, HTTPStatus.SERVICE_UNAVAILABLE)
        elif request.has_head and not had_head and request.expects_continue:
            with contextlib.suppress(OSError):
                connection.socket.send(b"HTTP/1.1 100 Continue\r\n\r\n", socket.MSG_DONTWAIT)

    def _expire(self) -> None:
        now = self._clock()
        for connection, request in list(self._reading.items()):
            if request.deadline <= now:
                # Silence is no request: RFC 9110 15.5.9 allows to close without a word.
                self._refuse(connection, HTTPStatus.REQUEST_TIMEOUT if len(request) else None)
        with self._lock:
            late = [connection for connection, deadline in self._responding.items() if deadline <= now]
            for connection in late:
                del self._responding[connection]
        for connection in late:
            # The worker's next write fails, and it closes the connection.
            log.warning("response not read in time", address=connection.remote_addr)
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)

    def _refuse(self, connection: HTTPConnection, status: HTTPStatus | None) -> None:
        self._release(connection)
        if status is not None:
            log.warning("request refused", address=connection.remote_addr, status=status.value)
            body = f"{status.value} {status.phrase}\n"
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain\r\n"
            head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            with contextlib.suppress(OSError):
                connection.socket.send((head + body).encode("ascii"), socket.MSG_DONTWAIT)
                connection.socket.shutdown(socket.SHUT_WR)
        connection.close()

    def _release(self, connection: HTTPConnection) -> None:
        if self._reading.pop(connection, None) is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(connection.socket)
