"""The server-sent events of one job: its summary whenever it changed, and its end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from flask import current_app

from services.web.live.event_stream import RECONNECT_MS, Stream
from shared.errors import DatabaseAwayError

KEY = "doseqr_api_streams"

#: Seconds between two comments, and between two reads of the row in case an event was lost.
HEARTBEAT_S, REREAD_S = 15.0, 5.0
#: Seconds after which a stream ends, so that no thread is held for ever; a client connects again and gets the
#: present state first.
STREAM_S = 600.0
#: Share of the server's threads that streams of the API may hold; pages have theirs besides.
STREAM_SHARE = 0.2

Read = Callable[[], Mapping[str, object] | None]


class StreamSlots:
    """How many streams of the API may be open at once; thread-safe."""

    def __init__(self, slots: int) -> None:
        self._free = threading.Semaphore(slots)

    def take(self) -> bool:
        """Take a slot; False if there is none left."""
        return self._free.acquire(blocking=False)

    def release(self) -> None:
        """Give a slot back."""
        self._free.release()


def slots() -> StreamSlots:
    """Return the slots of the app that handles the request."""
    found = current_app.extensions[KEY]
    assert isinstance(found, StreamSlots)
    return found


def job_events(
    stream: Stream, read: Read, ended: Callable[[Mapping[str, object]], bool], stream_s: float = STREAM_S
) -> Iterator[str]:
    """Yield the text of the stream: `job` with the summary at first and after each change, then `ended`.

    `read` returns the summary, or None once the job is gone.
    """
    deadline = time.monotonic() + stream_s
    heartbeat_at = time.monotonic() + HEARTBEAT_S
    last = None
    yield f"retry: {RECONNECT_MS}\n\n"
    while True:
        try:
            summary = read()
        except DatabaseAwayError:
            summary = last
            yield ": the database is away\n\n"
        else:
            if summary is None:
                return
        if summary is not None and summary != last:
            last = summary
            yield _event("job", summary)
            if ended(summary):
                yield _event("ended", summary)
                return
        now = time.monotonic()
        if now >= heartbeat_at:
            heartbeat_at = now + HEARTBEAT_S
            yield ": still here\n\n"
        if now >= deadline or stream.wait(min(REREAD_S, max(0.0, deadline - now))) is None:
            return


def _event(name: str, data: Mapping[str, object]) -> str:
    return f"event: {name}\ndata: {json.dumps(dict(data))}\n\n"
