"""Cancels, reruns, pauses and resumes the jobs of one service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic

import structlog
from sqlalchemy.orm import Session

from shared.contract.messages import ENDED
from shared.database.models.pause import Pause, time_held
from shared.errors import InvalidInputError
from shared.jobs.engine import Engine
from shared.jobs.model import CancelRequest, Ending, JobT, RerunRequest

log = structlog.get_logger(__name__)


class JobControl(Generic[JobT]):
    """Does what commands request of jobs that there are; each command may come again at any time."""

    def __init__(self, engine: Engine[JobT]) -> None:
        self._engine = engine
        self._database = engine.database
        self._ledger = engine.ledger
        self._events = engine.events
        self._clock = engine.clock

    def cancel(self, job_id: str, request: CancelRequest | None = None) -> bool:
        """End a job that runs; False if there is none of this service with this id.

        The end of a job that has ended is published once more, with its id: the sender learns how it stands.

        Raises:
            RetriableError: the broker or the database is away.
        """
        with self._database.write() as session:
            job = self._ledger.lock(session, job_id)
            if job is None:
                return False
            was_announced = job.announced_at is not None
            if job.status not in ENDED:
                self._ledger.finish(session, job, Ending("cancelled", request=request), self._clock())
        self._engine.advance(job_id)
        if was_announced:
            self._events.repeat_end(job_id)
        return True

    def rerun(self, job_id: str, request: RerunRequest, prepare: Callable[[Session, JobT], None]) -> bool:
        """Run an ended job again for what is missing of it; False if there is none of this service.

        `prepare` makes that pending, with the job locked. The same command again only goes on with it; if the
        job has ended since, its end is published once more.

        Raises:
            InvalidInputError: nothing is missing, or the job has not ended.
            RetriableError: the broker or the database is away.
        """
        with self._database.write() as session:
            job = self._ledger.lock(session, job_id)
            if job is None:
                return False
            repeats_end = request.is_known_to(job) and job.announced_at is not None
            if not request.is_known_to(job):
                _require_missing(job)
                # Each round has an end of its own: whoever waits for that of the last one hears it.
                self._events.end_of_locked(session, job)
                prepare(session, job)
                self._ledger.reopen(job, request)
                log.info("job rerun", job_id=job_id, requested_by=request.requested_by, round=job.round)
        self._events.accepted(job_id, job.round)
        self._engine.advance(job_id)
        if repeats_end:
            self._events.repeat_end(job_id)
        return True

    def pause(self, job_id: str, pause: Pause) -> bool:
        """Let a job rest; False if there is none of this service with this id.

        Whoever works on it stops within two seconds and hands its tasks back. The end of a job that has ended
        is published once more.

        Raises:
            RetriableError: the broker or the database is away.
        """
        with self._database.write() as session:
            job = self._ledger.lock(session, job_id)
            if job is None:
                return False
            if job.status not in ENDED and job.begin_pause(pause):
                session.flush()
                self._ledger.hold_back(session, job_id)
                log.info("job paused", job_id=job_id, requested_by=pause.by)
        self._report(job_id, pause.command_id)
        return True

    def resume(self, job_id: str, command_id: str, requested_by: str) -> bool:
        """Let a paused job go on; False if there is none of this service with this id.

        The time for which it was paused counts in no time limit. The end of a job that has ended is published
        once more.

        Raises:
            RetriableError: the broker or the database is away.
        """
        now = self._clock()
        with self._database.write() as session:
            job = self._ledger.lock(session, job_id)
            if job is None:
                return False
            ended_pause = job.end_pause(command_id) if job.status not in ENDED else None
            if ended_pause is not None:
                held_for = time_held(ended_pause, job.node_pauses.values(), now)
                self._ledger.end_hold(session, job, ended_pause.at, held_for)
                log.info("job resumed", job_id=job_id, requested_by=requested_by)
        self._report(job_id, command_id)
        return True

    def _report(self, job_id: str, command_id: str) -> None:
        with self._database.read() as session:
            job = session.get_one(self._ledger.job, job_id)
        if job.status not in ENDED:
            self._events.pause(job, command_id)
        self._engine.advance(job_id)
        if job.announced_at is not None:
            self._events.repeat_end(job_id)


def _require_missing(job: JobT) -> None:
    if job.status == "completed":
        raise InvalidInputError("data.job_id", "nothing is missing: it is completed")
    if job.status not in ENDED:
        raise InvalidInputError("data.job_id", f"has not ended yet; it is {job.status}")
