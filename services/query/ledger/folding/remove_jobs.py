"""Removes queries and their retrieves, in transactions of a bounded number of rows.

A query that is begun to be removed is marked, so that nobody retrieves from a ledger that is no longer whole
or requests what is missing of it. Whoever goes on finds what is left of it; a step that did not commit has
changed nothing.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, CursorResult, and_, delete, exists, inspect, or_, select, tuple_
from sqlalchemy.orm import Session, aliased

from services.query.ledger.folding.fold_proof import UnfoldedProof
from services.query.ledger.folding.fold_studies import fold_studies, study_part
from services.query.ledger.tally.node_days import lock_node
from shared.database.models import (
    Base,
    CommitmentReport,
    Comparison,
    LongList,
    Query,
    QueryFind,
    QueryObject,
    QuerySeries,
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
#: Rows of a study in all tables, as long as none was counted.
ROWS_OF_STUDY = 6
#: Lists of one transaction: each has up to some hundred parts.
LISTS_AT_ONCE = 20
#: Slices whose response is whole: they are not read once the query is added up.
_WHOLE = ("done", "cut")
_UNREAD = {"synchronize_session": False}


def begun_query(session: Session, but: Sequence[str] = ()) -> str | None:
    """Return a query that somebody began to remove."""
    days_left = and_(Query.folding == KEPT, Query.open_search.is_(False))
    begun = or_(Query.folding == BEGUN, days_left)
    return session.scalar(select(Query.id).where(begun, Query.id.not_in(but)).limit(1))


def oldest_query(session: Session, before: datetime, but: Sequence[str] = ()) -> str | None:
    """Return the query that ended first of those that may go."""
    which = (*may_go(before), Query.id.not_in(but))
    return session.scalar(select(Query.id).where(*which).order_by(Query.ended_at).limit(1))


@dataclass(frozen=True, slots=True)
class _RemovedPart:
    """Rows that were folded or removed, about, and what of them is counted."""

    rows: int
    counted: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _StepSize:
    """What one transaction may still take on."""

    studies: int
    rows: int
    #: Whether it has done nothing yet.
    is_fresh: bool


#: Does a part of a phase; None if nothing is left of that.
_Phase = Callable[[Session, Query, _StepSize], _RemovedPart | None]


class QueryRemoval:
    """The removal of one query, in steps of which each is a transaction.

    After a step that did not commit, another one of these goes on. What a phase has found empty is not looked
    for again: until PostgreSQL has vacuumed, that means to pass over all that was removed.
    """

    def __init__(self, job_id: str, before: datetime) -> None:
        self._job_id = job_id
        self._before = before
        self._proof: UnfoldedProof | None = None
        self._has_begun = False
        self._after_uid = ""
        #: Rows of each of the studies that went last.
        self._rows_of_study = ROWS_OF_STUDY
        #: Those that need the lock of the node, and the others.
        self._folds: deque[_Phase] = deque([self._fold_proof, self._remove_studies])
        self._removes: deque[_Phase] = deque([_remove_retrieves, _remove_finds, _remove_tasks])

    def step(self, session: Session, share: float = 1.0) -> tuple[bool, Counter[str]]:
        """Remove a part of the query; return whether more is left of it, and what was removed.

        `share`: how much of the most that one transaction may remove.
        """
        query = self._locked(session)
        if query is None or not (self._has_begun or self._begin(session, query)):
            return False, Counter()
        removed: Counter[str] = Counter()
        rows, most = 0, part_of(ROWS_AT_ONCE, share)
        while rows < most:
            phases = self._folds or self._removes
            if not phases:
                _end(session, query, self._before)
                return False, removed + Counter(queries=1)
            size = _StepSize(part_of(STUDIES_AT_ONCE, share), most - rows, is_fresh=not rows)
            part = phases[0](session, query, size)
            if part is None:
                phases.popleft()
                continue
            removed += part.counted
            rows += part.rows
        return True, removed

    def _locked(self, session: Session) -> Query | None:
        """Return the query, locked; and while there is something to fold, the lock of its node before."""
        without_jit(session)
        if self._folds:
            node_id = session.scalar(select(Query.remote_id).where(Query.id == self._job_id))
            if node_id is None:
                return None
            lock_node(session, node_id)
        which = select(Query).where(Query.id == self._job_id).with_for_update()
        return session.scalars(which.execution_options(populate_existing=True)).one_or_none()

    def _begin(self, session: Session, query: Query) -> bool:
        """Mark the query, so that it stays as it is; False if something needs it since it was chosen."""
        self._has_begun = True
        if query.folding:
            self._find_left_over()
            return True
        if session.scalar(select(Query.id).where(Query.id == query.id, *may_go(self._before))) is None:
            return False
        # Until its days are folded, a worker of the version before, which would not do it, leaves it alone.
        query.folding = BEGUN if query.open_search else KEPT
        return True

    def _fold_proof(self, session: Session, query: Query, size: _StepSize) -> _RemovedPart | None:
        """Keep what the query proves; nothing of it is removed before all of that is kept."""
        if query.folding == BEGUN:
            return None
        if self._proof is None:
            self._proof = UnfoldedProof(session, query)
        rows = self._proof.fold(session, size.rows)
        if self._proof.is_folded:
            query.folding = BEGUN
        return _RemovedPart(rows)

    def _remove_studies(self, session: Session, query: Query, size: _StepSize) -> _RemovedPart | None:
        wanted = max(1, min(size.studies, size.rows // self._rows_of_study))
        uids = _next_studies(session, query, self._after_uid, wanted)
        if not uids:
            return None
        part = study_part(session, query, uids, size.rows)
        if not (part.fits or size.is_fresh):
            return _RemovedPart(size.rows)
        fold_studies(session, query, part)
        if not part.fits:
            self._find_left_over()
        self._after_uid = part.uids[-1]
        self._rows_of_study = -(-part.rows // len(part.uids))
        return _RemovedPart(part.rows, Counter(studies=len(part.uids)))

    def _find_left_over(self) -> None:
        """Let what large studies have left be removed, too; it is not looked for in other queries."""
        if _remove_objects not in self._removes:
            self._removes.extendleft([_remove_series, _remove_objects])


# What goes after the studies


def _remove_objects(session: Session, query: Query, size: _StepSize) -> _RemovedPart | None:
    return _removed(_remove_rows(session, QueryObject, *_without_study(query, QueryObject), most=size.rows))


def _remove_series(session: Session, query: Query, size: _StepSize) -> _RemovedPart | None:
    return _removed(_remove_rows(session, QuerySeries, *_without_study(query, QuerySeries), most=size.rows))


def _remove_finds(session: Session, query: Query, size: _StepSize) -> _RemovedPart | None:
    return _removed(_remove_rows(session, QueryFind, QueryFind.job_id == query.id, most=size.rows))


def _remove_tasks(session: Session, query: Query, size: _StepSize) -> _RemovedPart | None:
    return _removed(_remove_rows(session, QueryTask, *_tasks_to_go(query), most=size.rows))


def _removed(rows: int) -> _RemovedPart | None:
    return _RemovedPart(rows) if rows else None


def _remove_retrieves(session: Session, query: Query, size: _StepSize) -> _RemovedPart | None:
    retrieve_id = session.scalar(select(Retrieve.id).where(Retrieve.query_id == query.id).limit(1))
    return None if retrieve_id is None else _remove_retrieve(session, retrieve_id, size.rows)


def remove_rest(session: Session, before: datetime, share: float = 1.0) -> bool:
    """Remove old comparisons, lists and runs without a query; return whether there may be more."""
    without_left = ~exists().where(Query.id == Comparison.left_query)
    comparisons = (Comparison.requested_at < before, without_left)
    later = aliased(ScheduleRun)
    is_last = ~exists().where(later.schedule_id == ScheduleRun.schedule_id, later.due_at > ScheduleRun.due_at)
    runs = (ScheduleRun.ended_at < before, ScheduleRun.job_id.is_(None), ~is_last)
    kinds: tuple[tuple[type[Base], tuple[ColumnElement[bool], ...], int], ...] = (
        (Comparison, comparisons, ROWS_AT_ONCE),
        (LongList, (LongList.ended_at < before,), LISTS_AT_ONCE),
        (ScheduleRun, runs, ROWS_AT_ONCE),
    )
    for table, which, at_once in kinds:
        most = part_of(at_once, share)
        if _remove_rows(session, table, *which, most=most) >= most:
            return True
    return False


def _next_studies(session: Session, query: Query, after_uid: str, most: int) -> list[str]:
    uid = QueryStudy.study_instance_uid
    which: list[ColumnElement[bool]] = [QueryStudy.job_id == query.id, uid > after_uid]
    if query.open_search:
        # One without a date that was not finished may belong to any day: the query proves none.
        undated = or_(QueryStudy.study_date.is_(None), QueryStudy.study_date == "")
        which.append(~and_(undated, QueryStudy.state != "decided"))
    return list(session.scalars(select(uid).where(*which).order_by(uid).limit(most)))


def _without_study(query: Query, table: type[QuerySeries | QueryObject]) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for rows of studies that went before them: there were too many for one step."""
    if not query.open_search:
        return (table.job_id == query.id,)
    study = exists().where(
        QueryStudy.job_id == table.job_id, QueryStudy.study_instance_uid == table.study_instance_uid
    )
    return (table.job_id == query.id, ~study)


def _tasks_to_go(query: Query) -> tuple[ColumnElement[bool], ...]:
    if not query.open_search:
        return (QueryTask.job_id == query.id,)
    is_read = and_(QueryTask.kind == SLICE, QueryTask.state.not_in(_WHOLE))
    return (QueryTask.job_id == query.id, ~is_read)


def _remove_retrieve(session: Session, job_id: str, most: int) -> _RemovedPart:
    rows = _remove_rows(session, RetrieveObject, RetrieveObject.job_id == job_id, most=most)
    if rows:
        return _RemovedPart(rows, Counter(retrieved_objects=rows))
    transactions = select(RetrieveCommitment.transaction_uid).where(RetrieveCommitment.job_id == job_id)
    of_job: tuple[tuple[type[Base], ColumnElement[bool]], ...] = (
        (RetrieveMove, RetrieveMove.job_id == job_id),
        (RetrieveTask, RetrieveTask.job_id == job_id),
        (CommitmentReport, CommitmentReport.transaction_uid.in_(transactions)),
        (RetrieveCommitment, RetrieveCommitment.job_id == job_id),
    )
    for table, which in of_job:
        rows = _remove_rows(session, table, which, most=most)
        if rows:
            return _RemovedPart(rows)
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
