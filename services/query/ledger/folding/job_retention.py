"""Removes old jobs, in a thread of each replica of the query service; one of them at a time does it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

from services.query.ledger.folding.remove_jobs import (
    QueryRemoval,
    begun_query,
    oldest_query,
    remove_rest,
)
from shared.clock import Clock
from shared.database.session import Database, Session
from shared.process.periodic import has_no_defect
from shared.retention import runs
from shared.retention.policy import JOBS, RetentionPolicy
from shared.retention.removal import STEPS, Removal, RemovalSteps


class JobRetention(Removal):
    """Removes jobs that are older than the policy keeps them."""

    def __init__(
        self,
        database: Database,
        policy: RetentionPolicy,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(database, JOBS, policy.jobs_before, self._remove_all, clock, monotonic)
        #: Queries that could not be removed; the next start tries them again.
        self._defects: set[str] = set()

    def _remove_all(self, steps: RemovalSteps, before: datetime) -> str:
        # What an earlier run began comes first; this one leaves nothing begun, but for defects.
        self._remove_queries(steps, before, lambda session: begun_query(session, sorted(self._defects)))
        self._remove_queries(
            steps, before, lambda session: oldest_query(session, before, sorted(self._defects))
        )
        while not steps.stopping and steps.step(lambda session: remove_rest(session, before, steps.share)):
            pass
        return f"{len(self._defects)} queries could not be removed; see the log" if self._defects else ""

    def _remove_queries(
        self, steps: RemovalSteps, before: datetime, next_query: Callable[[Session], str | None]
    ) -> None:
        for _ in range(STEPS):
            with self._database.read() as session:
                job_id = next_query(session)
            if job_id is None or steps.stopping:
                break
            if not has_no_defect(partial(self._remove_query, steps, job_id, before), job_id=job_id):
                self._defects.add(job_id)

    def _remove_query(self, steps: RemovalSteps, job_id: str, before: datetime) -> None:
        removal = QueryRemoval(job_id, before)

        def remove(session: Session) -> bool:
            more, removed = removal.step(session, steps.share)
            runs.add_removed(session, JOBS, removed)
            return more

        while not steps.stopping and steps.step(remove):
            pass
