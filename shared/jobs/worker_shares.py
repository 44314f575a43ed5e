"""Fair shares of the worker threads of a process: no node holds the last of them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

#: Threads besides those that share the work; each is for a node that has no task in hand. So up to four nodes
#: whose tasks never end leave a thread to the next node.
SPARE_THREADS = 4

#: Seconds that a thread waits for its node's turn. The task of a node that has its share is not given back
#: immediately: most often one of its other tasks is about to end.
PATIENCE_S = 0.25


class WorkerShares:
    """Counts the tasks in hand of each node, and says whose turn it is; safe from any thread.

    A node that is alone has `workers` tasks in hand; several share them evenly. A node without a task in hand
    begins one whatever the others do.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._in_hand: Counter[int] = Counter()
        self._changed = threading.Condition()

    @property
    def threads(self) -> int:
        """How many threads the process needs for this."""
        return self._workers + SPARE_THREADS

    @contextmanager
    def turn(self, node_id: int, patience_s: float = PATIENCE_S) -> Iterator[bool]:
        """Hold one thread for a node; gives False where the node already has its share."""
        with self._changed:
            granted = self._changed.wait_for(lambda: self._may_begin(node_id), patience_s)
            if granted:
                self._in_hand[node_id] += 1
        try:
            yield granted
        finally:
            if granted:
                self._release(node_id)

    def _may_begin(self, node_id: int) -> bool:
        if not self._in_hand[node_id]:
            return True
        nodes = sum(1 for count in self._in_hand.values() if count)
        share = -(-self._workers // nodes)
        return self._in_hand[node_id] < share and self._in_hand.total() < self._workers

    def _release(self, node_id: int) -> None:
        with self._changed:
            self._in_hand[node_id] -= 1
            if not self._in_hand[node_id]:
                del self._in_hand[node_id]
            self._changed.notify_all()
