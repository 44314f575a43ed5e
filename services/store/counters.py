"""What came in, in numbers, since the service began."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

import structlog

log = structlog.get_logger(__name__)

#: How often changed counters are logged.
LOG_INTERVAL_S = 60.0


class Counters:
    """Counts by name: received, duplicates, conflicts, announced, and refused_<reason>."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, name: str, number: int = 1) -> None:
        """Count something."""
        with self._lock:
            self._counts[name] += number

    def __getitem__(self, name: str) -> int:
        with self._lock:
            return self._counts[name]

    def snapshot(self) -> Mapping[str, int]:
        """Return all counts as they are now."""
        with self._lock:
            return dict(self._counts)


def log_changes(counters: Counters, stopping: threading.Event) -> None:
    """Log the counters once a minute if they changed, and at the end; returns when stopping."""
    before: Mapping[str, int] = {}
    while True:
        stopped = stopping.wait(LOG_INTERVAL_S)
        if (now := counters.snapshot()) != before:
            log.info("counters", **now)
            before = now
        if stopped:
            return
