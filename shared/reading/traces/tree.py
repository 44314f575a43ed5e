"""The way of a request, from its command to its objects, as the ledger has it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, Text, cast, func, or_, select
from sqlalchemy.orm import Session
from typing_extensions import TypedDict

from shared.clock import iso
from shared.contract.messages import JobKind, JobStatus
from shared.database.models import (
    HandoverBatch,
    NotificationDelivery,
    NotificationEvent,
    Query,
    Retrieve,
    RetrieveCommitment,
    RetrieveMove,
    RetrieveObject,
)
from shared.reading.jobs import J, Job, find_job, get_job, kind_of
from shared.reading.traces.tasks import TraceTask, seconds_between, task_entries, task_table
from shared.tracing.trace_context import is_trace_id, read_traceparent

#: Jobs of a trace, and batches of a job, that are named one by one; the rest is counted.
MAX_JOBS, MAX_BATCHES = 50, 20

#: Ends of the ids of events that are made of the id of their job.
_EVENT_NAMES = ("accepted", "completed", "incomplete", "failed", "cancelled", "paused", "resumed", "raised")
#: Columns of a job that hold the ids of other commands about it.
_COMMANDS = ("cancelled_by", "asked_again", "pause_commands", "raised")


class TraceBatch(TypedDict):
    """A batch of objects for the importer."""

    batch: str
    status: str
    objects: int
    attempts: int
    created_at: str
    ended_at: str | None
    reason: str


class TraceJob(TypedDict):
    """A job of a trace; `caused_by` is the message that its command names as its cause."""

    id: str
    kind: JobKind
    query: str | None
    status: JobStatus
    failure: str
    round: int
    traceparent: str
    caller_span_id: str
    caused_by: str
    commands: list[str]
    requested_by: str
    requested_at: str
    started_at: str | None
    ended_at: str | None
    duration_s: float | None
    tasks: dict[str, dict[str, int]]
    requests: int
    studies: dict[str, int]
    objects: dict[str, int]
    handover: list[TraceBatch]
    batches_left_out: int
    notifications: dict[str, int]


class JobTrace(TypedDict):
    """The trace of a job: the jobs in it, and a page of the tasks of this one."""

    trace_id: str
    job: str
    jobs: list[TraceJob]
    jobs_left_out: int
    tasks: list[TraceTask]
    next: str | None


def find_traced(session: Session, text: str) -> Job:
    """Return the first job of what an id means: a job, a trace, or a message about a job.

    Raises:
        UnknownJobError: there is none, or the beginning of an id means several.
    """
    wanted = text.strip()
    context = read_traceparent(wanted)
    trace_id = context.trace_id if context is not None else wanted
    found = get_job(session, wanted)
    if found is None and is_trace_id(trace_id):
        found = _first(_with_trace(session, trace_id))
    if found is None:
        found = _of_message(session, wanted)
    return found or find_job(session, wanted)


def job_trace(session: Session, job: Job, *, limit: int, after: int = 0) -> JobTrace:
    """Return the trace of a job, with up to `limit` of its tasks whose ids are greater than `after`."""
    jobs = _jobs_of_trace(session, job)
    tasks = task_entries(session, job, limit, after)
    return {
        "trace_id": job.causation.context.trace_id,
        "job": job.id,
        "jobs": [_job(session, member) for member in jobs[:MAX_JOBS]],
        "jobs_left_out": max(0, len(jobs) - MAX_JOBS),
        "tasks": tasks,
        "next": str(tasks[-1]["id"]) if len(tasks) == limit else None,
    }


def _first(jobs: Sequence[Job]) -> Job | None:
    return min(jobs, key=lambda job: (job.requested_at, job.id), default=None)


def _with_trace(session: Session, trace_id: str) -> list[Job]:
    queries = select(Query).where(Query.trace_id == trace_id).limit(MAX_JOBS + 1)
    retrieves = select(Retrieve).where(Retrieve.trace_id == trace_id).limit(MAX_JOBS + 1)
    return [*session.scalars(queries), *session.scalars(retrieves)]


def _of_message(session: Session, message_id: str) -> Job | None:
    """Return the job of an event whose id is made of the job's, or of another command about a job."""
    base, _, name = message_id.rpartition("-")
    if name in _EVENT_NAMES and (job := get_job(session, base)) is not None:
        return job
    for identifier in (base, message_id):
        if identifier and (job := _ordered_by(session, identifier)) is not None:
            return job
    return None


def _ordered_by(session: Session, command_id: str) -> Job | None:
    return _mentioning(session, Query, command_id) or _mentioning(session, Retrieve, command_id)


def _mentioning(session: Session, model: type[J], command_id: str) -> J | None:
    columns = (getattr(model, name) for name in _COMMANDS)
    holds = or_(*(cast(column, Text).contains(f'"{command_id}"', autoescape=True) for column in columns))
    return session.scalars(select(model).where(holds).limit(1)).first()


def _jobs_of_trace(session: Session, job: Job) -> list[Job]:
    """Return the jobs of a trace, a query before its retrieves: also those that were ordered later."""
    members = {job.id: job}
    if job.trace_id is not None:
        members |= {member.id: member for member in _with_trace(session, job.trace_id)}
    query_ids = {
        member.query_id if isinstance(member, Retrieve) else member.id for member in members.values()
    }
    members |= {query.id: query for query in session.scalars(select(Query).where(Query.id.in_(query_ids)))}
    of_queries = select(Retrieve).where(Retrieve.query_id.in_(query_ids)).limit(MAX_JOBS + 1)
    members |= {retrieve.id: retrieve for retrieve in session.scalars(of_queries)}
    return sorted(members.values(), key=lambda member: (member.requested_at, member.id))


def _job(session: Session, job: Job) -> TraceJob:
    causation = job.causation
    kept = job.trace or {}
    batches = session.scalars(
        select(HandoverBatch).where(HandoverBatch.job_id == job.id).order_by(HandoverBatch.created_at)
    ).all()
    return {
        "id": job.id,
        "kind": kind_of(job),
        "query": job.query_id if isinstance(job, Retrieve) else None,
        "status": job.status,  # type: ignore[typeddict-item] # the column holds no other text
        "failure": job.failure,
        "round": job.round,
        "traceparent": causation.context.traceparent,
        "caller_span_id": kept.get("caller", ""),
        "caused_by": kept.get("cause", ""),
        "commands": _commands(job),
        "requested_by": job.requested_by,
        "requested_at": iso(job.requested_at),
        "started_at": iso(job.started_at),
        "ended_at": iso(job.ended_at),
        "duration_s": seconds_between(job.requested_at, job.ended_at),
        "tasks": _task_counts(session, job),
        "requests": _request_count(session, job),
        "studies": _studies(job),
        "objects": _objects(session, job),
        "handover": [_batch(batch) for batch in batches[:MAX_BATCHES]],
        "batches_left_out": max(0, len(batches) - MAX_BATCHES),
        "notifications": _notifications(session, job),
    }


def _commands(job: Job) -> list[str]:
    """Return the ids of the other commands that were done with a job."""
    ids = [rerun["command_id"] for rerun in job.asked_again or ()]
    ids += [*(job.pause_commands or ())]
    ids += [kept["command_id"] for kept in (job.raised, job.cancelled_by) if kept]
    return list(dict.fromkeys(ids))


def _task_counts(session: Session, job: Job) -> dict[str, dict[str, int]]:
    task = task_table(job)
    rows = select(task.kind, task.state, func.count()).where(task.job_id == job.id)
    counts: dict[str, dict[str, int]] = {}
    for kind, state, number in session.execute(rows.group_by(task.kind, task.state)):
        counts.setdefault(kind, {})[state] = number
    return counts


def _request_count(session: Session, job: Job) -> int:
    if isinstance(job, Query):
        return job.finds
    moves = select(func.count()).where(RetrieveMove.job_id == job.id)
    commitments = select(func.count()).where(RetrieveCommitment.job_id == job.id)
    return (session.scalar(moves) or 0) + (session.scalar(commitments) or 0)


def _studies(job: Job) -> dict[str, int]:
    if not isinstance(job, Query):
        return {}
    return {
        "found": job.studies_found,
        "examined": job.studies_examined,
        "kept": job.studies_kept,
        "missing": job.studies_missing,
    }


def _objects(session: Session, job: Job) -> dict[str, int]:
    if isinstance(job, Query):
        return {"kept": job.objects_kept}
    states = select(RetrieveObject.state, func.count()).where(RetrieveObject.job_id == job.id)
    return _numbers(session, states.group_by(RetrieveObject.state))


def _batch(row: HandoverBatch) -> TraceBatch:
    return {
        "batch": row.id,
        "status": row.state,
        "objects": row.objects,
        "attempts": row.attempts,
        "created_at": iso(row.created_at),
        "ended_at": iso(row.ended_at),
        "reason": row.reason,
    }


def _notifications(session: Session, job: Job) -> dict[str, int]:
    """Return the deliveries of the notifications of a job's ends, by their state."""
    keys = [f"job:{job.id}:{round_number}" for round_number in range(job.round + 1)]
    states = (
        select(NotificationDelivery.state, func.count())
        .join(NotificationEvent, NotificationEvent.id == NotificationDelivery.event_id)
        .where(NotificationEvent.key.in_(keys))
        .group_by(NotificationDelivery.state)
    )
    return _numbers(session, states)


def _numbers(session: Session, counted: Select[str, int]) -> dict[str, int]:
    return dict(iter(session.execute(counted)))
