"""The tasks of a job, with the requests over associations and the objects of each, as the ledger has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from typing_extensions import TypedDict

from shared.clock import iso
from shared.database.models import (
    Query,
    QueryFind,
    QueryTask,
    RetrieveCommitment,
    RetrieveMove,
    RetrieveObject,
    RetrieveTask,
    TaskRow,
)
from shared.reading.jobs import Job

#: Requests of a task that are named one by one; the rest is counted.
MAX_REQUESTS = 20


class TraceRequest(TypedDict):
    """A request over an association to a node; `sub_operations` of C-MOVE and C-GET."""

    operation: str
    level: str
    status_code: int | None
    matches: int | None
    sub_operations: dict[str, int] | None
    objects: dict[str, int] | None
    error: str
    requested_at: str
    duration_ms: int | None


class TraceTask(TypedDict):
    """A task of a job, with its requests; `objects` are those that it is to bring, by their state."""

    id: int
    kind: str
    state: str
    parent: int | None
    worker: str
    created_at: str
    queued_at: str | None
    started_at: str | None
    ended_at: str | None
    duration_s: float | None
    failures: int
    error: str
    requests: list[TraceRequest]
    requests_left_out: int
    objects: dict[str, int]


def task_table(job: Job) -> type[TaskRow]:
    """Return the table of the tasks of a job."""
    return QueryTask if isinstance(job, Query) else RetrieveTask


def task_entries(session: Session, job: Job, limit: int, after: int) -> list[TraceTask]:
    """Return up to `limit` tasks of a job whose ids are greater than `after`, in the order of their ids."""
    task = task_table(job)
    of_job = select(task).where(task.job_id == job.id, task.id > after).order_by(task.id).limit(limit)
    rows = session.scalars(of_job).all()
    ids = [row.id for row in rows]
    requests = _finds(session, job, ids) if isinstance(job, Query) else _transfers(session, job, ids)
    objects = {} if isinstance(job, Query) else _objects_of_tasks(session, job, ids)
    return [_task(row, requests.get(row.id, []), objects.get(row.id, {})) for row in rows]


def _task(row: TaskRow, requests: Sequence[TraceRequest], objects: dict[str, int]) -> TraceTask:
    ordered = sorted(requests, key=lambda request: request["requested_at"])
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "parent": row.parent_id if isinstance(row, QueryTask) else None,
        "worker": row.worker,
        "created_at": iso(row.created_at),
        "queued_at": iso(row.queued_at),
        "started_at": iso(row.started_at),
        "ended_at": iso(row.ended_at),
        "duration_s": seconds_between(row.started_at, row.ended_at),
        "failures": row.failures,
        "error": row.error,
        "requests": ordered[:MAX_REQUESTS],
        "requests_left_out": max(0, len(ordered) - MAX_REQUESTS),
        "objects": objects,
    }


def _by_task(entries: Iterable[tuple[int, TraceRequest]]) -> dict[int, list[TraceRequest]]:
    found: dict[int, list[TraceRequest]] = {}
    for task_id, request in entries:
        found.setdefault(task_id, []).append(request)
    return found


def _finds(session: Session, job: Job, task_ids: Sequence[int]) -> Mapping[int, list[TraceRequest]]:
    rows = select(QueryFind).where(QueryFind.job_id == job.id, QueryFind.task_id.in_(task_ids))
    return _by_task(
        (row.task_id, _request("C-FIND", row, matches=row.matches)) for row in session.scalars(rows)
    )


def _transfers(session: Session, job: Job, task_ids: Sequence[int]) -> Mapping[int, list[TraceRequest]]:
    moves = select(RetrieveMove).where(RetrieveMove.job_id == job.id, RetrieveMove.task_id.in_(task_ids))
    commitments = select(RetrieveCommitment).where(
        RetrieveCommitment.job_id == job.id, RetrieveCommitment.task_id.in_(task_ids)
    )
    return _by_task(
        [
            *((row.task_id, _request("C-MOVE or C-GET", row)) for row in session.scalars(moves)),
            *((row.task_id, _commitment(row)) for row in session.scalars(commitments)),
        ]
    )


def _request(operation: str, row: QueryFind | RetrieveMove, matches: int | None = None) -> TraceRequest:
    counted = ("completed", "warning", "failed")
    moved = {name: getattr(row, name) for name in counted} if isinstance(row, RetrieveMove) else None
    return {
        "operation": operation,
        "level": row.level,
        "status_code": row.status_code,
        "matches": matches,
        "sub_operations": moved and {name: number for name, number in moved.items() if number is not None},
        "objects": None,
        "error": row.error,
        "requested_at": iso(row.asked_at),
        "duration_ms": row.duration_ms,
    }


def _commitment(row: RetrieveCommitment) -> TraceRequest:
    seconds = seconds_between(row.asked_at, row.ended_at)
    return {
        "operation": "storage commitment",
        "level": "",
        "status_code": None,
        "matches": None,
        "sub_operations": None,
        "objects": {"requested": row.objects, "committed": row.committed, "failed": row.failed},
        "error": "" if row.state in ("asked", "answered") else row.state,
        "requested_at": iso(row.asked_at),
        "duration_ms": None if seconds is None else round(seconds * 1000),
    }


def _objects_of_tasks(session: Session, job: Job, task_ids: Sequence[int]) -> Mapping[int, dict[str, int]]:
    of_tasks = (
        select(RetrieveObject.task_id, RetrieveObject.state, func.count())
        .where(RetrieveObject.job_id == job.id, RetrieveObject.task_id.in_(task_ids))
        .group_by(RetrieveObject.task_id, RetrieveObject.state)
    )
    found: dict[int, dict[str, int]] = {}
    for task_id, state, number in session.execute(of_tasks):
        if task_id is not None:
            found.setdefault(task_id, {})[state] = number
    return found


def seconds_between(begun: datetime | None, ended: datetime | None) -> float | None:
    """Return the seconds between two moments; none while one of them is not known."""
    return None if begun is None or ended is None else round((ended - begun).total_seconds(), 3)
