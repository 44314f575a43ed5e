"""Removes old jobs, in a thread of each replica of the query service; one of them at a time does it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

import structlog

from services.query.ledger.folding.remove_jobs import next_query, remove_rest, remove_step
from shared.clock import Clock
from shared.contract.envelope import new_id
from shared.database.session import Database, Session
from shared.errors import RetriableError
from shared.process.periodic import Repeating
from shared.retention import runs
from shared.retention.policy import JOBS, RetentionPolicy
from shared.retention.runs import RunLease

log = structlog.get_logger(__name__)

#: Seconds between two looks for a run that is due or requested.
TICK_S = 15.0
#: Share of the time in which it works: the rest is for others.
_BUSY_SHARE = 0.3
#: Seconds of one pause, at most.
_LONGEST_PAUSE_S = 5.0
#: Steps of one run, at most; the next run goes on.
_STEPS = 1_000_000


class LostLeaseError(RetriableError):
    """Another worker removes now."""


class JobRetention:
    """Removes jobs that are older than the policy keeps them."""

    def __init__(
        self,
        database: Database,
        policy: RetentionPolicy,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._policy = policy
        self._clock = clock
        self._monotonic = monotonic
        self._token = new_id()
        #: Queries that could not be removed; the next start tries them again.
        self._defects: set[str] = set()
        self._stopping = threading.Event()
        self._repeating = Repeating("retention of jobs", TICK_S, self.tick)

    def start(self) -> None:
        """Begin, in a thread of its own, if jobs do not stay for ever."""
        if self._policy.job_days:
            self._repeating.start()

    def stop(self) -> None:
        """End it, after the step that is under way; another worker or the next start goes on."""
        self._stopping.set()
        self._repeating.stop()

    def tick(self) -> None:
        """Do the run that is due or requested.

        Raises:
            RetriableError: the database is away, or another worker does it; a later tick goes on.
        """
        now = self._clock()
        before = self._policy.jobs_before(now)
        if before is None:
            return
        with self._database.read() as session:
            if not runs.is_wanted(session, JOBS, now):
                return
        with self._database.write() as session:
            lease = runs.begin(session, JOBS, self._token, now)
        if lease is None:
            return
        if self._remove(lease, before):
            with self._database.write() as session:
                removed = runs.end(session, lease, self._detail(), self._clock())
            if removed:
                log.info("old jobs removed", **removed)

    def _remove(self, lease: RunLease, before: datetime) -> bool:
        """Remove all that is old; False if the service stops first."""
        for _ in range(_STEPS):
            with self._database.read() as session:
                job_id = next_query(session, before, sorted(self._defects))
            if job_id is None:
                break
            if not self._remove_query(lease, job_id, before):
                return False
        while self._step(lease, lambda session: remove_rest(session, before)):
            pass
        return not self._stopping.is_set()

    def _remove_query(self, lease: RunLease, job_id: str, before: datetime) -> bool:
        def remove(session: Session) -> bool:
            more, removed = remove_step(session, job_id, before)
            runs.add_removed(session, JOBS, removed)
            return more

        try:
            while self._step(lease, remove):
                pass
        except RetriableError:
            raise
        except Exception:
            # One ledger that cannot be read must not keep the others from being removed.
            log.exception("defect", job_id=job_id)
            self._defects.add(job_id)
        return not self._stopping.is_set()

    def _step(self, lease: RunLease, work: Callable[[Session], bool]) -> bool:
        """Do one step in a transaction of its own, and pause; return whether to go on."""
        if self._stopping.is_set():
            return False
        began = self._monotonic()
        with self._database.write() as session:
            if not lease.renew(session, self._clock()):
                raise LostLeaseError("retention: another worker removes jobs now")
            more = work(session)
        took_s = self._monotonic() - began
        self._stopping.wait(min(took_s * (1 - _BUSY_SHARE) / _BUSY_SHARE, _LONGEST_PAUSE_S))
        return more

    def _detail(self) -> str:
        return f"{len(self._defects)} queries could not be removed; see the log" if self._defects else ""
