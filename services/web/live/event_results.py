"""What only events say: why a command was refused, and how nodes answer while the others are still asked."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from shared.contract.messages import EchoCompleted, Event, NodeProfiled, NodeStatus, Rejected

#: Refusals, echoes and measurements that are remembered; the oldest are forgotten first.
REJECTIONS, ECHOES, PROFILES = 1000, 200, 200


@dataclass(slots=True)
class Echo:
    """The answers to one echo command so far, by node."""

    answers: dict[int, NodeStatus] = field(default_factory=dict)
    completed: bool = False


class EchoResults:
    """Remembers the last of each; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rejections: OrderedDict[str, Rejected] = OrderedDict()
        self._echoes: OrderedDict[str, Echo] = OrderedDict()
        self._profiles: OrderedDict[str, NodeProfiled] = OrderedDict()

    def hear(self, event: Event) -> None:
        """Remember what an event says, if nothing else does."""
        with self._lock:
            if isinstance(event, Rejected):
                self._rejections[event.command_id] = event
                _forget(self._rejections, REJECTIONS)
            elif isinstance(event, NodeStatus):
                self._echo(event.echo_id).answers[event.node_id] = event
            elif isinstance(event, EchoCompleted):
                echo = self._echo(event.echo_id)
                echo.answers.update({result.node_id: result for result in event.results})
                echo.completed = True
            elif isinstance(event, NodeProfiled):
                self._profiles[event.command_id] = event
                _forget(self._profiles, PROFILES)

    def rejection(self, command_id: str) -> Rejected | None:
        """Return why a command was refused, if it was."""
        with self._lock:
            return self._rejections.get(command_id)

    def profiled(self, command_id: str) -> NodeProfiled | None:
        """Return how the measurement of a node ended, if it has."""
        with self._lock:
            return self._profiles.get(command_id)

    def echo(self, echo_id: str) -> Echo:
        """Return the answers to an echo command so far."""
        with self._lock:
            known = self._echoes.get(echo_id)
            return Echo(dict(known.answers), known.completed) if known else Echo()

    def _echo(self, echo_id: str) -> Echo:
        echo = self._echoes.setdefault(echo_id, Echo())
        _forget(self._echoes, ECHOES)
        return echo


def _forget(remembered: OrderedDict[str, Any], most: int) -> None:
    while len(remembered) > most:
        remembered.popitem(last=False)
