"""Live updates: one subscription of this process, fanned out to open pages as server-sent events.

An event only names the job or node that changed; the page then reads the state from the database. A lost
event therefore only delays an update, and a stream holds nothing but the ids that it follows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator

import structlog

from services.web.live.event_results import EchoResults
from shared.backoff import Backoff
from shared.broker.port import Broker, Message, Subscription
from shared.errors import BrokerAwayError, InvalidInputError
from shared.messaging.codec import decode_event

log = structlog.get_logger(__name__)

#: Events about jobs, nodes, refused commands and workers; not those about single objects.
BINDING_KEYS = ("query.*.*", "retrieve.*.*", "echo.*.*", "profile.*.*", "command.*.*", "worker.#")
#: Seconds between two comments, which keep proxies from closing the stream and detect clients that left.
HEARTBEAT_S = 15.0
#: Seconds after which a stream ends, so that no thread is held for ever; the browser reconnects.
STREAM_S = 60.0
#: Milliseconds that a browser waits before it reconnects.
RECONNECT_MS = 1000
_HEAD = f"retry: {RECONNECT_MS}\n\n"
#: Most ids that a page may follow.
MAX_FOLLOWED = 16
#: Pauses between attempts to subscribe.
RECONNECT = Backoff(0.5, 10.0)


class Stream:
    """Pending changes of one open page; each id at most once, however slow the page is."""

    def __init__(self, followed: Collection[str]) -> None:
        self.followed = frozenset(followed)
        self._changed: set[str] = set()
        self._wake = threading.Condition()
        self._closed = False
        self._listener: Callable[[], None] = _nobody

    def notify(self, changed: str) -> None:
        """Record that a subject changed and wake the reader."""
        with self._wake:
            self._changed.add(changed)
            self._wake.notify()
        self._listener()

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` after each change from now on, and at once if there was one."""
        self._listener = wake
        wake()

    def take(self) -> list[str] | None:
        """Return the subjects that changed since the last call without waiting; None if closed."""
        return self.wait(0)

    def wait(self, timeout_s: float) -> list[str] | None:
        """Return the subjects that changed since the last call; empty after a time-out, None if closed."""
        with self._wake:
            self._wake.wait_for(lambda: self._changed or self._closed, timeout_s)
            if self._closed:
                return None
            changed, self._changed = sorted(self._changed), set()
            return changed

    def close(self) -> None:
        """Close the stream; idempotent."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._listener()


def _nobody() -> None:
    """Wake nobody: the reader waits by itself."""


class Live:
    """Receives events from the broker for all open pages of this process."""

    def __init__(self, broker: Broker, *, max_streams: int) -> None:
        self.event_results = EchoResults()
        self._broker = broker
        self._max_streams = max_streams
        self._lock = threading.Lock()
        self._streams: set[Stream] = set()
        self._stopping = threading.Event()
        self._subscription: Subscription | None = None
        self._thread = threading.Thread(target=self._subscribe, name="live", daemon=True)

    def start(self) -> None:
        """Subscribe in the background as soon as the broker can be reached."""
        self._thread.start()

    def close(self) -> None:
        """Close all streams and the subscription."""
        self._stopping.set()
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            stream.close()
        if self._thread.ident is not None:
            self._thread.join()
        if self._subscription is not None:
            self._subscription.close()

    def open(self, followed: Collection[str]) -> Stream | None:
        """Return a stream of changes; None if `max_streams` are open, in which case the page polls."""
        stream = Stream(followed)
        with self._lock:
            if self._stopping.is_set() or len(self._streams) >= self._max_streams:
                return None
            self._streams.add(stream)
        return stream

    def end(self, stream: Stream) -> None:
        """Close a stream and release its place; idempotent."""
        stream.close()
        with self._lock:
            self._streams.discard(stream)

    @property
    def open_streams(self) -> int:
        """Number of open streams."""
        with self._lock:
            return len(self._streams)

    def _subscribe(self) -> None:
        pauses = RECONNECT.pauses()
        while not self._stopping.is_set():
            try:
                self._broker.declare()
                self._subscription = self._broker.subscribe(BINDING_KEYS, self._receive)
            except BrokerAwayError as error:
                pause_s = next(pauses)
                log.warning("live updates wait for the broker", error=str(error), pause_s=pause_s)
                self._stopping.wait(pause_s)
            else:
                return

    def _receive(self, message: Message) -> None:
        try:
            _, event = decode_event(message)
        except InvalidInputError as error:
            # An event of another program or a newer version: pages notice the change by polling.
            log.debug("event not understood", field=error.field)
        else:
            self.event_results.record(event)
        subject = message.routing_key.rpartition(".")[2]
        with self._lock:
            listening = [stream for stream in self._streams if subject in stream.followed]
        for stream in listening:
            stream.notify(subject)


class PageEvents:
    """The text of a stream of server-sent events, as the HTTP server takes it."""

    def __init__(self, stream: Stream, live: Live) -> None:
        self._stream = stream
        self._live = live
        self._began = False

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` after each change."""
        self._stream.listen(wake)

    def take(self) -> str | None:
        """Return what is to be sent now; None once the stream is closed."""
        changed = self._stream.take()
        if changed is None:
            return None
        head, self._began = "" if self._began else _HEAD, True
        return head + _text(changed)

    def close(self) -> None:
        """Release the stream; idempotent."""
        self._live.end(self._stream)


def stream_body(stream: Stream, stream_s: float = STREAM_S) -> Iterator[str]:
    """Yield the text of a stream until it has lasted long enough or is closed; for servers with threads."""
    deadline = time.monotonic() + stream_s
    yield _HEAD
    while (left_s := deadline - time.monotonic()) > 0:
        changed = stream.wait(min(HEARTBEAT_S, left_s))
        if changed is None:
            return
        yield _text(changed) or ": still here\n\n"


def _text(changed: Iterable[str]) -> str:
    return "".join(f"event: changed\ndata: {subject}\n\n" for subject in changed)
