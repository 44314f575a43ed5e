"""The list of jobs: queries with their retrieves beside them, or jobs of either kind one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from sqlalchemy import ColumnElement, SQLColumnExpression, String, cast, exists, select
from sqlalchemy.orm import Session

from shared.contract.envelope import valid_id
from shared.contract.messages import ENDED
from shared.database.models.query import Query, QueryStudy
from shared.database.models.retrieve import Retrieve
from shared.database.models.schedule import ScheduleRun
from shared.identifiers import Uid
from shared.reading.jobs import J, Job, JobKind
from shared.reading.lists.keyset import Columns, KeyValue, ListPage, Place, list_page, merged, placed

#: The orders of the list, and whether each runs downwards.
SORTS = {"newest": True, "oldest": False, "ended": True, "largest": True}

#: Retrieves of one query that its row shows, and running retrieves of queries on other pages.
RETRIEVES_SHOWN, RUNNING_SHOWN = 20, 20

#: The end of a range of texts that begin alike.
_LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class JobSearch:
    """Which jobs, and in which order; None and empty: all."""

    kind: JobKind | None = None
    status: str = ""
    remote_id: int | None = None
    store_id: int | None = None
    requested_by: str = ""
    #: The recurring query whose runs they are.
    schedule_id: int | None = None
    requested_from: datetime | None = None
    requested_before: datetime | None = None
    #: Beginning of an id, UID of a study, or part of a node's name, of the criteria or of the detail.
    text: str = ""
    sort: str = "newest"
    #: Whether the text is the beginning of an id that there is.
    is_id: bool = False

    @property
    def grouped(self) -> bool:
        """Whether retrieves stand with their queries: not where their own status or person is searched."""
        return self.kind is None and not self.status and not self.requested_by

    @property
    def descending(self) -> bool:
        """Whether the list runs downwards."""
        return SORTS[self.sort]


@dataclass(frozen=True, slots=True)
class JobEntry:
    """A job of the list; that of a query holds its retrieves, the newest first."""

    job: Job
    retrieves: Sequence[Retrieve] = ()
    #: The query itself, or that of a retrieve that stands by itself.
    query: Query | None = None


def find_jobs(session: Session, wanted: JobSearch, place: Place, limit: int) -> ListPage[JobEntry]:
    """Return a page of jobs; a text that begins the id of some job means only such jobs."""
    if wanted.text and valid_id(wanted.text):
        wanted = replace(wanted, is_id=_begins_an_id(session, wanted.text))
    if wanted.grouped:
        page = _page(session, wanted, place, limit, [Query])
        retrieves = retrieves_of(session, [job.id for job in page.rows])
        entries = [JobEntry(job, retrieves.get(job.id, [])) for job in page.rows]
    else:
        kinds: list[type[Job]] = [Query] if wanted.kind != "retrieve" else []
        kinds += [Retrieve] if wanted.kind != "query" else []
        page = _page(session, wanted, place, limit, kinds)
        entries = with_queries(session, page.rows)
    return ListPage(entries, page.has_previous, page.has_next)


def _begins_an_id(session: Session, text: str) -> bool:
    queries = exists(Query.id).where(_begins(Query, text))
    return bool(session.scalar(select(queries | exists(Retrieve.id).where(_begins(Retrieve, text)))))


def with_queries(session: Session, jobs: Sequence[Job]) -> list[JobEntry]:
    """Return an entry of each job, a retrieve with its query."""
    ids = {job.query_id for job in jobs if isinstance(job, Retrieve)}
    rows = session.scalars(select(Query).where(Query.id.in_(ids))) if ids else ()
    queries = {query.id: query for query in rows}
    return [JobEntry(job, query=queries.get(getattr(job, "query_id", ""))) for job in jobs]


def running_retrieves(session: Session, without: Sequence[JobEntry]) -> list[JobEntry]:
    """Return the retrieves that have not ended and that these entries do not show."""
    shown = {entry.job.id for entry in without}
    rows = session.scalars(
        select(Retrieve)
        .where(Retrieve.status.in_(("queued", "running")))
        .order_by(Retrieve.requested_at.desc(), Retrieve.id)
        .limit(RUNNING_SHOWN)
    )
    return with_queries(session, [row for row in rows if row.id not in shown and row.query_id not in shown])


def latest_of(session: Session, person: str, limit: int) -> list[JobEntry]:
    """Return the last queries of somebody, those that run first."""
    wanted = select(Query).where(Query.requested_by == person)
    rows = session.scalars(wanted.order_by(Query.requested_at.desc(), Query.id.desc()).limit(limit)).all()
    retrieves = retrieves_of(session, [row.id for row in rows])
    entries = [JobEntry(row, retrieves.get(row.id, []), row) for row in rows]
    return sorted(entries, key=lambda entry: not _runs(entry))


def _runs(entry: JobEntry) -> bool:
    return any(job.status not in ENDED for job in (entry.job, *entry.retrieves))


def key_of(job: Job, sort: str) -> tuple[KeyValue, ...]:
    """Return the key of a job in an order of the list."""
    if sort == "ended":
        return (job.ended_at, job.id)
    if sort == "largest":
        return (job.arrived if isinstance(job, Retrieve) else job.studies_kept, job.id)
    return (job.requested_at, job.id)


def _page(
    session: Session, wanted: JobSearch, place: Place, limit: int, kinds: Sequence[type[Job]]
) -> ListPage[Job]:
    parts: list[Sequence[Job]] = []
    for model in kinds:
        if model is Query:
            parts.append(_rows(session, Query, wanted, place, limit))
        else:
            parts.append(_rows(session, Retrieve, wanted, place, limit))
    rows = merged(parts, partial(key_of, sort=wanted.sort), place, descending=wanted.descending)
    return list_page(rows, place, limit)


def _rows(session: Session, model: type[J], wanted: JobSearch, place: Place, limit: int) -> Sequence[J]:
    statement = select(model).where(*_conditions(session, model, wanted))
    columns = _columns(model, wanted.sort)
    return session.scalars(placed(statement, columns, place, limit, descending=wanted.descending)).all()


def _columns(model: type[J], sort: str) -> Columns:
    if sort == "ended":
        return (model.ended_at, model.id)
    if sort == "largest":
        return (_size(model), model.id)
    return (model.requested_at, model.id)


def _size(model: type[J]) -> SQLColumnExpression[int]:
    return Retrieve.arrived if model is Retrieve else Query.studies_kept


def _conditions(session: Session, model: type[J], wanted: JobSearch) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.status:
        conditions.append(model.status == wanted.status)
    if wanted.remote_id is not None:
        conditions.append(model.remote_id == wanted.remote_id)
    if wanted.store_id is not None:
        conditions.append(model.store_id == wanted.store_id)
    if wanted.schedule_id is not None:
        runs = select(ScheduleRun.job_id).where(ScheduleRun.schedule_id == wanted.schedule_id)
        conditions.append(_query_id(model).in_(runs))
    if wanted.requested_by:
        conditions.append(model.requested_by == wanted.requested_by)
    if wanted.requested_from is not None:
        conditions.append(model.requested_at >= wanted.requested_from)
    if wanted.requested_before is not None:
        conditions.append(model.requested_at < wanted.requested_before)
    if wanted.sort == "ended":
        conditions.append(model.ended_at.is_not(None))
    if wanted.text:
        is_id = wanted.is_id
        matches = _begins(model, wanted.text) if is_id else _matches(session, model, wanted.text)
        conditions.append(matches)
    return conditions


def _matches(session: Session, model: type[J], text: str) -> ColumnElement[bool]:
    if _is_uid(text):
        return _query_id(model).in_(select(QueryStudy.job_id).where(QueryStudy.study_instance_uid == text))
    columns: list[SQLColumnExpression[str]] = [model.remote_name, model.store_name, model.detail]
    columns.append(cast(Retrieve.selection if model is Retrieve else Query.criteria, String))
    # One comparison of a text that holds all columns: a third of the time of one for each.
    together = columns[0]
    for column in columns[1:]:
        together = together.concat("\n").concat(column)
    # LIKE itself does not mind case on SQLite; to fold it before would cost twice the time.
    if session.get_bind().dialect.name == "sqlite":
        return together.contains(text, autoescape=True)
    return together.icontains(text, autoescape=True)


def _query_id(model: type[J]) -> SQLColumnExpression[str]:
    return Retrieve.query_id if model is Retrieve else Query.id


def _begins(model: type[J], text: str) -> ColumnElement[bool]:
    return (model.id >= text) & (model.id < text + _LAST_CHARACTER)


def _is_uid(text: str) -> bool:
    return "." in text and Uid.problem_of(text) is None


def retrieves_of(session: Session, query_ids: Sequence[str]) -> dict[str, list[Retrieve]]:
    """Return the retrieves of these queries, the newest first, each query's bounded."""
    found: dict[str, list[Retrieve]] = {}
    if not query_ids:
        return found
    rows = session.scalars(
        select(Retrieve)
        .where(Retrieve.query_id.in_(query_ids))
        .order_by(Retrieve.requested_at.desc(), Retrieve.id)
        .limit(RETRIEVES_SHOWN * len(query_ids))
    )
    for row in rows:
        found.setdefault(row.query_id, []).append(row)
    return found
