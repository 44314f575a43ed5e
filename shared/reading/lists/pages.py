"""Pages of jobs, studies, objects and audit entries: each begins after the last key of the one before.

So a page costs the same wherever it lies, and rows that are added meanwhile shift none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from shared.clock import iso
from shared.contract.results import AuditRecord, JobObject, StudyResult
from shared.database.models.query import Query, QueryFind, QueryObject, QueryStudy, QueryTask
from shared.database.models.retrieve import Retrieve, RetrieveMove, RetrieveObject
from shared.database.models.web import AuditEntry
from shared.querying.payloads import SLICE
from shared.reading.jobs import J, Job, JobKind
from shared.reading.lists.keyset import ListPage, Place, scalar_page
from shared.reading.query_json import with_series


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs; None and empty: all."""

    kind: JobKind | None = None
    statuses: Sequence[str] = ()
    node_id: int | None = None
    requested_by: str | None = None
    requested_from: datetime | None = None
    requested_until: datetime | None = None


def job_page(
    session: Session, wanted: JobFilter, limit: int, after: tuple[datetime, str] | None = None
) -> list[Job]:
    """Return jobs, the newest first; `after` is the time and id of the last one of the page before."""
    jobs: list[Job] = []
    if wanted.kind in (None, "query"):
        jobs.extend(session.scalars(_newest(Query, wanted, limit, after)))
    if wanted.kind in (None, "retrieve"):
        jobs.extend(session.scalars(_newest(Retrieve, wanted, limit, after)))
    jobs.sort(key=lambda job: (job.requested_at, job.id), reverse=True)
    return jobs[:limit]


def _newest(model: type[J], wanted: JobFilter, limit: int, after: tuple[datetime, str] | None) -> Select[J]:
    statement = select(model).order_by(model.requested_at.desc(), model.id.desc()).limit(limit)
    if wanted.statuses:
        statement = statement.where(model.status.in_(wanted.statuses))
    if wanted.node_id is not None:
        statement = statement.where(or_(model.remote_id == wanted.node_id, model.store_id == wanted.node_id))
    if wanted.requested_by is not None:
        statement = statement.where(model.requested_by == wanted.requested_by)
    if wanted.requested_from is not None:
        statement = statement.where(model.requested_at >= wanted.requested_from)
    if wanted.requested_until is not None:
        statement = statement.where(model.requested_at <= wanted.requested_until)
    if after is not None:
        moment, job_id = after
        statement = statement.where(
            or_(model.requested_at < moment, and_(model.requested_at == moment, model.id < job_id))
        )
    return statement


@dataclass(frozen=True, slots=True)
class StudyFilter:
    """Which studies of a query; None: all."""

    decision: str | None = None
    type: str | None = None
    reason: str | None = None
    #: Only studies of which this retrieve expects objects.
    retrieve_id: str | None = None


def study_page(
    session: Session, query_id: str, wanted: StudyFilter, limit: int, after: str = ""
) -> list[StudyResult]:
    """Return studies with their series in the order of UIDs; `after` is the last UID of the page before."""
    study = QueryStudy
    statement = (
        select(study.study_instance_uid, study.type, study.decision, study.reason, study.note, study.state)
        .where(study.job_id == query_id, study.study_instance_uid > after)
        .order_by(study.study_instance_uid)
        .limit(limit)
    )
    for column, value in (
        (study.decision, wanted.decision),
        (study.type, wanted.type),
        (study.reason, wanted.reason),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if wanted.retrieve_id is not None:
        expected = select(RetrieveObject.study_instance_uid).where(
            RetrieveObject.job_id == wanted.retrieve_id,
            RetrieveObject.study_instance_uid == study.study_instance_uid,
        )
        statement = statement.where(expected.exists())
    rows = session.execute(statement).all()
    return list(with_series(session, query_id, rows, sparse=True)) if rows else []


ObjectKey = tuple[str, str, str]


def object_page(
    session: Session, job: Job, limit: int, after: ObjectKey | None = None, state: str | None = None
) -> list[JobObject]:
    """Return objects in the order of UIDs; `after` holds the three UIDs of the last one of the page before.

    `state` is that of a retrieve's objects, and the decision of a query's.
    """
    if isinstance(job, Retrieve):
        row, column = RetrieveObject, RetrieveObject.state
        rows = session.scalars(_objects(row, job.id, limit, after, column, state))
        return [_expected(found) for found in rows]
    decided = _objects(QueryObject, job.id, limit, after, QueryObject.decision, state)
    return [_decided(found) for found in session.scalars(decided)]


ObjectRowT = TypeVar("ObjectRowT", RetrieveObject, QueryObject)


def _objects(
    model: type[ObjectRowT],
    job_id: str,
    limit: int,
    after: ObjectKey | None,
    column: InstrumentedAttribute[str],
    state: str | None,
) -> Select[ObjectRowT]:
    key = (model.study_instance_uid, model.series_instance_uid, model.sop_instance_uid)
    statement = select(model).where(model.job_id == job_id).order_by(*key).limit(limit)
    if after is not None:
        statement = statement.where(tuple_(*key) > tuple_(*after))
    if state is not None:
        statement = statement.where(column == state)
    return statement


def _expected(row: RetrieveObject) -> JobObject:
    return {
        "study_instance_uid": row.study_instance_uid,
        "series_instance_uid": row.series_instance_uid,
        "sop_instance_uid": row.sop_instance_uid,
        "sop_class_uid": row.sop_class_uid or None,
        "state": row.state,
        "decision": None,
        "reason": row.reason or None,
        "detail": row.detail,
        "announced": row.announced,
        "arrived_at": iso(row.arrived_at),
        "content": row.content,
    }


def _decided(row: QueryObject) -> JobObject:
    return {
        "study_instance_uid": row.study_instance_uid,
        "series_instance_uid": row.series_instance_uid,
        "sop_instance_uid": row.sop_instance_uid,
        "sop_class_uid": row.sop_class_uid,
        "state": "decided",
        "decision": row.decision,
        "reason": row.reason or None,
        "detail": "",
        "announced": None,
        "arrived_at": None,
        "content": None,
    }


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which audit entries; None: all."""

    action: str | None = None
    user: str | None = None
    token: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def audit_page(
    session: Session, wanted: AuditFilter, limit: int, after: int | None = None
) -> list[AuditRecord]:
    """Return audit entries, the newest first; `after` is the id of the last one of the page before."""
    entry = AuditEntry
    conditions: list[ColumnElement[bool]] = []
    for column, value in (
        (entry.action, wanted.action),
        (entry.user, wanted.user),
        (entry.token, wanted.token),
    ):
        if value is not None:
            conditions.append(column == value)
    if wanted.since is not None:
        conditions.append(entry.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(entry.at <= wanted.until)
    if after is not None:
        conditions.append(entry.id < after)
    rows = session.scalars(select(entry).where(*conditions).order_by(entry.id.desc()).limit(limit))
    return [
        {
            "id": row.id,
            "at": iso(row.at),
            "action": row.action,
            "user": row.user,
            "token": row.token,
            "remote_address": row.remote_address,
            "details": row.details,
        }
        for row in rows
    ]


def audit_actions(session: Session) -> list[str]:
    """Return the actions that the audit trail knows, by name."""
    entry = AuditEntry
    found: list[str] = []
    # Each step jumps over all entries of an action: the table is large, and its actions are few.
    while action := session.scalar(select(func.min(entry.action)).where(entry.action > (found or [""])[-1])):
        found.append(action)
    return found


def slices_of(
    session: Session, query_id: str, place: Place, limit: int, state: str = ""
) -> ListPage[QueryTask]:
    """Return a page of the slices of a query; those that were split or merged are among them."""
    statement = select(QueryTask).where(QueryTask.job_id == query_id, QueryTask.kind == SLICE)
    if state:
        statement = statement.where(QueryTask.state == state)
    return scalar_page(session, statement, (QueryTask.id,), place, limit, descending=False)


def finds_of(session: Session, query_id: str, place: Place, limit: int) -> ListPage[QueryFind]:
    """Return a page of the C-FINDs of a query."""
    statement = select(QueryFind).where(QueryFind.job_id == query_id)
    return scalar_page(session, statement, (QueryFind.id,), place, limit, descending=False)


def moves_of(session: Session, retrieve_id: str, place: Place, limit: int) -> ListPage[RetrieveMove]:
    """Return a page of the C-MOVEs, or C-GETs, of a retrieve."""
    statement = select(RetrieveMove).where(RetrieveMove.job_id == retrieve_id)
    return scalar_page(session, statement, (RetrieveMove.id,), place, limit, descending=False)


#: C-FINDs of a query whose durations are read: enough for percentiles.
DURATIONS = 20_000


def find_durations(session: Session, query_id: str) -> list[tuple[str, int]]:
    """Return level and duration in milliseconds of the first C-FINDs of a query."""
    rows = session.execute(
        select(QueryFind.level, QueryFind.duration_ms).where(QueryFind.job_id == query_id).limit(DURATIONS)
    )
    return [(row.level, row.duration_ms) for row in rows]
