"""Removes queries and their retrieves, in transactions of a bounded number of rows.

A query that is begun to be removed is marked, so that nobody retrieves from a ledger that is no longer whole
or requests what is missing of it. Whoever goes on finds what is left of it; a step that did not commit has
changed nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, CursorResult, and_, delete, exists, inspect, or_, select, tuple_
from sqlalchemy.orm import Session, aliased

from services.query.ledger.folding.fold_studies import fold_days, fold_identifiers, fold_studies
from services.query.ledger.tally.node_days import lock_node
from shared.database.models import (
    Base,
    CommitmentReport,
    Comparison,
    LongList,
    Query,
    QueryFind,
    QueryStudy,
    QueryTask,
    Retrieve,
    RetrieveCommitment,
    RetrieveMove,
    RetrieveObject,
    RetrieveTask,
    ScheduleRun,
)
from shared.querying.payloads import SLICE
from shared.reading.evidence.studies import without_jit
from shared.reading.retention.due_jobs import BEGUN, KEPT, may_go
from shared.retention.step_size import part_of

#: Studies, and other rows, of one transaction at most: on SQLite nobody else writes meanwhile.
STUDIES_AT_ONCE, ROWS_AT_ONCE = 200, 1000
#: Rows of a study in all tables, as a guess.
ROWS_OF_STUDY = 5
#: Slices whose response is whole: they are not read once the query is added up.
_WHOLE = ("done", "cut")
_UNREAD = {"synchronize_session": False}


def next_query(session: Session, before: datetime, but: Sequence[str] = ()) -> str | None:
    """Return the query to be removed next: one that is begun, or else the one that ended first."""
    begun = select(Query.id).where(Query.folding == BEGUN, Query.id.not_in(but)).limit(1)
    oldest = select(Query.id).where(*may_go(before), Query.id.not_in(but)).order_by(Query.ended_at).limit(1)
    return session.scalar(begun) or session.scalar(oldest)


def remove_step(
    session: Session, job_id: str, before: datetime, share: float = 1.0
) -> tuple[bool, Counter[str]]:
    """Remove a part of a query; return whether more is left of it, and what was removed.

    `share`: how much of the most that one transaction may remove.
    """
    node_id = session.scalar(select(Query.remote_id).where(Query.id == job_id))
    if node_id is None:
        return False, Counter()
    lock_node(session, node_id)
    without_jit(session)
    which = select(Query).where(Query.id == job_id).with_for_update()
    query = session.scalars(which.execution_options(populate_existing=True)).one_or_none()
    if query is None:
        return False, Counter()
    if not query.folding and not _begin(session, query, before):
        return False, Counter()
    removed: Counter[str] = Counter()
    rows, most = 0, part_of(ROWS_AT_ONCE, share)
    while rows < most:
        part = _remove_part(session, query, part_of(STUDIES_AT_ONCE, share), most)
        if part is None:
            _end(session, query, before)
            return False, removed + Counter(queries=1)
        removed += part.counted
        rows += part.rows
    return True, removed


@dataclass(frozen=True, slots=True)
class _RemovedPart:
    """Rows that were removed, about, and what of them is counted."""

    rows: int
    counted: Counter[str]


def _remove_part(session: Session, query: Query, studies: int, most: int) -> _RemovedPart | None:
    """Remove so many studies, or other rows, of what belongs to a query; None if nothing is left."""
    uids = _next_studies(session, query, studies)
    if uids:
        fold_studies(session, query, uids)
        return _RemovedPart(len(uids) * ROWS_OF_STUDY, Counter(studies=len(uids)))
    retrieve_id = session.scalar(select(Retrieve.id).where(Retrieve.query_id == query.id).limit(1))
    if retrieve_id is not None:
        return _remove_retrieve(session, retrieve_id, most)
    rows = _remove_rows(session, QueryFind, QueryFind.job_id == query.id, most=most)
    rows = rows or _remove_rows(session, QueryTask, *_tasks_to_go(query), most=most)
    return _RemovedPart(rows, Counter()) if rows else None


def remove_rest(session: Session, before: datetime, share: float = 1.0) -> bool:
    """Remove old comparisons, lists and runs without a query; return whether there may be more."""
    without_left = ~exists().where(Query.id == Comparison.left_query)
    comparisons = (Comparison.requested_at < before, without_left)
    later = aliased(ScheduleRun)
    is_last = ~exists().where(later.schedule_id == ScheduleRun.schedule_id, later.due_at > ScheduleRun.due_at)
    runs = (ScheduleRun.ended_at < before, ScheduleRun.job_id.is_(None), ~is_last)
    most = part_of(ROWS_AT_ONCE, share)
    removed = (
        _remove_rows(session, Comparison, *comparisons, most=most),
        _remove_rows(session, LongList, LongList.ended_at < before, most=most),
        _remove_rows(session, ScheduleRun, *runs, most=most),
    )
    return any(number >= most for number in removed)


def _begin(session: Session, query: Query, before: datetime) -> bool:
    """Mark a query, and keep what its slices prove; False if something needs it since it was chosen."""
    if session.scalar(select(Query.id).where(Query.id == query.id, *may_go(before))) is None:
        return False
    fold_days(session, query)
    fold_identifiers(session, query)
    query.folding = BEGUN
    return True


def _next_studies(session: Session, query: Query, most: int) -> list[str]:
    uid = QueryStudy.study_instance_uid
    which: list[ColumnElement[bool]] = [QueryStudy.job_id == query.id]
    if query.open_search:
        # One without a date that was not finished may belong to any day: the query proves none.
        undated = or_(QueryStudy.study_date.is_(None), QueryStudy.study_date == "")
        which.append(~and_(undated, QueryStudy.state != "decided"))
    return list(session.scalars(select(uid).where(*which).order_by(uid).limit(most)))


def _tasks_to_go(query: Query) -> tuple[ColumnElement[bool], ...]:
    if not query.open_search:
        return (QueryTask.job_id == query.id,)
    is_read = and_(QueryTask.kind == SLICE, QueryTask.state.not_in(_WHOLE))
    return (QueryTask.job_id == query.id, ~is_read)


def _remove_retrieve(session: Session, job_id: str, most: int) -> _RemovedPart:
    rows = _remove_rows(session, RetrieveObject, RetrieveObject.job_id == job_id, most=most)
    if rows:
        return _RemovedPart(rows, Counter(retrieved_objects=rows))
    for table in (RetrieveMove, RetrieveTask):
        rows = _remove_rows(session, table, table.job_id == job_id, most=most)
        if rows:
            return _RemovedPart(rows, Counter())
    transactions = select(RetrieveCommitment.transaction_uid).where(RetrieveCommitment.job_id == job_id)
    reports = delete(CommitmentReport).where(CommitmentReport.transaction_uid.in_(transactions))
    session.execute(reports, execution_options=_UNREAD)
    session.execute(delete(Retrieve).where(Retrieve.id == job_id), execution_options=_UNREAD)
    return _RemovedPart(1, Counter(retrieves=1))


def _end(session: Session, query: Query, before: datetime) -> None:
    """Remove what is left of a query, but for the row that proves days without an end."""
    if query.open_search:
        query.folding = KEPT
        return
    sides = or_(Comparison.left_query == query.id, Comparison.right_query == query.id)
    comparisons = delete(Comparison).where(sides, Comparison.requested_at < before)
    session.execute(comparisons, execution_options=_UNREAD)
    runs = delete(ScheduleRun).where(ScheduleRun.job_id == query.id)
    session.execute(runs, execution_options=_UNREAD)
    session.execute(delete(Query).where(Query.id == query.id), execution_options=_UNREAD)


def _remove_rows(session: Session, table: type[Base], *which: ColumnElement[bool], most: int) -> int:
    """Remove at most so many rows; return how many."""
    key = list(inspect(table).primary_key)
    some = select(*key).where(*which).limit(most)
    removed = session.execute(delete(table).where(tuple_(*key).in_(some)), execution_options=_UNREAD)
    assert isinstance(removed, CursorResult)
    return removed.rowcount
