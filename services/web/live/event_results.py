"""Results that only events carry: refusals of commands, and C-ECHO results while an echo is running."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from shared.contract.events import WorkerHeartbeat
from shared.contract.messages import EchoCompleted, Event, NodeProfiled, NodeStatus, Rejected
from shared.contract.text import StoreState

#: Most refusals, echoes and measurements kept; the oldest are dropped first.
REJECTIONS, ECHOES, PROFILES, STORES = 1000, 200, 200, 32
#: Seconds for which a heartbeat of the store counts; one comes every ten seconds.
STORE_STATE_S = 35.0


#: Workers that are remembered, and seconds after which a silent one is left out.
WORKERS, WORKER_S = 500, 120.0


@dataclass(frozen=True, slots=True)
class WorkerSign:
    """A worker, and how long ago its last heartbeat came."""

    service: str
    worker: str
    seconds: float
    #: draining or drained; empty where it takes tasks.
    drain: str = ""


@dataclass(slots=True)
class Echo:
    """Results of one echo command so far, by node."""

    results: dict[int, NodeStatus] = field(default_factory=dict)
    completed: bool = False


class EchoResults:
    """Keeps the latest results; thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._stores: OrderedDict[str, tuple[float, StoreState]] = OrderedDict()
        self._workers: OrderedDict[str, tuple[float, WorkerHeartbeat]] = OrderedDict()
        self._rejections: OrderedDict[str, Rejected] = OrderedDict()
        self._echoes: OrderedDict[str, Echo] = OrderedDict()
        self._profiles: OrderedDict[str, NodeProfiled] = OrderedDict()

    def record(self, event: Event) -> None:
        """Keep the result that an event carries, if it has one."""
        with self._lock:
            if isinstance(event, Rejected):
                self._rejections[event.command_id] = event
                _forget(self._rejections, REJECTIONS)
            elif isinstance(event, NodeStatus):
                self._echo(event.echo_id).results[event.node_id] = event
            elif isinstance(event, EchoCompleted):
                echo = self._echo(event.echo_id)
                echo.results.update({result.node_id: result for result in event.results})
                echo.completed = True
            elif isinstance(event, WorkerHeartbeat):
                self._heartbeat(event)
            elif isinstance(event, NodeProfiled):
                self._profiles[event.command_id] = event
                _forget(self._profiles, PROFILES)

    def store_states(self) -> list[StoreState]:
        """Return what the processes of DoseQR's own store reported in their last heartbeats."""
        oldest = self._clock() - STORE_STATE_S
        with self._lock:
            return [state for at, state in self._stores.values() if at >= oldest]

    def workers(self) -> list[WorkerSign]:
        """Return the workers of whom a heartbeat came lately, by service and name."""
        now = self._clock()
        with self._lock:
            known = [
                WorkerSign(beat.service, beat.worker, now - at, beat.drain or "")
                for at, beat in self._workers.values()
            ]
        alive = (sign for sign in known if sign.seconds <= WORKER_S)
        return sorted(alive, key=lambda sign: (sign.service, sign.worker))

    def rejection(self, command_id: str) -> Rejected | None:
        """Return the refusal of a command, or None."""
        with self._lock:
            return self._rejections.get(command_id)

    def profiled(self, command_id: str) -> NodeProfiled | None:
        """Return the result of a measurement, or None while it runs."""
        with self._lock:
            return self._profiles.get(command_id)

    def echo(self, echo_id: str) -> Echo:
        """Return the results of an echo command so far."""
        with self._lock:
            known = self._echoes.get(echo_id)
            return Echo(dict(known.results), known.completed) if known else Echo()

    def _heartbeat(self, event: WorkerHeartbeat) -> None:
        if event.state == "stopping":
            self._workers.pop(event.worker, None)
        else:
            self._workers[event.worker] = self._clock(), event
            self._workers.move_to_end(event.worker)
            _forget(self._workers, WORKERS)
        if event.state == "stopping":
            self._stores.pop(event.worker, None)
        elif event.store is not None:
            self._stores[event.worker] = self._clock(), event.store
            self._stores.move_to_end(event.worker)
            _forget(self._stores, STORES)

    def _echo(self, echo_id: str) -> Echo:
        echo = self._echoes.setdefault(echo_id, Echo())
        _forget(self._echoes, ECHOES)
        return echo


RememberedT = TypeVar("RememberedT")


def _forget(remembered: OrderedDict[str, RememberedT], most: int) -> None:
    while len(remembered) > most:
        remembered.popitem(last=False)
