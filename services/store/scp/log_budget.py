"""A bound on log lines about bad connections, so that nobody can fill the log by opening them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)

#: Lines of one kind in a period, and its length in seconds; the first line of the next one counts the rest.
MAX_LINES, PERIOD_S = 30, 60.0


@dataclass
class _Period:
    began_at: float
    lines: int = 0
    left_out: int = 0


class LogBudget:
    """Logs warnings as long as there are few of their kind; safe for many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._periods: dict[str, _Period] = {}
        self._lock = threading.Lock()

    def warning(self, event: str, **fields: object) -> None:
        """Log a line, or count that it was left out."""
        left_out = self._take(event)
        if left_out is None:
            return
        log.warning(event, **fields, **({"lines_left_out": left_out} if left_out else {}))

    def _take(self, event: str) -> int | None:
        """Return how many lines were left out before this one; None if it is to be left out, too."""
        now = self._clock()
        with self._lock:
            period = self._periods.setdefault(event, _Period(now))
            left_out = 0
            if now - period.began_at >= PERIOD_S:
                left_out = period.left_out
                period = self._periods[event] = _Period(now)
            if period.lines >= MAX_LINES:
                period.left_out += 1
                return None
            period.lines += 1
            return left_out
