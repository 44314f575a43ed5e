"""The runs of schedules: who takes a due time, and what a run leaves incomplete."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from shared.contract.envelope import retrieve_id_after
from shared.contract.messages import ENDED
from shared.database.models import Node, Query, QueryStudy, QueryTask, Retrieve, Schedule, ScheduleRun
from shared.database.upsert import insert_missing
from shared.querying.payloads import SLICE, WindowSlice, read_slice
from shared.schedules.ledger import Site, job_id_of, set_completeness
from shared.schedules.recurrence import parse_recurrence, previous_due
from shared.schedules.watermark import conclude, plan_json, plan_run, read_completeness, read_plan

#: States of a slice that a PACS returned in full, or that others replaced.
_COMPLETE = ("done", "cut")

#: From the best to the worst.
_STATUSES = ("completed", "incomplete", "failed", "cancelled")


def open_runs(session: Session) -> list[ScheduleRun]:
    """Return the runs that have not ended."""
    return list(session.scalars(select(ScheduleRun).where(ScheduleRun.ended_at.is_(None))))


def due_schedules(session: Session, site: Site, now: datetime) -> list[int]:
    """Return the schedules that may begin a run; `take` decides."""
    running = exists().where(ScheduleRun.schedule_id == Schedule.id, ScheduleRun.ended_at.is_(None))
    waiting = select(Schedule).where(
        Schedule.removed_at.is_(None),
        or_(Schedule.paused_at.is_(None), Schedule.run_requested_at.is_not(None)),
        ~running,
    )
    return [
        schedule.id
        for schedule in session.scalars(waiting.order_by(Schedule.id))
        if _due_at(session, schedule, site, now) is not None
    ]


def take(session: Session, schedule_id: int, site: Site, now: datetime) -> int | None:
    """Insert the run of a due time; return its id, or None if another replica was first or nothing is due.

    The schedule is locked, so that its runs never overlap; the row is unique for schedule and due time.
    """
    schedule = _locked(session, schedule_id)
    if schedule is None or schedule.removed_at is not None:
        return None
    if any(run.schedule_id == schedule_id for run in open_runs(session)):
        return None
    due_at = _due_at(session, schedule, site, now)
    if due_at is None:
        return None
    requested = schedule.run_requested_at is not None
    requested_by = schedule.run_requested_by if requested else schedule.owner
    schedule.run_requested_at, schedule.run_requested_by = None, ""
    zone = site.zone_of(schedule)
    plan = plan_run(read_completeness(schedule.completeness), zone, now, site.rules)
    job_id = job_id_of(schedule.id, due_at)
    row = {
        "schedule_id": schedule.id,
        "due_at": due_at,
        "requested": requested,
        "requested_by": requested_by,
        "revision": schedule.revision,
        "began_at": now,
        "ended_at": None if plan else now,
        "status": "" if plan else "skipped",
        "detail": "" if plan else "There is nothing to cover yet.",
        "job_id": job_id if plan else None,
        "retrieve_id": retrieve_id_after(job_id) if plan and schedule.retrieve else None,
        "plan": plan_json(plan) if plan else None,
    }
    inserted = insert_missing(session, ScheduleRun, [row])
    return int(str(inserted[0][0])) if inserted and plan else None


def _due_at(session: Session, schedule: Schedule, site: Site, now: datetime) -> datetime | None:
    """Return the due time that is to be run now, the last of those that passed; None if there is none."""
    if schedule.run_requested_at is not None:
        return schedule.run_requested_at
    if schedule.paused_at is not None:
        return None
    last = session.scalar(
        select(ScheduleRun.due_at)
        .where(ScheduleRun.schedule_id == schedule.id)
        .order_by(ScheduleRun.due_at.desc())
        .limit(1)
    )
    after = max(schedule.due_since, last) if last is not None else schedule.due_since
    return previous_due(parse_recurrence(schedule.recurrence), site.zone_of(schedule), now, after)


def _locked(session: Session, schedule_id: int) -> Schedule | None:
    which = select(Schedule).where(Schedule.id == schedule_id).with_for_update()
    return session.scalars(which.execution_options(populate_existing=True)).one_or_none()


def has_ended(session: Session, query: Query, retrieve_id: str) -> bool:
    """Return whether a query and the retrieve that follows it have ended."""
    if query.status not in ENDED:
        return False
    retrieve = session.get(Retrieve, retrieve_id) if retrieve_id else None
    if retrieve is not None or not retrieve_id:
        return retrieve is None or retrieve.status in ENDED
    # The retrieve was ordered and is still to come, unless a node was removed: then nobody takes it.
    nodes = (session.get(Node, query.remote_id), session.get(Node, query.store_id))
    return any(node is None or node.removed_at is not None for node in nodes)


def end_run(session: Session, run_id: int, retrieve_id: str, site: Site, now: datetime) -> str | None:
    """End a run whose jobs have ended, and move the watermark as far as its query proves; return the status.

    None if another replica was first.
    """
    run = _locked_run(session, run_id)
    if run is None:
        return None
    query = session.get_one(Query, str(run.job_id), populate_existing=True)
    retrieve = session.get(Retrieve, retrieve_id) if retrieve_id else None
    statuses = [query.status, *([retrieve.status] if retrieve is not None else [])]
    if retrieve_id and retrieve is None:
        statuses.append("failed")
        run.detail = "What it kept was not retrieved: a node was removed."
    run.status, run.ended_at = max(statuses, key=_STATUSES.index), now
    run.retrieve_id = retrieve_id or None
    _advance(session, run, incomplete_days(session, query.id), site)
    return run.status


def fail_run(session: Session, run_id: int, detail: str, site: Site, now: datetime) -> None:
    """End a run whose query cannot begin; all of it is covered again by the next."""
    run = _locked_run(session, run_id)
    if run is not None:
        run.status, run.detail, run.ended_at = "failed", detail, now
        _advance(session, run, None, site)


def _locked_run(session: Session, run_id: int) -> ScheduleRun | None:
    """Return an open run, its schedule locked."""
    run = session.get(ScheduleRun, run_id)
    if run is None or _locked(session, run.schedule_id) is None:
        return None
    session.refresh(run)
    return run if run.ended_at is None else None


def _advance(session: Session, run: ScheduleRun, incomplete: set[date] | None, site: Site) -> None:
    schedule = session.get_one(Schedule, run.schedule_id)
    if run.revision != schedule.revision or run.plan is None:
        return
    before, zone = read_completeness(schedule.completeness), site.zone_of(schedule)
    set_completeness(schedule, conclude(before, read_plan(run.plan), incomplete, zone, site.rules))


def incomplete_days(session: Session, job_id: str) -> set[date] | None:
    """Return the days of which a query that has ended did not get all; None: it is not known which."""
    days: set[date] = set()
    for part in _incomplete_parts(session, job_id):
        if part is None:
            return None
        days |= part
    return days


def _incomplete_parts(session: Session, job_id: str) -> Iterator[set[date] | None]:
    slices = select(QueryTask.payload).where(
        QueryTask.job_id == job_id, QueryTask.kind == SLICE, QueryTask.state.not_in(_COMPLETE)
    )
    for payload in session.scalars(slices):
        part = read_slice(payload)
        window = part.window if isinstance(part, WindowSlice) else None
        if window is None or window.date_from is None or window.date_until is None or window.days is None:
            yield None
            continue
        yield {window.date_from + timedelta(days=number) for number in range(window.days)}
    studies = select(QueryStudy.study_date).where(QueryStudy.job_id == job_id, QueryStudy.state != "decided")
    for text in session.scalars(studies.distinct()):
        yield _day(text)


def _day(text: str | None) -> set[date] | None:
    """Return the day of a DA value (PS3.5 6.2), in one of its two forms."""
    try:
        return {date.fromisoformat((text or "").strip().replace(".", "-"))}
    except ValueError:
        return None
