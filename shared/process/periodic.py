"""Work that a process repeats beside its other work, such as renewing leases."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from shared.errors import RetriableError

log = structlog.get_logger(__name__)


class Repeating:
    """Calls `work` every `every_s` seconds in a thread of its own; where something is away, the next time."""

    def __init__(self, name: str, every_s: float, work: Callable[[], None]) -> None:
        self._name = name
        self._every_s = every_s
        self._work = work
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; the first call comes after the first pause."""
        self._thread.start()

    def stop(self) -> None:
        """End it, and wait for a call that is under way; safe if it never began."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self._work()
            except RetriableError as error:
                log.warning("postponed", what=self._name, error=str(error))
