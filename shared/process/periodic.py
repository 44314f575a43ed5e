"""Work that a process repeats beside its other work, such as renewing leases."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

import structlog

from shared.errors import RetriableError

log = structlog.get_logger(__name__)


def has_no_defect(work: Callable[[], object], **about: object) -> bool:
    """Do one of many pieces of work; return whether it had no defect, which must not keep the others from it.

    `about` is logged with a defect.

    Raises:
        RetriableError: something is away; the others would not succeed either.
    """
    try:
        work()
    except RetriableError:
        raise
    except Exception:
        log.exception("defect", **about)
        return False
    return True


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


class PeriodicWork(ABC):
    """A part of a service that does what is due, again and again, in a thread of its own."""

    def __init__(self, name: str, every_s: float) -> None:
        self._repeating = Repeating(name, every_s, self.tick)

    def start(self) -> None:
        """Begin."""
        self._repeating.start()

    def stop(self) -> None:
        """End it, after what is under way."""
        self._repeating.stop()

    @abstractmethod
    def tick(self) -> None:
        """Do what is due now.

        Raises:
            RetriableError: something is away; the next tick does what was not done.
        """
