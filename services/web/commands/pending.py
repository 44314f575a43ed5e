"""What this process ordered, until a worker has made rows of it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

#: Orders that are remembered; the oldest is forgotten first.
REMEMBERED = 500


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for."""

    kind: str
    remote_id: int | None = None
    store_id: int | None = None
    criteria: dict[str, Any] = field(default_factory=dict)
    query_id: str = ""
    #: The ended query that is asked again, and how often it was asked again before.
    again: str = ""
    round: int = 0


class PendingCommands:
    """The last orders by the id of their command, which becomes the job's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: OrderedDict[str, Order] = OrderedDict()

    def remember(self, command_id: str, order: Order) -> None:
        """Keep an order."""
        with self._lock:
            self._orders[command_id] = order
            while len(self._orders) > REMEMBERED:
                self._orders.popitem(last=False)

    def get(self, command_id: str) -> Order | None:
        """Return the order, if this process made it lately."""
        with self._lock:
            return self._orders.get(command_id)

    def retrieves_of(self, query_id: str) -> list[str]:
        """Return the ids of the retrieves that were ordered for a query, the newest first."""
        with self._lock:
            return [
                command_id
                for command_id, order in reversed(self._orders.items())
                if order.query_id == query_id
            ]

    def again_of(self, query_id: str, round_: int) -> str | None:
        """Return the newest command that asks a query again which was asked again so often before."""
        with self._lock:
            for command_id, order in reversed(self._orders.items()):
                if (order.again, order.round) == (query_id, round_):
                    return command_id
        return None

    def forget(self, command_id: str) -> None:
        """Drop an order that did not go out."""
        with self._lock:
            self._orders.pop(command_id, None)
