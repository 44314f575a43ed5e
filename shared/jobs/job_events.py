"""The events of jobs: accepted, progress at most four times a second, and each end exactly once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Generic

import structlog
from sqlalchemy.orm import Session

from shared.clock import Clock
from shared.contract.envelope import derived_id
from shared.contract.json_types import JsonDocument
from shared.contract.messages import ENDED, ENDINGS, Accepted, Paused, Progress, Raised, Resumed
from shared.database.models import JobRow
from shared.database.session import Database
from shared.errors import RetriableError
from shared.jobs.ledger import Ledger
from shared.jobs.model import JobService, JobT, ProgressTurn
from shared.messaging.publisher import Publisher
from shared.tracing.trace_context import Causation

log = structlog.get_logger(__name__)

#: At most four progress events a second for each job, however many workers it has.
PROGRESS_EVERY = timedelta(seconds=0.25)


def event_id(job_id: str, round_number: int, name: str) -> str:
    """Return the id of the event that begins or ends a round of a job; the same each time."""
    if not round_number:
        return derived_id(job_id, f"-{name}")
    # Without a digest, round 1 of the job `night` would have the ids of the job `night-1`.
    return derived_id(job_id, f"-{round_number}-{name}", with_digest=True)


def _cancellation_of(job: JobRow) -> JsonDocument:
    """Return who cancelled a job and by which command, as far as that is known."""
    return dict(job.cancelled_by or {}) if job.status == "cancelled" else {}


def _of_order(job: JobRow, command_id: str) -> Causation:
    """Return the trace of a job for an event that another command caused."""
    return replace(job.causation, cause_id=command_id)


class JobEvents(Generic[JobT]):
    """Publishes the events of one service's jobs."""

    def __init__(
        self,
        service: JobService[JobT],
        ledger: Ledger[JobT],
        database: Database,
        publisher: Publisher,
        clock: Clock,
    ) -> None:
        self._service = service
        self._ledger = ledger
        self._database = database
        self._publisher = publisher
        self._clock = clock
        #: When this process published progress last, by job: no need to read whether it is due again.
        self._published_at: dict[str, datetime] = {}

    def accepted(self, job: JobRow) -> None:
        """Publish that a job, or another round of it, begins; with the same id each time.

        Raises:
            BrokerAwayError: the broker did not confirm it.
        """
        kind = self._service.kind
        event = Accepted(job_id=job.id, kind=kind, round=job.round)
        event_id_ = event_id(job.id, job.round, event.NAME)
        self._publisher.event(event, kind, job.id, event_id=event_id_, causation=job.causation)

    def progress(self, job_id: str) -> None:
        """Publish the progress of a job, if it is its turn.

        The turn is taken with the row locked, and its time is that of the event: whoever waited for the row
        has no turn left over from before. An advance takes it in its own transaction.

        Raises:
            RetriableError: the broker or the database is away.
        """
        if self._published_lately(job_id):
            return
        with self._database.write() as session:
            if not self._ledger.progress_is_due(session, job_id, self._clock() - PROGRESS_EVERY):
                return
            job = self._ledger.lock(session, job_id)
            turn = self.progress_of_locked(session, job) if job is not None else None
        if turn is not None:
            self.publish_progress(turn)

    def progress_of_locked(self, session: Session, job: JobT) -> ProgressTurn | None:
        """Take the turn of a locked job for the event of its progress, to be published after the commit."""
        if job.status in ENDED or self._published_lately(job.id):
            return None
        now = self._clock()
        if not job.take_progress_turn(now, PROGRESS_EVERY):
            return None
        # Read before the counts, which are read with all columns of the row anew.
        note, causation = job.waits_for, job.causation
        event = Progress(
            job_id=job.id,
            kind=self._service.kind,
            status=job.status,
            counts=self._service.counts(session, job.id),
            note=note,
        )
        return ProgressTurn(event, now, causation)

    def publish_progress(self, turn: ProgressTurn) -> None:
        """Publish the progress for which a turn was taken.

        Raises:
            BrokerAwayError: the broker did not confirm it.
        """
        job_id = turn.event.job_id
        self._published_at = {job_id: turn.at} | {
            other: at
            for other, at in self._published_at.items()
            if other != job_id and at > turn.at - PROGRESS_EVERY
        }
        self._publisher.event(turn.event, self._service.kind, job_id, at=turn.at, causation=turn.causation)

    def _published_lately(self, job_id: str) -> bool:
        at = self._published_at.get(job_id)
        return at is not None and at <= self._clock() < at + PROGRESS_EVERY

    def try_progress(self, job_id: str) -> None:
        """Publish progress while a task of the job is in hand, if it is its turn; never raises."""
        try:
            self.progress(job_id)
        except RetriableError as error:
            log.debug("progress not published", job_id=job_id, error=str(error))

    def pause(self, job: JobRow, command_id: str) -> None:
        """Publish whether a job is paused, after a command to pause or resume it; the same id each time.

        Raises:
            BrokerAwayError: the broker did not confirm it.
        """
        kind, pause = self._service.kind, job.pause
        about: JsonDocument = {
            "job_id": job.id,
            "kind": kind,
            "status": job.status,
            "command_id": command_id,
        }
        event: Paused | Resumed
        if pause is not None:
            event = Paused(**about, paused_by=pause.by, paused_at=pause.since)
        else:
            event = Resumed(**about, note=job.waits_for)
        event_id_ = derived_id(command_id, f"-{event.NAME}")
        self._publisher.event(event, kind, job.id, event_id=event_id_, causation=_of_order(job, command_id))

    def raised(self, job: JobRow, command_id: str) -> None:
        """Publish that the priority of a job is raised, after a command to raise it; the same id each time.

        Raises:
            BrokerAwayError: the broker did not confirm it.
        """
        kept = job.priority_raise
        event = Raised(
            job_id=job.id,
            kind=self._service.kind,
            status=job.status,
            command_id=command_id,
            raised_by=kept.by if kept is not None else "",
            raised_at=kept.since if kept is not None else "",
        )
        event_id_ = derived_id(command_id, f"-{event.NAME}")
        causation = _of_order(job, command_id)
        self._publisher.event(event, self._service.kind, job.id, event_id=event_id_, causation=causation)

    def end(self, job_id: str) -> None:
        """Publish the end of a job unless that was done.

        Raises:
            RetriableError: the broker or the database is away.
        """
        with self._database.write() as session:
            job = self._ledger.lock(session, job_id)
            if job is not None:
                self.end_of_locked(session, job)

    def end_of_locked(self, session: Session, job: JobRow) -> None:
        """Publish the end of a locked job unless that was done.

        The row stays locked until the broker has confirmed, so that no other worker announces it as well;
        only a death between the two repeats the event, with the same id.

        Raises:
            RetriableError: the broker or the database is away.
        """
        if job.announced_at is not None or job.status not in ENDED:
            return
        self._service.before_announcing(session, job.id)
        self._publish_end(session, job)
        job.announced_at = self._clock()
        log.info("job ended", job_id=job.id, status=job.status, failure=job.failure, round=job.round)

    def repeat_end(self, job_id: str) -> None:
        """Publish the end of a job once more, with its id, for a client that was away when it was published.

        Raises:
            RetriableError: the broker or the database is away.
        """
        with self._database.read() as session:
            job = session.get_one(self._service.job_table, job_id)
            if job.announced_at is not None:
                self._publish_end(session, job)

    def _publish_end(self, session: Session, job: JobRow) -> None:
        event = ENDINGS[job.status](
            job_id=job.id,
            kind=self._service.kind,
            status=job.status,
            counts=self._service.counts(session, job.id),
            failure=job.failure,
            detail=job.detail[:1000],
            round=job.round,
            **self._service.ending_fields(session, job.id),
            **_cancellation_of(job),
        )
        ending_id = event_id(job.id, job.round, job.status)
        kind = self._service.kind
        self._publisher.event(event, kind, job.id, event_id=ending_id, causation=job.causation)
