"""The slices of a query in the ledger: those that wait, and those that follow from the end of another one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import and_, func, select, update
from sqlalchemy.orm import Session

from services.query.ledger.studies import add_counts
from shared.database.models import Query, QueryTask
from shared.dicom.errors import NotNowError, Outcome, PeerError
from shared.jobs.model import Claim
from shared.jobs.shares.node_load import OPEN
from shared.querying.initial_tasks import HEAD_START, WEB_HEAD_START
from shared.querying.payloads import SLICE, WindowSlice, read_slice, to_json, with_matches
from shared.querying.profile import Habit
from shared.querying.slices import Slice

#: Open slices that are read for one of them, and how long that waits for them before they are read again.
_LOOKAHEAD, _PAUSE = 40, timedelta(seconds=0.5)


def pending_windows(
    session: Session, job_id: str, limit: int | None = None
) -> list[tuple[QueryTask, WindowSlice]]:
    """Return the first windows of a query that nobody has begun to search, oldest task first."""
    tasks = session.scalars(
        select(QueryTask)
        .where(QueryTask.job_id == job_id, QueryTask.state == "pending", QueryTask.kind == SLICE)
        .order_by(QueryTask.id)
        .limit(limit)
    )
    parts = ((task, read_slice(task.payload)) for task in tasks)
    return [(task, part) for task, part in parts if isinstance(part, WindowSlice)]


def end_head_start(session: Session, claim: Claim) -> None:
    """Let the slices begin that were to wait for what this one, begun together with them, has learned."""
    created_at = session.get_one(QueryTask, claim.task_id).created_at
    waiting = and_(
        QueryTask.job_id == claim.job_id,
        QueryTask.state == "pending",
        QueryTask.due_at.in_([created_at + HEAD_START, created_at + WEB_HEAD_START]),
    )
    session.execute(update(QueryTask).where(waiting).values(due_at=created_at))


def let_as_wide_begin(session: Session, claim: Claim, days: int | None, now: datetime) -> None:
    """Let a window that was empty wait for others of so many days or more (None: all) that nobody searched.

    A match in one of them proves that the node searches as far. One that failed may fail for long.

    Raises:
        NotNowError: there are such windows.
    """
    tasks = session.scalars(
        select(QueryTask)
        .where(QueryTask.job_id == claim.job_id, QueryTask.kind == SLICE, QueryTask.state.in_(OPEN))
        .where(QueryTask.id != claim.task_id, QueryTask.failures == 0)
        .order_by(QueryTask.id)
        .limit(_LOOKAHEAD)
    )
    parts = (read_slice(task.payload) for task in tasks)
    windows = (part.window for part in parts if isinstance(part, WindowSlice) and not part.again)
    if any(window.days is None or (days is not None and window.days >= days) for window in windows):
        raise NotNowError(now + _PAUSE, "")


def several_slices_wait(session: Session, job_id: str) -> bool:
    """Return whether more than one slice of a query has not been begun."""
    waiting = select(func.count()).where(
        QueryTask.job_id == job_id, QueryTask.kind == SLICE, QueryTask.state.in_(("pending", "queued"))
    )
    return (session.scalar(waiting) or 0) > 1


def sibling_matches(session: Session, task: QueryTask) -> list[int] | None:
    """Return the number of matches of each part of the window of which this task is one.

    None as long as one of them is not complete.
    """
    session.flush()
    parts = session.scalars(
        select(QueryTask).where(QueryTask.job_id == task.job_id, QueryTask.parent_id == task.parent_id)
    )
    numbers = [_matches(part) for part in parts]
    complete = [number for number in numbers if number is not None]
    return complete if len(complete) == len(numbers) else None


def _matches(task: QueryTask) -> int | None:
    part = read_slice(task.payload)
    return part.matches if isinstance(part, WindowSlice) else None


def first_failed_task(session: Session, job_id: str) -> QueryTask | None:
    """Return the first task of a query that failed for good."""
    failed = select(QueryTask).where(QueryTask.job_id == job_id, QueryTask.state == "failed")
    return session.scalars(failed.order_by(QueryTask.id).limit(1)).first()


def fail_open_slices(session: Session, job_id: str) -> None:
    """Count all slices that are not complete as failed: the query ends early."""
    values = {"slices_failed": Query.slices_total - Query.slices_complete}
    session.execute(update(Query).where(Query.id == job_id).values(values))


def fail_waiting_slices(session: Session, job_id: str, error: PeerError) -> int:
    """Fail the slices that nobody has begun to search; return how many."""
    waiting = and_(
        QueryTask.job_id == job_id, QueryTask.kind == SLICE, QueryTask.state.in_(("pending", "queued"))
    )
    number = session.scalar(select(func.count()).where(waiting)) or 0
    values = {"state": "failed", "error": error.code, "detail": str(error)}
    session.execute(update(QueryTask).where(waiting).values(values))
    return number


def add_untimed_failure(session: Session, claim: Claim, part: WindowSlice) -> None:
    """Record that the studies without a time of the claim's day may not all be known."""
    error = PeerError(
        Outcome.CAPPED,
        "studies without a time cannot be requested in parts of a day, and this day is too much at once",
    )
    task = session.get_one(QueryTask, claim.task_id)
    day = WindowSlice(replace(part.window, time_from=None, time_until=None), untimed=True)
    session.add(
        QueryTask(
            job_id=claim.job_id,
            kind=SLICE,
            payload=to_json(day),
            state="failed",
            created_at=task.created_at,
            due_at=task.due_at,
            error=error.code,
            detail=str(error),
        )
    )
    add_counts(session, claim.job_id, slices_total=1, slices_failed=1)


def record_matches(
    task: QueryTask, matches: int, unproven: Sequence[Habit] = (), *, without_code: bool = False
) -> None:
    """Record the number of matches of a slice that is complete, and what is not known of its node."""
    task.payload = with_matches(task.payload, matches, unproven, without_code=without_code)


def take_back_unproven(
    session: Session, job_id: str, habits: Collection[Habit], cap: int | None = None
) -> list[Slice]:
    """Take back complete windows whose result depends on one of these habits; return them.

    On the cap, the result depends only where so many matches came.
    """
    taken = []
    tasks = session.scalars(
        select(QueryTask)
        .where(QueryTask.job_id == job_id, QueryTask.kind == SLICE, QueryTask.state == "done")
        .order_by(QueryTask.id)
    )
    for task in tasks:
        part = read_slice(task.payload)
        if not isinstance(part, WindowSlice) or part.rechecked:
            continue
        below_cap = {"cap"} if (part.matches or 0) < (cap or 0) else set()
        if not set(part.unproven) & set(habits) - below_cap:
            continue
        task.state, task.detail = "cut", "searched again: the node was found to return less than was believed"
        taken.append(part.window)
    add_counts(session, job_id, slices_complete=-len(taken), slices_total=-len(taken))
    return taken


def search_time(session: Session, job_id: str) -> tuple[datetime, datetime] | None:
    """Return when the first and when the last of the complete slices of a query ended."""
    ended = QueryTask.ended_at
    of_job = (QueryTask.job_id == job_id, QueryTask.kind == SLICE, QueryTask.state == "done")
    first, last = session.execute(select(func.min(ended), func.max(ended)).where(*of_job)).one()
    return (first, last) if first is not None and last is not None else None


def had_second_search(session: Session, job_id: str) -> bool:
    """Return whether the newest days of a query were searched once more, or are about to be."""
    payloads = session.scalars(
        select(QueryTask.payload)
        .where(QueryTask.job_id == job_id, QueryTask.kind == SLICE)
        .order_by(QueryTask.id.desc())
    )
    parts = map(read_slice, payloads)
    return any(isinstance(part, WindowSlice) and part.late for part in parts)


def set_slice(task: QueryTask, part: WindowSlice) -> None:
    """Replace the slice of a task."""
    task.payload = to_json(part)


def windows_done_nearby(
    session: Session, claim: Claim, reach: int
) -> Sequence[tuple[QueryTask, WindowSlice]]:
    """Return the windows that were completed by tasks whose ids lie within `reach` of the claim's."""
    tasks = session.scalars(
        select(QueryTask).where(
            QueryTask.id.between(claim.task_id - reach, claim.task_id + reach),
            QueryTask.job_id == claim.job_id,
            QueryTask.kind == SLICE,
            QueryTask.state == "done",
        )
    )
    parts = ((task, read_slice(task.payload)) for task in tasks)
    return [(task, part) for task, part in parts if isinstance(part, WindowSlice)]
