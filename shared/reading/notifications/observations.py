"""Jobs and runs that ended, and stations that fell silent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.contract.criteria import CODES
from shared.contract.json_types import JsonDocument
from shared.database.models import Node, Query, Retrieve, Schedule, ScheduleRun
from shared.evidence.coverage import AlertKind
from shared.reading.evidence.coverage import coverage_json, parse_period

#: Runs of one recurring query that are read at once.
_RUNS = 100
#: Statuses of runs that say how it is; a run that was cancelled or skipped says nothing.
_GOOD, _BAD = ("completed",), ("incomplete", "failed")


@dataclass(frozen=True, slots=True)
class EndedJob:
    """A job that somebody ordered, and that ended."""

    key: str
    owner: str
    status: str
    ended_at: datetime
    details: JsonDocument


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run of a recurring query that ended; `bad`: None where it says nothing."""

    id: int
    ended_at: datetime
    bad: bool | None
    details: JsonDocument


@dataclass(frozen=True, slots=True)
class SilentStation:
    """A station of a node that stopped to send reports of a type."""

    node_id: int
    station: str
    type: str
    details: JsonDocument


def ended_jobs(session: Session, since: datetime) -> Iterator[EndedJob]:
    """Yield the jobs that ended since then, but those of recurring queries and those that were cancelled."""
    ended = (Query.ended_at >= since, Query.status.in_((*_GOOD, *_BAD)), Query.schedule_id.is_(None))
    for query in session.scalars(select(Query).where(*ended).order_by(Query.ended_at)):
        counts = {"found": query.studies_found, "kept": query.studies_kept, "missing": query.studies_missing}
        yield _ended_job(query, "query", counts)
    which = (
        select(Retrieve)
        .join(Query, Query.id == Retrieve.query_id)
        .where(
            Retrieve.ended_at >= since,
            Retrieve.status.in_((*_GOOD, *_BAD)),
            Query.schedule_id.is_(None),
        )
    )
    for retrieve in session.scalars(which.order_by(Retrieve.ended_at)):
        yield _ended_job(retrieve, "retrieve", {"asked": retrieve.asked, "arrived": retrieve.arrived})


def schedules_with_ended_runs(session: Session, since: datetime) -> list[int]:
    """Return the recurring queries of which a run ended since then."""
    which = select(ScheduleRun.schedule_id).where(ScheduleRun.ended_at >= since).distinct()
    return sorted(session.scalars(which))


def ended_runs(session: Session, schedule_id: int, after_id: int, since: datetime) -> list[EndedRun]:
    """Return the runs of a recurring query after another one that ended since then, in their order."""
    rows = session.execute(
        select(ScheduleRun, Schedule, Node.name, Query)
        .join(Schedule, Schedule.id == ScheduleRun.schedule_id)
        .join(Node, Node.id == Schedule.remote_id)
        .outerjoin(Query, Query.id == ScheduleRun.job_id)
        .where(
            ScheduleRun.schedule_id == schedule_id,
            ScheduleRun.id > after_id,
            ScheduleRun.ended_at >= since,
            Schedule.removed_at.is_(None),
        )
        .order_by(ScheduleRun.id)
        .limit(_RUNS)
    )
    return [_ended_run(run, schedule, node, query) for run, schedule, node, query in rows]


def silent_stations(
    session: Session, last_studies: int, today: date, now: datetime
) -> Iterator[SilentStation]:
    """Yield the stations of all nodes whose last studies have no dose report, though most before had one."""
    nodes = select(Node).where(Node.kind == "remote", Node.removed_at.is_(None)).order_by(Node.id)
    period = parse_period(None, None, today)
    for node in session.scalars(nodes).all():
        for station in coverage_json(session, node, list(CODES), period, last_studies, now)["stations"]:
            for alert in station["alerts"]:
                if alert["kind"] == AlertKind.STOPPED:
                    about = {"node": node.name, "node_id": node.id}
                    about |= {"station": station["station"], "type": station["type"]}
                    details = {**about, "since": alert["since"], "studies": alert["studies"]}
                    yield SilentStation(node.id, station["station"], station["type"], details)


def _ended_job(job: Query | Retrieve, kind: str, counts: dict[str, int]) -> EndedJob:
    assert job.ended_at is not None
    details: JsonDocument = {
        "job": kind,
        "job_id": job.id,
        "node": job.remote_name,
        "by": job.requested_by,
        "status": job.status,
        **counts,
    }
    return EndedJob(f"job:{job.id}:{job.round}", job.requested_by, job.status, job.ended_at, details)


def _ended_run(run: ScheduleRun, schedule: Schedule, node: str, query: Query | None) -> EndedRun:
    assert run.ended_at is not None
    bad = run.status in _BAD
    details: JsonDocument = {
        "schedule": schedule.name,
        "schedule_id": schedule.id,
        "node": node,
        "status": run.status,
        "detail": run.detail,
        "job_id": run.job_id if query is not None else None,
        "kept": query.studies_kept if query is not None else 0,
        "missing": query.studies_missing if query is not None else 0,
    }
    return EndedRun(run.id, run.ended_at, bad if bad or run.status in _GOOD else None, details)
