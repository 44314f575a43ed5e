"""Recurring queries as the JSON of the command line and HTTP, their runs, and their watermarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Row, Select, func, select
from sqlalchemy.orm import Session

from shared.clock import iso
from shared.contract.criteria import parse_criteria
from shared.contract.results import RunCounts, ScheduleDetails, ScheduleResult, ScheduleRunResult
from shared.database.models import Node, Query, Retrieve, Schedule, ScheduleRun
from shared.nodes.names import name_before_removal
from shared.schedules.ledger import Site, list_schedules
from shared.schedules.recurrence import next_due, parse_recurrence
from shared.schedules.watermark import plan_json, read_completeness, read_plan

#: Runs that are shown of a recurring query.
RUNS_SHOWN = 50

RunRow = Row[ScheduleRun, Query | None, Retrieve | None]


@dataclass(frozen=True, slots=True)
class Watermark:
    """The moment up to which a recurring query has everything since its first day."""

    schedule_id: int
    schedule: str
    remote_id: int
    remote: str
    #: Requested types, SR among them.
    types: tuple[str, ...]
    since: datetime
    at: datetime
    paused: bool


def watermarks(session: Session) -> list[Watermark]:
    """Return the watermarks of all recurring queries, by id."""
    rows = session.execute(
        select(Schedule, Node.name)
        .join(Node, Node.id == Schedule.remote_id)
        .where(Schedule.removed_at.is_(None))
        .order_by(Schedule.id)
    )
    return [
        Watermark(
            schedule.id,
            schedule.name,
            schedule.remote_id,
            remote,
            parse_criteria(schedule.criteria).requested_types(),
            read_completeness(schedule.completeness).begin,
            schedule.watermark,
            schedule.paused_at is not None,
        )
        for schedule, remote in rows
    ]


def schedules_json(session: Session, site: Site, now: datetime) -> list[ScheduleResult]:
    """Return all recurring queries with their last runs, by id."""
    schedules = list_schedules(session)
    newest = select(func.max(ScheduleRun.id)).group_by(ScheduleRun.schedule_id)
    last = {row[0].schedule_id: row for row in _runs(session, newest)}
    names = _node_names(session, schedules)
    return [_schedule_json(schedule, names, last.get(schedule.id), site, now) for schedule in schedules]


def schedule_json(session: Session, schedule: Schedule, site: Site, now: datetime) -> ScheduleDetails:
    """Return a recurring query with what its last runs brought, the newest first."""
    which = (
        select(ScheduleRun.id)
        .where(ScheduleRun.schedule_id == schedule.id)
        .order_by(ScheduleRun.id.desc())
        .limit(RUNS_SHOWN)
    )
    rows = _runs(session, which)
    head = _schedule_json(schedule, _node_names(session, [schedule]), rows[0] if rows else None, site, now)
    completeness = read_completeness(schedule.completeness)
    return {
        **head,
        "holes": [
            {"window_from": iso(hole.start), "window_until": iso(hole.end)} for hole in completeness.holes
        ],
        "runs": [_run_json(row) for row in rows],
    }


def definition_json(schedule: Schedule) -> dict[str, object]:
    """Return a recurring query as `parse_schedule` takes it."""
    return {
        "name": schedule.name,
        "remote": schedule.remote_id,
        "store": schedule.store_id,
        "criteria": schedule.criteria,
        "retrieve": schedule.retrieve,
        "when": schedule.recurrence,
        "time_zone": schedule.time_zone,
        "start": schedule.start.isoformat(),
        "paused": schedule.paused_at is not None,
    }


def _runs(session: Session, ids: Select[int]) -> Sequence[RunRow]:
    """Return these runs with their jobs, the newest first."""
    return session.execute(
        select(ScheduleRun, Query, Retrieve)
        .outerjoin(Query, Query.id == ScheduleRun.job_id)
        .outerjoin(Retrieve, Retrieve.id == ScheduleRun.retrieve_id)
        .where(ScheduleRun.id.in_(ids))
        .order_by(ScheduleRun.id.desc())
    ).all()


def _node_names(session: Session, schedules: Sequence[Schedule]) -> Mapping[int, str]:
    ids = {node_id for schedule in schedules for node_id in (schedule.remote_id, schedule.store_id)}
    rows = session.execute(select(Node.id, Node.name).where(Node.id.in_(ids)))
    return {node_id: name_before_removal(name) for node_id, name in rows}


def _schedule_json(
    schedule: Schedule, names: Mapping[int, str], last: RunRow | None, site: Site, now: datetime
) -> ScheduleResult:
    paused = schedule.paused_at is not None
    due = next_due(parse_recurrence(schedule.recurrence), site.zone_of(schedule), now)
    return {
        "id": schedule.id,
        "name": schedule.name,
        "remote": names[schedule.remote_id],
        "store": names[schedule.store_id],
        "criteria": schedule.criteria,
        "retrieve": schedule.retrieve,
        "when": schedule.recurrence,
        "time_zone": schedule.time_zone,
        "start": schedule.start.isoformat(),
        "paused": paused,
        "owner": schedule.owner,
        "created_at": iso(schedule.created_at),
        "next_due_at": None if paused else iso(due),
        "run_requested_at": iso(schedule.run_requested_at),
        "watermark": iso(schedule.watermark),
        "watermark_lag_s": int((now - schedule.watermark).total_seconds()),
        "last_run": _run_json(last) if last is not None else None,
    }


def _run_json(row: RunRow) -> ScheduleRunResult:
    run, query, retrieve = row
    plan = read_plan(run.plan) if run.plan is not None else None
    days = plan_json(plan) if plan is not None else {"days": [], "late": []}
    return {
        "due_at": iso(run.due_at),
        "requested_by": run.requested_by if run.requested else None,
        "status": run.status or "running",
        "detail": run.detail or (query.detail if query is not None else ""),
        "began_at": iso(run.began_at),
        "ended_at": iso(run.ended_at),
        "job": run.job_id,
        "retrieve": retrieve.id if retrieve is not None else None,
        "window_from": iso(plan.spans[0].start) if plan is not None and plan.spans else None,
        "window_until": iso(plan.until) if plan is not None else None,
        "days": cast("list[dict[str, str]]", days["days"]),
        "late": cast("list[dict[str, str]]", days["late"]),
        "counts": _counts(query, retrieve),
    }


def _counts(query: Query | None, retrieve: Retrieve | None) -> RunCounts:
    return {
        "found": query.studies_found if query is not None else 0,
        "kept": query.studies_kept if query is not None else 0,
        "missing": query.studies_missing if query is not None else 0,
        "asked": retrieve.asked if retrieve is not None else 0,
        "arrived": retrieve.arrived if retrieve is not None else 0,
    }
