"""Stopping in order: signals set an event; what was started is stopped in reverse."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import structlog

from shared.health import Health
from shared.process.stop_signals import stop_on_signals
from shared.workers.duty import Duty

log = structlog.get_logger(__name__)


class Lifecycle:
    """Collects what must be stopped, waits for a signal, and stops in reverse order.

    Used as a context manager by each service's `main.py`.
    """

    def __init__(self) -> None:
        self.stopping = threading.Event()
        #: Filled by the parts of a service.
        self.health = Health()
        self._duties: dict[str, Duty] = {}
        self._stack = ExitStack()

    def duty_of(self, service: str) -> Duty:
        """Return what a service of this process works on; where services are embedded, each has its own."""
        return self._duties.setdefault(service, Duty())

    def on_stop(self, stop: Callable[[], None]) -> None:
        """Call `stop` at the end, after what was registered later."""
        self._stack.callback(stop)

    def install_signals(self) -> None:
        """Let SIGTERM and SIGINT begin the stop; a second one ends the process at once."""
        stop_on_signals(self.stopping)

    def wait(self) -> None:
        """Block until the stop begins."""
        self.stopping.wait()
        log.info("stopping")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._stack.__exit__(kind, error, trace)
        log.info("stopped")
