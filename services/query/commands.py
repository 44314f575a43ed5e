"""The commands of the query service: run, cancel, pause, resume, raise a query, request what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.query.rules.decide import RULES_VERSION
from shared.clock import Clock
from shared.contract.criteria import Criteria, parse_criteria, window
from shared.contract.envelope import Envelope, new_id
from shared.contract.messages import AskAgain, CancelJob, PauseJob, RaiseJob, ResumeJob, RunQuery
from shared.control.early_orders import Action, Order
from shared.control.job_control import JobControl
from shared.database.models import Node, Query, QueryStudy, Retrieve
from shared.database.models.pause import Pause, PriorityRaise
from shared.database.session import Database
from shared.errors import InvalidInputError
from shared.jobs.engine import Engine
from shared.jobs.ledger import Ledger
from shared.jobs.model import CancelRequest, RerunRequest
from shared.node_profiles.ledger import read_profile
from shared.nodes.nodes import find_node
from shared.nodes.peers import peer_of
from shared.querying.initial_tasks import first_tasks
from shared.querying.payloads import SLICE
from shared.settings import Settings


def reopen(session: Session, ledger: Ledger[Query], query: Query, now: datetime) -> None:
    """Reopen the failed slices and the missing studies of a locked query.

    Decisions stay. Undecided studies are examined once the slices are complete.

    Raises:
        InvalidInputError: its remote node was removed, or retention has removed its ledger.
    """
    if query.folding:
        raise InvalidInputError("data.job_id", "retention has removed what this query found; query anew")
    node = session.get(Node, query.remote_id)
    if node is None or node.removed_at is not None:
        raise InvalidInputError("data.job_id", "the remote node of this query was removed")
    ledger.retry(session, query.id, SLICE, now)
    missing = (QueryStudy.job_id == query.id, QueryStudy.state == "missing")
    blank = {"reason": "", "detail": "", "task_id": None}
    session.execute(update(QueryStudy).where(*missing).values(state="found", **blank))
    query.slices_failed = query.studies_missing = 0


log = structlog.get_logger(__name__)

#: Why an order about a job is rejected of which there is no row: an id that was mistyped never gets one.
NO_SUCH_JOB = "there is no such job; if its command is still on its way, this is done once it is taken"


@dataclass(frozen=True, slots=True)
class ScheduleOfJob:
    """The recurring query of which a job is a run."""

    id: int
    name: str


class QueryHandler:
    """Turns commands into jobs."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        engine: Engine[Query],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._database = database
        self._engine = engine
        self._control = JobControl(engine)
        self._clock = clock

    def run(self, envelope: Envelope, command: RunQuery) -> None:
        """Begin a query; the same command again only goes on with it.

        Raises:
            InvalidInputError: the command cannot be done; names the field.
            RetriableError: broker or database away.
        """
        self.begin(envelope.id, command)

    def begin(self, job_id: str, command: RunQuery, schedule: ScheduleOfJob | None = None) -> None:
        """Begin the query with this id, or go on with it, as a run of a schedule or of itself.

        Raises:
            InvalidInputError: the command cannot be done; names the field.
            RetriableError: broker or database away.
        """
        criteria = _criteria(command)
        if self._create(job_id, command, criteria, schedule):
            log.info("query accepted", job_id=job_id, requested_by=command.requested_by)
        self._control.begin(job_id)

    def _create(
        self, job_id: str, command: RunQuery, criteria: Criteria, schedule: ScheduleOfJob | None
    ) -> bool:
        try:
            with self._database.write() as session:
                existing = session.get(Query, job_id)
                if existing is not None:
                    _require_same(session, existing, command, criteria)
                    return False
                if session.get(Retrieve, job_id) is not None:
                    raise InvalidInputError("id", "is the id of a retrieve")
                remote = find_node(session, command.remote, "remote", "data.remote")
                store = find_node(session, command.store, "store", "data.store")
                job = self._job(job_id, command, criteria, remote, store)
                with _within_criteria():
                    peer = peer_of(remote, self._settings)
                    profile = read_profile(session, remote.id, peer)
                    tasks = first_tasks(criteria, job.today, profile, by_dicomweb=peer.web is not None)
                job.slices_total = len(tasks)
                if schedule is not None:
                    job.schedule_id, job.schedule_name = schedule.id, schedule.name
                self._engine.start_job(session, job, tasks)
        except IntegrityError:
            # Another worker has the same command in hand, and was first.
            return False
        return True

    def _job(self, job_id: str, command: RunQuery, criteria: Criteria, remote: Node, store: Node) -> Query:
        now = self._clock()
        today = self._settings.day_of(now)
        with _within_criteria():
            days = window(criteria, today)
        return Query(
            id=job_id,
            status="queued",
            remote_id=remote.id,
            remote_name=remote.name,
            store_id=store.id,
            store_name=store.name,
            requested_by=command.requested_by,
            requested_at=now,
            criteria=criteria.to_json(),
            rules_version=RULES_VERSION,
            today=today,
            days_from=days.date_from,
            days_until=days.date_until,
            retrieve_after=command.retrieve,
            priority=command.priority,
        )

    def cancel(self, envelope: Envelope, command: CancelJob) -> None:
        """End a query; a retrieve is ended by its own service, which gets the same command.

        Raises:
            InvalidInputError: there is no job with this id.
            RetriableError: broker or database away.
        """
        request = CancelRequest(envelope.id, command.requested_by)
        if self._control.cancel(command.job_id, request):
            log.info("query cancelled", job_id=command.job_id, requested_by=command.requested_by)
        else:
            self._keep("cancel", envelope, command)

    def cancel_by(self, job_id: str, requested_by: str) -> None:
        """End a query in somebody's name, as a part of what was cancelled.

        Raises:
            RetriableError: broker or database away.
        """
        command_id = new_id()
        if not self._control.cancel(job_id, CancelRequest(command_id, requested_by)):
            self._control.keep(Order("cancel", job_id, command_id, requested_by))

    def pause(self, envelope: Envelope, command: PauseJob) -> None:
        """Let a query rest; a retrieve is paused by its own service, which gets the same command.

        Raises:
            InvalidInputError: there is no job with this id.
            RetriableError: broker or database away.
        """
        if not self._control.pause(command.job_id, Pause(command.requested_by, self._clock(), envelope.id)):
            self._keep("pause", envelope, command)

    def resume(self, envelope: Envelope, command: ResumeJob) -> None:
        """Let a paused query go on; a retrieve is left to its own service.

        Raises:
            InvalidInputError: there is no job with this id.
            RetriableError: broker or database away.
        """
        if not self._control.resume(command.job_id, envelope.id, command.requested_by):
            self._keep("resume", envelope, command)

    def raise_priority(self, envelope: Envelope, command: RaiseJob) -> None:
        """Let a query go before others; a retrieve is left to its own service.

        Raises:
            InvalidInputError: there is no job with this id.
            RetriableError: broker or database away.
        """
        raised = PriorityRaise(command.requested_by, self._clock(), envelope.id)
        if not self._control.raise_priority(command.job_id, raised):
            self._keep("raise", envelope, command)

    def again(self, envelope: Envelope, command: AskAgain) -> None:
        """Request again what is missing of an ended query; a retrieve is left to its own service.

        Raises:
            InvalidInputError: there is no job with this id, it has not ended, or nothing is missing.
            RetriableError: broker or database away.
        """
        now = self._clock()

        def prepare(session: Session, query: Query) -> None:
            reopen(session, self._engine.ledger, query, now)

        request = RerunRequest(envelope.id, command.requested_by, now)
        if not self._control.rerun(command.job_id, request, prepare):
            self._leave_to_retrieve(command.job_id)

    def _keep(
        self, action: Action, envelope: Envelope, command: CancelJob | PauseJob | ResumeJob | RaiseJob
    ) -> None:
        """Keep what is ordered of a job that nobody has begun; its own command may still be on its way."""
        if self._is_retrieve(command.job_id):
            return
        if not self._control.keep(Order(action, command.job_id, envelope.id, command.requested_by)):
            raise InvalidInputError("data.job_id", NO_SUCH_JOB)

    def _leave_to_retrieve(self, job_id: str) -> None:
        if not self._is_retrieve(job_id):
            raise InvalidInputError("data.job_id", "there is no such job")

    def _is_retrieve(self, job_id: str) -> bool:
        with self._database.read() as session:
            return session.get(Retrieve, job_id) is not None


def _require_same(session: Session, existing: Query, command: RunQuery, criteria: Criteria) -> None:
    """Refuse an id that was used for another query: its sender would wait for what never runs."""
    same = (
        parse_criteria(existing.criteria) == criteria
        and existing.retrieve_after == command.retrieve
        and _names(session, command.remote, existing.remote_id, existing.remote_name)
        and _names(session, command.store, existing.store_id, existing.store_name)
    )
    if not same:
        raise InvalidInputError("id", "is the id of an earlier query with other content; use a new id")


def _names(session: Session, reference: int | str, node_id: int, node_name: str) -> bool:
    """Return whether a reference names the node of a job, by its id, its name then or its name now."""
    node = session.get(Node, node_id)
    return str(reference) in {str(node_id), node_name, node.name if node is not None else node_name}


def _criteria(command: RunQuery) -> Criteria:
    with _within_criteria():
        return parse_criteria(command.criteria)


@contextmanager
def _within_criteria() -> Iterator[None]:
    """Name a field of the criteria by its path in the message."""
    try:
        yield
    except InvalidInputError as error:
        field = f"data.criteria.{error.field}" if error.field else "data.criteria"
        raise InvalidInputError(field, error.problem) from None
