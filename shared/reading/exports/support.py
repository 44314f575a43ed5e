"""What a report of a fault needs of one job: states, errors and times; no UID, description, number or person.

Columns are listed one by one: what is added to a table later stays out until somebody has looked at it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.database.models import JobRow, Query, QueryFind, QueryTask, RetrieveMove, RetrieveTask, TaskRow
from shared.reading.jobs import Job, kind_of

#: Rows of a table that are included: the last ones.
ROWS = 2000

_JOB = (
    "id",
    "status",
    "remote_id",
    "store_id",
    "requested_at",
    "started_at",
    "ended_at",
    "announced_at",
    "failure",
    "next_try_at",
    "gives_up_at",
    "priority",
    "round",
)
_TASK = (
    "id",
    "kind",
    "state",
    "created_at",
    "due_at",
    "queued_at",
    "started_at",
    "ended_at",
    "lease_until",
    "starts",
    "failures",
    "failing_since",
    "error",
)
_FIND = ("id", "task_id", "level", "status_code", "matches", "duration_ms", "error", "asked_at")
_MOVE = (
    "id",
    "task_id",
    "level",
    "status_code",
    "completed",
    "warning",
    "failed",
    "duration_ms",
    "error",
    "asked_at",
)
#: Criteria that name no text of people.
_CRITERIA = ("types", "date_from", "date_until", "include_sr_only", "ignore_known", "include_known")


def job_support(session: Session, job: Job) -> dict[str, object]:
    """Return what a report needs of a job."""
    found: dict[str, object] = {"kind": kind_of(job), **_columns(job, _JOB)}
    task: type[TaskRow] = QueryTask if isinstance(job, Query) else RetrieveTask
    found["tasks"] = _rows(session, task, job, _TASK)
    if isinstance(job, Query):
        found["criteria"] = {name: job.criteria[name] for name in _CRITERIA if name in job.criteria}
        found["finds"] = _rows(session, QueryFind, job, _FIND)
    else:
        found["moves"] = _rows(session, RetrieveMove, job, _MOVE)
    return found


def _rows(
    session: Session, model: type[TaskRow | QueryFind | RetrieveMove], job: JobRow, names: Sequence[str]
) -> list[Mapping[str, object]]:
    of_job = select(model).where(model.job_id == job.id).order_by(model.id.desc()).limit(ROWS)
    return [_columns(row, names) for row in reversed(session.scalars(of_job).all())]


def _columns(row: object, names: Sequence[str]) -> Mapping[str, object]:
    values = {name: getattr(row, name) for name in names}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()
    }
