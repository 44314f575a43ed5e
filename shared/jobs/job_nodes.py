"""The nodes of jobs: which it is, and whether work for it can begin; tasks of a node that is away wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Generic

import structlog

from shared.clock import Clock
from shared.contract.messages import ENDED, RunTask
from shared.database.session import Database
from shared.jobs.job_events import JobEvents
from shared.jobs.ledger import Ledger
from shared.jobs.model import JobT
from shared.jobs.retry import Policy
from shared.node_access.reachability import NodeAway, Reachability

log = structlog.get_logger(__name__)

#: Jobs whose node is remembered.
_REMEMBERED_JOBS = 1000
#: Seconds for which a task that is put back waits for others that are: where the database hangs, no longer.
_LONGEST_TURN_S = 5.0


class JobNodes(Generic[JobT]):
    """Knows the nodes of one service's jobs; without `reachability` work is begun for all of them."""

    def __init__(
        self,
        reachability: Reachability | None,
        ledger: Ledger[JobT],
        database: Database,
        events: JobEvents[JobT],
        policy: Policy,
        clock: Clock,
    ) -> None:
        self._reachability = reachability
        self._ledger = ledger
        self._database = database
        self._events = events
        self._patience = timedelta(seconds=policy.patience_s)
        self._clock = clock
        #: Nodes of jobs, which never change.
        self._nodes: dict[str, int] = {}
        self._turn = threading.Lock()

    def node_of(self, job_id: str) -> int | None:
        """Return the id of the node that a job sends its requests to; none if there is no such job.

        Raises:
            RetriableError: the database is away.
        """
        node_id = self._nodes.get(job_id)
        if node_id is not None:
            return node_id
        with self._database.read_outside() as session:
            node_id = self._ledger.node_of(session, job_id)
        if node_id is not None:
            self.remember(job_id, node_id)
        return node_id

    def remember(self, job_id: str, node_id: int) -> None:
        """Remember the node of a job that this process has read anyway."""
        if len(self._nodes) >= _REMEMBERED_JOBS:
            self._nodes.clear()
        self._nodes[job_id] = node_id

    def note_contact(self, job_id: str, *, reached: bool) -> None:
        """Note whether work of a job has reached its node."""
        node_id = self.node_of(job_id) if self._reachability is not None else None
        if self._reachability is not None and node_id is not None:
            self._reachability.note(node_id, reached=reached)

    def waits(self, task: RunTask) -> bool:
        """Put a task back that nobody has begun, if its node is away; return whether it waits now.

        One that has waited for as long as a node is waited for does not: its own try gives it up.

        Raises:
            RetriableError: the broker or the database is away.
        """
        node_id = self.node_of(task.job_id) if self._reachability is not None else None
        if self._reachability is None or node_id is None:
            return False
        away = self._reachability.check(node_id)
        if away is None:
            return False
        with self._in_turn():
            return self._put_back(task, away)

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Put back one task at a time: when hundreds of nodes go away at once, others need the processor."""
        has_turn = self._turn.acquire(timeout=_LONGEST_TURN_S)
        try:
            yield
        finally:
            if has_turn:
                self._turn.release()

    def _put_back(self, task: RunTask, away: NodeAway) -> bool:
        now, error = self._clock(), away.error
        with self._database.write() as session:
            job = self._ledger.lock(session, task.job_id)
            next_try_at = away.note(session, self._clock)
            if job is None or job.status in ENDED or job.held_since is not None:
                return False
            since = now - self._patience
            if not self._ledger.wait(session, task.task_id, error, due_at=next_try_at, now=now, since=since):
                return False
            self._ledger.postpone_failing(session, job.id, next_try_at, now)
            gives_up_at = job.gives_up_at or now + self._patience
            job.wait_for(f"{job.remote_name} — {error}", next_try_at, gives_up_at)
            progress = self._events.progress_of_locked(session, job)
        log.info("task waits", job_id=task.job_id, task_id=task.task_id, waits_for=str(error))
        if progress is not None:
            self._events.publish_progress(progress)
        return True
