"""Writes the event streams of all open pages on one thread, so that a page that is open holds no worker.

A worker sends the head of the response and hands the connection over. What is sent after it is taken from the
source of the stream only while the client reads: a slow reader has no more than one text waiting, and is
dropped if it does not read that.
"""

from __future__ import annotations

import contextlib
import random
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

#: The key of the WSGI environment under which an app finds the `HandOver` of its request.
HAND_OVER = "doseqr.hand_over"
#: Streams in all, and from one address (not counted behind a proxy, which is one address for all).
STREAMS, STREAMS_OF_ADDRESS = 400, 250
#: Seconds between two comments, which keep proxies from closing the stream and detect clients that left.
HEARTBEAT_S = 15.0
#: Seconds after which a stream ends, and the share by which this varies: the browser connects again, not all
#: of them at once, and whether it may is checked anew.
STREAM_S, STREAM_SPREAD = 240.0, 0.25
#: Seconds in which a client must read what waits.
STALLED_S = 20.0
#: Seconds between two texts of a stream for each stream that is open: each text lets a page fetch what has
#: changed, and many pages on one job would do so at once.
GAP_S, GAP_MAX_S = 0.003, 0.6
_TICK_S = 0.25
_RECEIVE_BYTES = 4096
#: Bytes that the kernel keeps of a stream.
_SEND_BUFFER_BYTES = 16 << 10


class EventSource(Protocol):
    """Where the text of a stream comes from."""

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever there is text, from whichever thread; at once if there is already."""

    def take(self) -> str | None:
        """Return what is to be sent now, empty for nothing; None once the stream is over. Never waits."""

    def close(self) -> None:
        """Release it; idempotent."""


#: Takes the rest of a response out of the hands of its worker; returns whether there is room for it.
HandOver = Callable[[EventSource], bool]


@dataclass(eq=False, slots=True)
class _OpenStream:
    """A connection and what waits to be sent."""

    connection: socket.socket
    source: EventSource
    address: str
    chunked: bool
    #: Called after the connection is closed.
    closed: Callable[[], None]
    ends_at: float
    heartbeat_at: float
    next_at: float = 0.0
    waiting: bytearray = field(default_factory=bytearray)
    waiting_since: float = 0.0
    changed: bool = True

    def frame(self, text: str) -> None:
        """Add a text to what waits, as a chunk where the head says so (RFC 9112 7.1)."""
        body = text.encode()
        self.waiting += b"%x\r\n%b\r\n" % (len(body), body) if self.chunked else body


class EventWriter:
    """Owns each connection from the head of its response to its end."""

    def __init__(
        self, *, of_address: int | None = STREAMS_OF_ADDRESS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._of_address = of_address
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._waker, self._wakened = socket.socketpair()
        self._arrived: SimpleQueue[_OpenStream] = SimpleQueue()
        self._changed: SimpleQueue[_OpenStream] = SimpleQueue()
        self._lock = threading.Lock()
        self._places: dict[str, int] = {}
        self._streams: set[_OpenStream] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event streams", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        for end in (self._waker, self._wakened):
            end.setblocking(False)
        self._selector.register(self._wakened, selectors.EVENT_READ)
        self._thread.start()

    def stop(self) -> None:
        """End all streams."""
        self._stopping.set()
        self._wake()
        if self._thread.ident is not None:
            self._thread.join()
        for stream in [*self._streams, *_drain(self._arrived)]:
            self._end(stream)
        self._selector.close()
        self._waker.close()
        self._wakened.close()

    @property
    def open_streams(self) -> int:
        """Number of open streams."""
        with self._lock:
            return sum(self._places.values())

    def reserve(self, address: str) -> bool:
        """Take a place for a stream to an address; False if there is none."""
        with self._lock:
            of_address = self._places.get(address, 0)
            full = self._of_address is not None and of_address >= self._of_address
            if self._stopping.is_set() or full or sum(self._places.values()) >= STREAMS:
                return False
            self._places[address] = of_address + 1
            return True

    def release(self, address: str) -> None:
        """Give a place back."""
        with self._lock:
            self._places[address] -= 1
            if not self._places[address]:
                del self._places[address]

    def add(
        self,
        connection: socket.socket,
        source: EventSource,
        address: str,
        closed: Callable[[], None],
        *,
        chunked: bool,
    ) -> None:
        """Take a connection whose head is sent, for which there is a place; `closed` is called at its end."""
        now = self._clock()
        ends_at = now + STREAM_S * random.uniform(1 - STREAM_SPREAD, 1 + STREAM_SPREAD)  # noqa: S311
        stream = _OpenStream(connection, source, address, chunked, closed, ends_at, now + HEARTBEAT_S)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        connection.setblocking(False)
        self._arrived.put(stream)
        self._wake()

    def _run(self) -> None:
        while not self._stopping.is_set():
            for key, events in self._selector.select(_TICK_S if self._streams else None):
                if key.fileobj is self._wakened:
                    with contextlib.suppress(BlockingIOError):
                        self._wakened.recv(_RECEIVE_BYTES)
                elif events & selectors.EVENT_READ and self._has_left(key.data):
                    self._end(key.data)
                elif events & selectors.EVENT_WRITE:
                    self._send(key.data)
            for stream in _drain(self._arrived):
                self._streams.add(stream)
                self._selector.register(stream.connection, selectors.EVENT_READ, stream)
                stream.source.listen(lambda stream=stream: self._note(stream))  # type: ignore[misc]
            for stream in _drain(self._changed):
                stream.changed = True
            self._go_round()

    def _note(self, stream: _OpenStream) -> None:
        self._changed.put(stream)
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def _go_round(self) -> None:
        """Send what has changed and what is due."""
        now = self._clock()
        gap_s = min(GAP_MAX_S, GAP_S * len(self._streams))
        for stream in list(self._streams):
            if stream.waiting:
                if now - stream.waiting_since >= STALLED_S:
                    log.warning("event stream not read", address=stream.address)
                    self._end(stream)
            elif now >= stream.ends_at:
                self._end(stream)
            elif (stream.changed and now >= stream.next_at) or now >= stream.heartbeat_at:
                stream.next_at, stream.changed = now + gap_s, False
                self._fill(stream, now)

    def _fill(self, stream: _OpenStream, now: float) -> None:
        text = stream.source.take()
        if text is None:
            self._end(stream)
            return
        if not text and now >= stream.heartbeat_at:
            text = ": still here\n\n"
        if text:
            stream.frame(text)
            stream.waiting_since, stream.heartbeat_at = now, now + HEARTBEAT_S
            self._send(stream)

    def _send(self, stream: _OpenStream) -> None:
        try:
            sent = stream.connection.send(stream.waiting)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._end(stream)
            return
        del stream.waiting[:sent]
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if stream.waiting else 0)
        self._selector.modify(stream.connection, wanted, stream)

    def _has_left(self, stream: _OpenStream) -> bool:
        """Return whether the client has closed its side; one that sends more is not waited for either."""
        try:
            stream.connection.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def _end(self, stream: _OpenStream) -> None:
        self._streams.discard(stream)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(stream.connection)
        if stream.chunked and not stream.waiting:
            with contextlib.suppress(OSError):
                stream.connection.send(b"0\r\n\r\n", socket.MSG_DONTWAIT)
        with contextlib.suppress(OSError):
            stream.connection.shutdown(socket.SHUT_RDWR)
        stream.source.close()
        self.release(stream.address)
        stream.closed()


def _drain(queue: SimpleQueue[_OpenStream]) -> list[_OpenStream]:
    streams: list[_OpenStream] = []
    with contextlib.suppress(Empty):
        while True:
            streams.append(queue.get_nowait())
    return streams
