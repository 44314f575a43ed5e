"""Removes old jobs, in a thread of each replica of the query service; one of them at a time does it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

from services.query.ledger.folding.remove_jobs import next_query, remove_rest, remove_step
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
        for _ in range(STEPS):
            with self._database.read() as session:
                job_id = next_query(session, before, sorted(self._defects))
            if job_id is None or steps.stopping:
                break
            if not has_no_defect(partial(self._remove_query, steps, job_id, before), job_id=job_id):
                self._defects.add(job_id)
        while not steps.stopping and steps.step(lambda session: remove_rest(session, before, steps.share)):
            pass
        return f"{len(self._defects)} queries could not be removed; see the log" if self._defects else ""

    def _remove_query(self, steps: RemovalSteps, job_id: str, before: datetime) -> None:
        def remove(session: Session) -> bool:
            more, removed = remove_step(session, job_id, before, steps.share)
            runs.add_removed(session, JOBS, removed)
            return more

        while not steps.stopping and steps.step(remove):
            pass
