"""Follows a job to its end: events wake the command, the database has the facts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from services.cli.client.events import EventQueue, refuse_rejected
from services.cli.client.session import JOB_QUEUES, deserted, full_disk
from services.cli.output.exit_codes import CANCELLED, CommandError, away
from services.cli.output.progress import Reporter
from shared.broker.port import Broker
from shared.clock import utc_now
from shared.contract.messages import ENDED, Event, JobEnded
from shared.database.models.retrieve import Retrieve
from shared.database.session import Database
from shared.errors import BrokerAwayError, DatabaseAwayError
from shared.reading.jobs import Job, get_job
from shared.reading.retrieve_pace import pace_of

#: Seconds between two reads of the job without events, and at least with events.
POLL_S, POLL_AT_MOST_S = 1.0, 0.25
#: Seconds between two checks whether broker and workers are there.
CHECK_S = 5.0
#: Seconds that a command waits for what is away; the job itself waits longer.
PATIENCE_S = 900.0
#: The same where the disk of the database is full: that does not pass by itself.
FULL_PATIENCE_S = 30.0
#: Seconds after which a command that listening workers have not taken is lost to them.
ACCEPT_S = 120.0


class Follower:
    """Waits for jobs of one command."""

    def __init__(
        self,
        database: Database,
        broker: Broker,
        event_queue: EventQueue,
        reporter: Reporter,
        command_ids: Sequence[str] = (),
    ) -> None:
        self._database = database
        self._broker = broker
        self._event_queue = event_queue
        self._reporter = reporter
        #: Commands about a job whose ids are not the job's own.
        self._command_ids = tuple(command_ids)
        self._pace = ""
        self._away = ""
        self._away_since = 0.0
        self._database_away = ""
        self._full_disk = ""
        self._broker_away = ""

    def until_ended(self, kind: str, job_id: str, *, rounds: int = 0) -> Job:
        """Wait for the end of a job, of its round `rounds` at least, and return it.

        Raises:
            InvalidInputError: the command was rejected.
            CommandError: broker, database or workers stayed away; or the wait was interrupted.
        """
        try:
            job = self._until(kind, job_id, lambda job: job.status in ENDED, None, rounds)
        except KeyboardInterrupt:
            raise CommandError(
                CANCELLED,
                "interrupted",
                f"The {kind} goes on without this command. Look at it with `doseqr show {job_id}`, end it "
                f"with `doseqr cancel {job_id}`.",
                job=job_id,
            ) from None
        if job is None:
            raise AssertionError("waited without a bound")
        return job

    def until_accepted(self, kind: str, job_id: str, timeout_s: float, *, rounds: int = 0) -> Job | None:
        """Wait until the job exists in its round `rounds` at least; None after the time.

        Raises:
            InvalidInputError: the command was rejected.
        """
        return self._until(kind, job_id, lambda _: True, timeout_s, rounds)

    def until_changed(
        self, kind: str, job_id: str, enough: Callable[[Job], bool], timeout_s: float
    ) -> Job | None:
        """Wait until the job is as it was ordered to be; None after the time.

        Raises:
            InvalidInputError: the command was rejected.
        """
        return self._until(kind, job_id, enough, timeout_s, 0)

    def _until(
        self, kind: str, job_id: str, enough: Callable[[Job], bool], timeout_s: float | None, rounds: int
    ) -> Job | None:
        began = checked = time.monotonic()
        accepted = False
        while timeout_s is None or time.monotonic() - began < timeout_s:
            job = self._read(job_id)
            if job is not None and job.round >= rounds:
                accepted = True
                self._reporter.show(job, self._pace)
                if enough(job):
                    return job
            if time.monotonic() - checked >= CHECK_S:
                checked = time.monotonic()
                self._check(kind)
                if not accepted and not self._away and checked - began > ACCEPT_S:
                    raise away(
                        f"The {kind} service did not take the command {job_id}; its log has the reason."
                    )
            self._wait(job_id)
        return None

    def _read(self, job_id: str) -> Job | None:
        try:
            with self._database.read() as session:
                job = get_job(session, job_id)
                pace = pace_of(session, job, utc_now()) if isinstance(job, Retrieve) else None
        except DatabaseAwayError as error:
            self._database_away = f"The database is away ({error})"
            self._judge()
            return None
        self._database_away = ""
        self._pace = str(pace) if pace is not None else ""
        return job

    def _check(self, kind: str) -> None:
        self._full_disk = full_disk(self._database)
        try:
            missing = deserted(self._broker, JOB_QUEUES[kind])
        except BrokerAwayError as error:
            self._broker_away = f"The broker is away ({error})"
        else:
            start = " and ".join(f"doseqr serve {service}" for service in missing)
            self._broker_away = f"No {kind} worker listens any more; start one with: {start}" if start else ""
        self._judge()

    def _judge(self) -> None:
        now, trouble = time.monotonic(), self._full_disk or self._database_away or self._broker_away
        if trouble and not self._away:
            self._away_since = now
        if trouble != self._away:
            self._reporter.notify(f"{trouble}. Still waiting." if trouble else "It goes on.")
            self._away = trouble
        waited_s = now - self._away_since
        if self._full_disk and waited_s > FULL_PATIENCE_S:
            raise away(f"{trouble}. The job goes on by itself once there is space.")
        if trouble and waited_s > PATIENCE_S:
            raise away(f"{trouble}. The job goes on when they are back.")

    def _wait(self, job_id: str) -> None:
        began = time.monotonic()
        for event in self._event_queue.until(began + POLL_S):
            refuse_rejected(event, (job_id, *self._command_ids))
            if _is_the_end(event, job_id) or time.monotonic() - began >= POLL_AT_MOST_S:
                return


def _is_the_end(event: Event, job_id: str) -> bool:
    return isinstance(event, JobEnded) and event.job_id == job_id
