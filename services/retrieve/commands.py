"""The commands of the retrieve service: run, cancel, pause, resume or raise one, request what is missing."""

from __future__ import annotations

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.retrieve.context import counts_known
from services.retrieve.ledger.conditions import recount
from services.retrieve.ledger.outcomes import counts_of
from services.retrieve.ledger.selection import fill, keeps_anything
from services.retrieve.planning.payloads import plan_task
from shared.clock import Clock
from shared.contract.criteria import TYPE_ORDER
from shared.contract.envelope import Envelope
from shared.contract.messages import ENDED, AskAgain, CancelJob, PauseJob, RaiseJob, ResumeJob, RunRetrieve
from shared.contract.text import Content
from shared.control.early_orders import Action, Order
from shared.control.job_control import JobControl
from shared.database.models import Node, Query, Retrieve
from shared.database.models.pause import Pause, PriorityRaise
from shared.database.models.store import HEADERS, WHOLE
from shared.database.session import Database
from shared.errors import InvalidInputError
from shared.jobs.engine import Engine
from shared.jobs.model import CancelRequest
from shared.nodes.nodes import is_own_store
from shared.settings import Settings

log = structlog.get_logger(__name__)


class RetrieveHandler:
    """Turns commands into jobs."""

    def __init__(
        self, settings: Settings, database: Database, engine: Engine[Retrieve], clock: Clock
    ) -> None:
        self._settings = settings
        self._database = database
        self._engine = engine
        self._control = JobControl(engine)
        self._clock = clock

    def run(self, envelope: Envelope, command: RunRetrieve) -> None:
        """Begin a retrieve; the same command again only continues it.

        Raises:
            InvalidInputError: the command cannot be done; names the field.
            RetriableError: broker or database away.
        """
        order = command.model_copy(update={"types": _types(command)})
        self._run(envelope.id, order, again=False)

    def again(self, envelope: Envelope, command: AskAgain) -> None:
        """Begin a retrieve of what has not arrived of an ended one; a query is left to its own service.

        Raises:
            InvalidInputError: it has not ended, nothing is missing, or it cannot be done.
            RetriableError: broker or database away.
        """
        with self._database.read() as session:
            earlier = session.get(Retrieve, command.job_id)
            known = session.get(Retrieve, envelope.id) is not None
        if earlier is None:
            return
        if not known:
            _require_missing(earlier)
        order = RunRetrieve(
            query_id=earlier.query_id,
            types=earlier.selection.get("types", []),
            study_instance_uids=earlier.selection.get("study_instance_uids", []),
            requested_by=command.requested_by,
            priority=earlier.priority,
            content=_content_of(earlier),
        )
        try:
            self._run(envelope.id, order, again=True)
        except InvalidInputError as error:
            raise InvalidInputError("data.job_id", error.problem) from None

    def _run(self, job_id: str, order: RunRetrieve, *, again: bool) -> None:
        if self._create(job_id, order, again=again):
            log.info("retrieve accepted", job_id=job_id, query_id=order.query_id)
        self._control.begin(job_id)

    def _create(self, job_id: str, order: RunRetrieve, *, again: bool) -> bool:
        try:
            with self._database.write() as session:
                existing = session.get(Retrieve, job_id)
                if existing is not None:
                    _require_same(existing, order)
                    return False
                if session.get(Query, job_id) is not None:
                    raise InvalidInputError("id", "is the id of a query")
                self._begin(session, job_id, order, _ended_query(session, order), again=again)
        except IntegrityError:
            # Another worker had the same command and was first.
            return False
        return True

    def _begin(self, session: Session, job_id: str, order: RunRetrieve, query: Query, *, again: bool) -> None:
        if not keeps_anything(session, order):
            raise InvalidInputError(*_nothing_kept(order))
        job = self._job(job_id, order, query)
        job.content = self._content(session, order, query)
        session.add(job)
        session.flush()
        store = session.get_one(Node, query.store_id)
        ignore_known = counts_known(query, store, self._settings)
        fill(session, job_id, order, ignore_known=ignore_known, content=job.content)
        recount(session, job_id)
        requested = counts_of(session, job_id)["asked"]
        if again and not requested:
            raise InvalidInputError("data.job_id", "nothing is missing: all of it has arrived since")
        self._engine.start_job(session, job, [plan_task()] if requested else [])

    def _job(self, job_id: str, order: RunRetrieve, query: Query) -> Retrieve:
        return Retrieve(
            id=job_id,
            query_id=query.id,
            selection=_selection(order),
            status="queued",
            remote_id=query.remote_id,
            remote_name=query.remote_name,
            store_id=query.store_id,
            store_name=query.store_name,
            requested_by=order.requested_by,
            requested_at=self._clock(),
            priority=order.priority,
        )

    def _content(self, session: Session, order: RunRetrieve, query: Query) -> Content:
        """Return what is retrieved of objects whose header is enough: other stores always get them whole."""
        remote, store = session.get_one(Node, query.remote_id), session.get_one(Node, query.store_id)
        wanted = order.content or remote.retrieve_content
        return HEADERS if wanted == HEADERS and is_own_store(store, self._settings) else WHOLE

    def cancel(self, envelope: Envelope, command: CancelJob) -> None:
        """End a retrieve; a query is ended by its own service, which also refuses unknown ids.

        Raises:
            RetriableError: broker or database away.
        """
        request = CancelRequest(envelope.id, command.requested_by)
        if self._control.cancel(command.job_id, request):
            log.info("retrieve cancelled", job_id=command.job_id)
        else:
            self._keep("cancel", envelope, command)

    def pause(self, envelope: Envelope, command: PauseJob) -> None:
        """Let a retrieve rest; a query is paused by its own service.

        Raises:
            RetriableError: broker or database away.
        """
        if not self._control.pause(command.job_id, Pause(command.requested_by, self._clock(), envelope.id)):
            self._keep("pause", envelope, command)

    def resume(self, envelope: Envelope, command: ResumeJob) -> None:
        """Let a paused retrieve go on; a query is left to its own service.

        Raises:
            RetriableError: broker or database away.
        """
        if not self._control.resume(command.job_id, envelope.id, command.requested_by):
            self._keep("resume", envelope, command)

    def raise_priority(self, envelope: Envelope, command: RaiseJob) -> None:
        """Let a retrieve go before others; a query is left to its own service.

        Raises:
            RetriableError: broker or database away.
        """
        raised = PriorityRaise(command.requested_by, self._clock(), envelope.id)
        if not self._control.raise_priority(command.job_id, raised):
            self._keep("raise", envelope, command)

    def _keep(
        self, action: Action, envelope: Envelope, command: CancelJob | PauseJob | ResumeJob | RaiseJob
    ) -> None:
        """Keep what is ordered of a job of which there is no row; the query service rejects the command."""
        with self._database.read() as session:
            is_query = session.get(Query, command.job_id) is not None
        if not is_query:
            self._control.keep(Order(action, command.job_id, envelope.id, command.requested_by))


def _require_same(existing: Retrieve, order: RunRetrieve) -> None:
    """Refuse an id that was used for another retrieve: its sender would wait for what never runs."""
    if existing.query_id != order.query_id or existing.selection != _selection(order):
        raise InvalidInputError("id", "is the id of an earlier retrieve with other content; use a new id")


def _selection(order: RunRetrieve) -> dict[str, object]:
    selection: dict[str, object] = {
        "types": order.types,
        "study_instance_uids": order.study_instance_uids,
    }
    return selection | ({"content": order.content} if order.content is not None else {})


def _content_of(earlier: Retrieve) -> Content:
    """Return the content of a retrieve, whatever its node is set up to by now."""
    return HEADERS if earlier.content == HEADERS else WHOLE


def _require_missing(earlier: Retrieve) -> None:
    if earlier.status == "completed":
        raise InvalidInputError("data.job_id", "nothing is missing: all of it has arrived")
    if earlier.status not in ENDED:
        raise InvalidInputError("data.job_id", f"has not ended yet; it is {earlier.status}")


def _types(command: RunRetrieve) -> list[str]:
    types = list(dict.fromkeys(name.strip().upper() for name in command.types))
    for name in types:
        if name not in TYPE_ORDER:
            raise InvalidInputError("data.types", f"must hold only {', '.join(TYPE_ORDER)}")
    return types


def _ended_query(session: Session, order: RunRetrieve) -> Query:
    field = "data.query_id"
    # Locked, so that retention does not begin to remove it before the retrieve is there.
    query = session.get(Query, order.query_id, with_for_update={"read": True})
    if query is None:
        raise InvalidInputError(field, "there is no query with this id")
    if query.status not in ENDED:
        raise InvalidInputError(field, f"the query has not ended yet; it is {query.status}")
    if query.folding:
        raise InvalidInputError(field, "retention has removed what this query found; query anew")
    if query.status == "failed" and not query.studies_kept:
        raise InvalidInputError(field, "the query failed and kept nothing; run it again first")
    for node_id in (query.remote_id, query.store_id):
        node = session.get(Node, node_id)
        if node is None or node.removed_at is not None:
            kind = "remote" if node_id == query.remote_id else "store"
            raise InvalidInputError(field, f"the {kind} node of this query was removed")
    return query


def _nothing_kept(order: RunRetrieve) -> tuple[str, str]:
    if order.study_instance_uids:
        return "data.study_instance_uids", "the query kept nothing of these studies"
    if order.types:
        return "data.types", "the query kept no study of these types"
    return "data.query_id", "the query kept nothing"
