"""The level of this process's log, which can be changed for a while."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from shared.clock import Clock, utc_now


class LogLevel:
    """A level that falls back by itself; safe to use from any thread."""

    def __init__(self, name: str = "INFO", clock: Clock = utc_now) -> None:
        self._configured = name
        self._clock = clock
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._on_change: Callable[[str], None] = lambda _: None
        self.name = name
        #: The number of the level, as the standard library counts it.
        self.number = logging.getLevelNamesMapping()[name]
        #: When it falls back; none: it is the configured one.
        self.until: datetime | None = None

    def configure(self, name: str, on_change: Callable[[str], None]) -> None:
        """Set the level to which it falls back, and what is to be done at each change."""
        self._configured, self._on_change = name, on_change
        self._set(name, None)

    def change(self, name: str, for_s: float) -> None:
        """Change it for so many seconds; the last change counts."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(for_s, self._fall_back)
            self._timer.daemon = True
            self._timer.start()
            self._set(name, self._clock() + timedelta(seconds=for_s))

    def _fall_back(self) -> None:
        with self._lock:
            self._set(self._configured, None)

    def _set(self, name: str, until: datetime | None) -> None:
        self.number, self.name, self.until = logging.getLevelNamesMapping()[name], name, until
        self._on_change(name)


#: That of this process.
LEVEL = LogLevel()
