"""Tasks in hand in this process: their leases are renewed; they are stopped when their job ends or pauses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Generic

from shared.clock import Clock, iso
from shared.contract.messages import ClaimedTask
from shared.database.session import Database
from shared.dicom.cancellation import Cancellation
from shared.jobs.ledger import Ledger
from shared.jobs.model import Claim, JobT
from shared.process.periodic import Repeating

#: Seconds between two checks whether a job in hand was cancelled or paused: that takes effect within 2 s.
POLL_INTERVAL_S = 0.5
#: Checks from one renewal of the leases to the next.
CHECKS_PER_RENEWAL = 10


class RunningTasks(Generic[JobT]):
    """Knows the claims that this process works on."""

    def __init__(self, ledger: Ledger[JobT], database: Database, clock: Clock) -> None:
        self._ledger = ledger
        self._database = database
        self._clock = clock
        self._held: dict[str, tuple[Claim, Cancellation, datetime]] = {}
        self._lock = threading.Lock()
        self._checks = 0
        self._repeating = Repeating("task leases", POLL_INTERVAL_S, self._check_all)

    def start(self) -> None:
        """Begin to renew leases and to check for cancelled and paused jobs."""
        self._repeating.start()

    def stop(self) -> None:
        """End it."""
        self._repeating.stop()

    @contextmanager
    def holding(self, claim: Claim) -> Iterator[Cancellation]:
        """Hold a claim while work on it runs; the work checks the cancellation that this gives."""
        cancellation = Cancellation()
        with self._lock:
            self._held[claim.token] = claim, cancellation, self._clock()
        try:
            yield cancellation
        finally:
            with self._lock:
                del self._held[claim.token]

    def claimed_tasks(self) -> list[ClaimedTask]:
        """Return what this process works on now."""
        with self._lock:
            held = list(self._held.values())
        return [
            ClaimedTask(job_id=claim.job_id, task_id=claim.task_id, kind=claim.kind, since=iso(since))
            for claim, _, since in held
        ]

    def interrupt(self) -> None:
        """Request all work in hand to stop and to hand its tasks back."""
        with self._lock:
            held = list(self._held.values())
        for _, cancellation, _ in held:
            cancellation.cancel("stopping")

    def _check_all(self) -> None:
        with self._lock:
            held = [(claim, cancellation) for claim, cancellation, _ in self._held.values()]
        if held:
            self._checks += 1
            self._check(held, renew=self._checks % CHECKS_PER_RENEWAL == 0)

    def _check(self, held: list[tuple[Claim, Cancellation]], *, renew: bool) -> None:
        with self._database.read_outside() as session:
            stopped = self._ledger.stopped_jobs(session, {claim.job_id for claim, _ in held})
        for claim, cancellation in held:
            if claim.job_id in stopped:
                cancellation.cancel(stopped[claim.job_id])
        if not renew:
            return
        with self._database.write() as session:
            alive = self._ledger.renew(session, [claim for claim, _ in held], self._clock())
        for claim, cancellation in held:
            if claim.token not in alive:
                cancellation.cancel("lost")
