"""What a worker does: the tasks in hand, and whether it takes more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Literal

from shared.contract.text import ClaimedTask

DutyState = Literal["running", "draining", "drained"]


class Duty:
    """The consumption of tasks of one service in this process; safe to use from any thread.

    A service without tasks, such as the page, has nothing to drain: it is drained at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: DutyState = "running"
        #: Raised by each drain and resume: a drain that ends after a resume changes nothing.
        self._turn = 0
        self._stop: Callable[[], None] | None = None
        self._begin: Callable[[], None] | None = None
        #: The tasks that this worker works on now.
        self.claimed_tasks: Callable[[], Sequence[ClaimedTask]] = list

    def consists_of(self, stop: Callable[[], None], begin: Callable[[], None]) -> None:
        """Set how consumption ends, which waits for what is in hand, and how it begins again."""
        self._stop, self._begin = stop, begin

    @property
    def state(self) -> DutyState:
        """Whether it takes tasks, finishes those in hand, or has none any more."""
        return self._state

    @property
    def takes_tasks(self) -> bool:
        """Whether it is a service with tasks that takes them now."""
        return self._state == "running" and self._stop is not None

    def drain(self, when_drained: Callable[[], None]) -> None:
        """Take no more tasks; `when_drained` is called, on another thread, once none is in hand."""
        with self._lock:
            if self._state == "drained":
                turn = None
            else:
                self._state, self._turn = "draining", self._turn + 1
                turn = self._turn
        threading.Thread(target=self._drain, args=(turn, when_drained), name="drain", daemon=True).start()

    def _drain(self, turn: int | None, when_drained: Callable[[], None]) -> None:
        if self._stop is not None and turn is not None:
            self._stop()
        with self._lock:
            if turn is not None:
                if turn != self._turn:
                    return
                self._state = "drained"
        when_drained()

    def resume(self) -> None:
        """Take tasks again."""
        with self._lock:
            was, self._state, self._turn = self._state, "running", self._turn + 1
        if was != "running" and self._begin is not None:
            self._begin()
