"""The commands that read: how a job of either kind stands, and its result in pages."""

from __future__ import annotations

from typing import cast

from shared.contract.envelope import Envelope
from shared.contract.messages import JobStatus, RequestResult, RequestStatus, ResultRead, StatusRead
from shared.database.session import Database
from shared.errors import InvalidInputError
from shared.messaging.command_router import EventResponse
from shared.reading.jobs import get_job, kind_of
from shared.reading.result_pages import job_state, result_page


class ReadHandler:
    """Responds to each such command with one event; the same again reads anew."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def status(self, envelope: Envelope, command: RequestStatus) -> EventResponse:
        """Return how a job stands.

        Raises:
            InvalidInputError: there is no such job.
            DatabaseAwayError: the database is away.
        """
        with self._database.read() as session:
            job = get_job(session, command.job_id)
            if job is None:
                raise InvalidInputError("data.job_id", "there is no such job")
            kind = kind_of(job)
            event = StatusRead(job_id=job.id, kind=kind, command_id=envelope.id, job=job_state(session, job))
        return EventResponse(event, kind, job.id)

    def result(self, envelope: Envelope, command: RequestResult) -> EventResponse:
        """Return a page of a job's result.

        Raises:
            InvalidInputError: there is no such job, or no such page.
            DatabaseAwayError: the database is away.
        """
        with self._database.read() as session:
            job = get_job(session, command.job_id)
            if job is None:
                raise InvalidInputError("data.job_id", "there is no such job")
            page = result_page(session, job, command.after, command.limit, "data.after")
        kind = kind_of(job)
        event = ResultRead(
            job_id=job.id,
            kind=kind,
            command_id=envelope.id,
            status=cast("JobStatus", job.status),
            round=job.round,
            studies=page.studies,
            objects=page.objects,
            missing=page.missing,
            next=page.next,
        )
        return EventResponse(event, kind, job.id)
