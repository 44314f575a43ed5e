"""The table of recurring queries: the same for the page, the command line and HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared.contract.envelope import derived_id
from shared.database.models import Schedule, ScheduleRun
from shared.errors import InvalidInputError, NotFoundError, PermanentError
from shared.node_access.limits import parse_zone
from shared.nodes.names import NAME_MAX_LENGTH, removed_name
from shared.nodes.nodes import find_node
from shared.schedules.definition import ScheduleInput
from shared.schedules.watermark import Completeness, CoverageRules, begin, completeness_json
from shared.settings import Settings

#: Days by which the first day may lie ahead.
_START_AHEAD = timedelta(days=366)


class UnknownScheduleError(InvalidInputError, NotFoundError):
    """No recurring query has this id or name; the text lists the names there are."""


class RunInProgressError(PermanentError):
    """A run of the recurring query has not ended yet: runs of one never overlap."""


@dataclass(frozen=True, slots=True)
class Site:
    """What recurring queries need of the settings."""

    time_zone: str
    rules: CoverageRules

    def zone_of(self, schedule: Schedule) -> tzinfo | None:
        """Return the time zone of a schedule; None: the machine's."""
        return parse_zone(schedule.time_zone or self.time_zone)


def site_of(settings: Settings) -> Site:
    """Return what recurring queries need of the settings."""
    rules = CoverageRules(
        overlap=timedelta(seconds=settings.schedule_overlap),
        settle_lag=timedelta(seconds=settings.settle_lag),
        late_days=tuple(sorted(set(settings.late_arrival_days))),
    )
    return Site(settings.time_zone, rules)


def list_schedules(session: Session) -> list[Schedule]:
    """Return the recurring queries that are not removed, by id."""
    which = select(Schedule).where(Schedule.removed_at.is_(None)).order_by(Schedule.id)
    return list(session.scalars(which))


def find_schedule(session: Session, reference: int | str, *, lock: bool = False) -> Schedule:
    """Return the recurring query with this id or name; `lock`: to change it.

    Raises:
        UnknownScheduleError: there is none; lists the known names.
    """
    text = str(reference).strip()
    is_id = text.isascii() and text.isdecimal() and len(text) <= 9  # noqa: PLR2004 - fits a 32-bit column
    which = select(Schedule).where(Schedule.removed_at.is_(None))
    which = which.where(Schedule.id == int(text)) if is_id else which.where(Schedule.name == text)
    schedule = session.scalars(which.with_for_update() if lock else which).one_or_none()
    if schedule is None:
        known = ", ".join(known.name for known in list_schedules(session)) or "none"
        raise UnknownScheduleError(
            "schedule", f"there is no recurring query {text[:NAME_MAX_LENGTH]!r}; known: {known}"
        )
    return schedule


def add_schedule(session: Session, given: ScheduleInput, owner: str, site: Site, now: datetime) -> Schedule:
    """Add a recurring query; it is due from now on.

    Raises:
        InvalidInputError: another one has this name, or a node is unknown.
    """
    _require_free(session, given.name, None)
    schedule = Schedule(
        owner=owner,
        created_at=now,
        due_since=now,
        revision=0,
        run_requested_by="",
        paused_at=now if given.paused else None,
        **_columns(session, given, site),
    )
    _begin_at(schedule, given.start, site, now)
    try:
        with session.begin_nested():
            session.add(schedule)
            session.flush()
    except IntegrityError:
        raise _taken() from None
    return schedule


def edit_schedule(
    session: Session, schedule: Schedule, given: ScheduleInput, site: Site, now: datetime
) -> None:
    """Change a locked recurring query.

    Another first day, or another remote node, lets it begin anew; on other criteria it goes on where it is,
    and what a run in progress covers by the former ones is covered again.

    Raises:
        InvalidInputError: another one has this name, or a node is unknown.
    """
    _require_free(session, given.name, schedule.id)
    before = (schedule.remote_id, schedule.recurrence, schedule.time_zone)
    former_criteria = schedule.criteria
    for column, value in _columns(session, given, site).items():
        setattr(schedule, column, value)
    if before[1:] != (schedule.recurrence, schedule.time_zone):
        schedule.due_since = now
    is_other_start = given.start is not None and given.start != schedule.start
    if is_other_start or before[0] != schedule.remote_id or former_criteria != schedule.criteria:
        schedule.revision += 1
    if is_other_start or before[0] != schedule.remote_id:
        _begin_at(schedule, given.start if is_other_start else None, site, now)
    if given.paused != (schedule.paused_at is not None):
        pause(schedule, now) if given.paused else resume(schedule, now)
    session.flush()


def pause(schedule: Schedule, now: datetime) -> None:
    """Let due times pass without a run; a run in progress goes on to its end."""
    schedule.paused_at = schedule.paused_at or now


def resume(schedule: Schedule, now: datetime) -> None:
    """Let the next due time have its run; it covers all since the watermark."""
    if schedule.paused_at is not None:
        schedule.paused_at, schedule.due_since = None, now


def remove_schedule(session: Session, schedule: Schedule, now: datetime) -> None:
    """Remove a recurring query: it stays for its runs, and its name is free again."""
    schedule.name = removed_name(schedule.name, schedule.id)
    schedule.removed_at = now
    session.flush()


def request_run(session: Session, schedule: Schedule, requested_by: str, now: datetime) -> str:
    """Let a locked recurring query run once now, also while it is paused; returns the id of the job.

    Raises:
        RunInProgressError: a run has not ended yet.
    """
    running = select(ScheduleRun.job_id).where(
        ScheduleRun.schedule_id == schedule.id, ScheduleRun.ended_at.is_(None)
    )
    job_id = session.scalars(running.limit(1)).first()
    if job_id is not None:
        raise RunInProgressError(
            f"a run of {schedule.name} has not ended yet: job {job_id}; its runs never overlap"
        )
    if schedule.run_requested_at is None:
        schedule.run_requested_at = _free_second(session, schedule.id, now.replace(microsecond=0))
        schedule.run_requested_by = requested_by
    session.flush()
    return job_id_of(schedule.id, schedule.run_requested_at)


def _free_second(session: Session, schedule_id: int, moment: datetime) -> datetime:
    """Return this second, or that after the last run: a second has one run."""
    last = session.scalar(select(func.max(ScheduleRun.due_at)).where(ScheduleRun.schedule_id == schedule_id))
    return moment if last is None else max(moment, last + timedelta(seconds=1))


def job_id_of(schedule_id: int, due_at: datetime) -> str:
    """Return the id of the query of a due time: the same each time, another for each due time."""
    return derived_id(f"schedule-{schedule_id}", f"-{due_at:%Y%m%dT%H%M%S}")


def set_completeness(schedule: Schedule, completeness: Completeness) -> None:
    """Write how far everything is complete."""
    schedule.completeness = completeness_json(completeness)
    schedule.watermark = completeness.watermark


def _begin_at(schedule: Schedule, start: date | None, site: Site, now: datetime) -> None:
    zone = site.zone_of(schedule)
    today = now.astimezone(zone).date()
    if start is not None and start > today + _START_AHEAD:
        raise InvalidInputError("start", f"must not be more than a year ahead of today, {today}")
    schedule.start = start or today
    set_completeness(schedule, begin(schedule.start, zone))


def _columns(session: Session, given: ScheduleInput, site: Site) -> Mapping[str, object]:
    return {
        "name": given.name,
        "remote_id": find_node(session, given.remote, "remote", "remote").id,
        "store_id": find_node(session, given.store, "store", "store").id,
        "criteria": given.criteria,
        "retrieve": given.retrieve,
        "recurrence": given.when,
        "time_zone": given.time_zone or site.time_zone,
    }


def _require_free(session: Session, name: str, own_id: int | None) -> None:
    existing = session.scalars(select(Schedule.id).where(Schedule.name == name)).one_or_none()
    if existing not in (None, own_id):
        raise _taken()


def _taken() -> InvalidInputError:
    return InvalidInputError("name", "there is already a recurring query of this name")
