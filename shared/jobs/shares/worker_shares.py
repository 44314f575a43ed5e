"""The worker threads of a process, shared among the nodes of their tasks: none holds the last of them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

#: Threads besides those that share the work; each is for a node that has no task in hand. So this many nodes
#: that swallow packets, each for as long as a connection may take, leave a thread to the next node.
SPARE_THREADS = 252

#: Threads that wait for the turn of one node; more tasks of it are given back, to other processes as well.
MOST_WAITING = 4

#: Seconds after which a thread that waits for its node's turn checks whether another thread is free. The task
#: of a node that has its share is given back only for want of threads: one of its others is about to end.
PATIENCE_S = 0.25

#: Seconds after which it is given back whatever is free: no delivery is held for long.
LONGEST_WAIT_S = 60.0


class WorkerShares:
    """Counts the running tasks of each node, and decides whose turn it is; safe from any thread.

    A node that is alone runs `workers` tasks; several share them evenly. A node without a running task
    begins one whatever the others do.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._running: Counter[int] = Counter()
        self._waiting: Counter[int] = Counter()
        self._changed = threading.Condition()

    @property
    def threads(self) -> int:
        """How many threads the process needs for this."""
        return self._workers + SPARE_THREADS

    @contextmanager
    def turn(self, node_id: int, longest_wait_s: float = LONGEST_WAIT_S) -> Iterator[bool]:
        """Hold one thread for a node; gives False where it has its share and threads are scarce."""
        with self._changed:
            granted = self._wait(node_id, longest_wait_s)
            if granted:
                self._running[node_id] += 1
        try:
            yield granted
        finally:
            if granted:
                self._release(node_id)

    def _wait(self, node_id: int, longest_wait_s: float) -> bool:
        deadline = time.monotonic() + longest_wait_s
        self._waiting[node_id] += 1
        try:
            while True:
                patience_s = min(PATIENCE_S, max(0.0, deadline - time.monotonic()))
                if self._changed.wait_for(lambda: self._may_begin(node_id), patience_s):
                    return True
                scarce = self._running.total() + self._waiting.total() >= self.threads
                if scarce or self._waiting[node_id] > MOST_WAITING or time.monotonic() >= deadline:
                    return False
        finally:
            self._waiting[node_id] -= 1
            if not self._waiting[node_id]:
                del self._waiting[node_id]

    def _may_begin(self, node_id: int) -> bool:
        if not self._running[node_id]:
            return True
        nodes = sum(1 for count in self._running.values() if count)
        share = -(-self._workers // nodes)
        return self._running[node_id] < share and self._running.total() < self._workers

    def _release(self, node_id: int) -> None:
        with self._changed:
            self._running[node_id] -= 1
            if not self._running[node_id]:
                del self._running[node_id]
            self._changed.notify_all()
