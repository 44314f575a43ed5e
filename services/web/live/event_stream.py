"""Live updates: one subscription of this process is fanned out to the open pages as server-sent events.

An event only says that something changed; what it is now, a page reads from the database. So a lost event
costs a little time and nothing else, and a stream holds no more than the ids that it follows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator

import structlog

from services.web.live.event_results import EchoResults
from shared.broker.port import Broker, Message, Subscription
from shared.errors import BrokerAwayError, InvalidInputError
from shared.messaging.codec import decode_event

log = structlog.get_logger(__name__)

#: Events about jobs, nodes and refused commands; not those about single objects and workers.
BINDING_KEYS = ("query.*.*", "retrieve.*.*", "echo.*.*", "profile.*.*", "command.*.*")
#: A comment goes out so often, in seconds, so that proxies keep the stream and gone clients are noticed.
HEARTBEAT_S = 15.0
#: A stream ends by itself after so many seconds; the browser opens it again, and no thread is held for ever.
STREAM_S = 60.0
#: What a browser waits before it opens a stream again, in milliseconds.
RECONNECT_MS = 1000
#: Ids that one page may follow.
MAX_FOLLOWED = 16
#: Pauses between attempts to subscribe.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0


class Stream:
    """The changes that one open page waits for; each id at most once, however slow the page is."""

    def __init__(self, followed: Collection[str]) -> None:
        self.followed = frozenset(followed)
        self._changed: set[str] = set()
        self._wake = threading.Condition()
        self._closed = False

    def tell(self, changed: str) -> None:
        """Say that something changed."""
        with self._wake:
            self._changed.add(changed)
            self._wake.notify()

    def wait(self, timeout_s: float) -> list[str] | None:
        """Return what changed since the last call, nothing after the time-out, None once it is closed."""
        with self._wake:
            self._wake.wait_for(lambda: self._changed or self._closed, timeout_s)
            if self._closed:
                return None
            changed, self._changed = sorted(self._changed), set()
            return changed

    def close(self) -> None:
        """End it; safe to repeat."""
        with self._wake:
            self._closed = True
            self._wake.notify()


class Live:
    """Hears the events of the broker for all open pages of this process."""

    def __init__(self, broker: Broker, *, max_streams: int) -> None:
        self.heard = EchoResults()
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
        """End all streams and the subscription."""
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
        """Return a stream of changes; None if there are as many as there may be: the page then polls."""
        stream = Stream(followed)
        with self._lock:
            if self._stopping.is_set() or len(self._streams) >= self._max_streams:
                return None
            self._streams.add(stream)
        return stream

    def end(self, stream: Stream) -> None:
        """Close a stream and forget it; safe to repeat."""
        stream.close()
        with self._lock:
            self._streams.discard(stream)

    @property
    def open_streams(self) -> int:
        """How many pages listen now."""
        with self._lock:
            return len(self._streams)

    def _subscribe(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            try:
                self._broker.declare()
                self._subscription = self._broker.subscribe(BINDING_KEYS, self._hear)
            except BrokerAwayError as error:
                log.warning("live updates wait for the broker", error=str(error), pause_s=pause_s)
                self._stopping.wait(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            else:
                return

    def _hear(self, message: Message) -> None:
        try:
            _, event = decode_event(message)
        except InvalidInputError as error:
            # Somebody else's event, or one of a newer version: the pages find out by polling.
            log.debug("event not understood", field=error.field)
        else:
            self.heard.hear(event)
        subject = message.routing_key.rpartition(".")[2]
        with self._lock:
            listening = [stream for stream in self._streams if subject in stream.followed]
        for stream in listening:
            stream.tell(subject)


def stream_body(stream: Stream, stream_s: float = STREAM_S) -> Iterator[str]:
    """Yield the text of a stream of server-sent events until it has lasted long enough or is closed."""
    deadline = time.monotonic() + stream_s
    yield f"retry: {RECONNECT_MS}\n\n"
    while (left_s := deadline - time.monotonic()) > 0:
        changed = stream.wait(min(HEARTBEAT_S, left_s))
        if changed is None:
            return
        yield "".join(f"event: changed\ndata: {one}\n\n" for one in changed) or ": still here\n\n"
