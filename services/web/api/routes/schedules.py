"""Recurring queries: their definition, pause, runs and watermark."""

from __future__ import annotations

from http import HTTPStatus

from services.web.api.authentication import identity
from services.web.api.bodies import ScheduleChange
from services.web.api.commands import audit, require_services
from services.web.api.operations import OperationResult, OperationTable
from services.web.api.problems import PREFIX, not_found
from services.web.api.routes.queries import JobReference
from services.web.components import components
from shared.contract.results import ScheduleDetails, ScheduleResult
from shared.database.models import Schedule
from shared.database.session import Session
from shared.schedules.definition import ScheduleInput, parse_schedule
from shared.schedules.ledger import (
    UnknownScheduleError,
    add_schedule,
    edit_schedule,
    find_schedule,
    remove_schedule,
    request_run,
    site_of,
)
from shared.schedules.results import definition_json, schedule_json, schedules_json

table = OperationTable("schedules")


@table.add("GET", "/schedules", scope="read", result=list[ScheduleResult])
def list_all_schedules() -> object:
    """List the recurring queries by id, each with its watermark and its last run."""
    with components().database.read() as session:
        return schedules_json(session, site_of(components().settings), components().clock())


@table.add(
    "POST",
    "/schedules",
    scope="import",
    body=ScheduleInput,
    result=ScheduleDetails,
    status=HTTPStatus.CREATED,
)
def create_schedule(body: ScheduleInput) -> object:
    """Add a recurring query; its owner is that of the token.

    Its first run is that of the next due time, or of `POST /schedules/{schedule}/run`.
    """
    given, now = parse_schedule(body.model_dump()), components().clock()
    site = site_of(components().settings)
    with components().database.write() as session:
        schedule = add_schedule(session, given, identity().owner, site, now)
        created = schedule_json(session, schedule, site, now)
    audit("schedule added", schedule_id=schedule.id)
    return OperationResult(created, location=f"{PREFIX}/schedules/{schedule.id}")


@table.add("GET", "/schedules/{schedule}", scope="read", result=ScheduleDetails)
def read_schedule(schedule: str) -> object:
    """Return a recurring query with what its last runs brought."""
    with components().database.read() as session:
        row = _schedule(session, schedule)
        return schedule_json(session, row, site_of(components().settings), components().clock())


@table.add("PATCH", "/schedules/{schedule}", scope="import", body=ScheduleChange, result=ScheduleDetails)
def change_schedule(schedule: str, body: ScheduleChange) -> object:
    """Change some fields of a recurring query, or pause it (`paused`).

    Another `start` or `remote` lets it begin anew; on other criteria it goes on where it is.
    """
    site, now = site_of(components().settings), components().clock()
    with components().database.write() as session:
        row = _schedule(session, schedule, lock=True)
        given = parse_schedule(definition_json(row) | body.changes())
        edit_schedule(session, row, given, site, now)
        changed = schedule_json(session, row, site, now)
    audit("schedule edited", schedule_id=row.id, fields=sorted(body.changes()))
    return changed


@table.add("DELETE", "/schedules/{schedule}", scope="import", status=HTTPStatus.NO_CONTENT)
def delete_schedule(schedule: str) -> None:
    """Remove a recurring query; its jobs stay, and one that runs goes on to its end."""
    with components().database.write() as session:
        row = _schedule(session, schedule, lock=True)
        remove_schedule(session, row, components().clock())
    audit("schedule removed", schedule_id=row.id)


@table.add(
    "POST",
    "/schedules/{schedule}/run",
    scope="import",
    result=JobReference,
    status=HTTPStatus.ACCEPTED,
)
def run_schedule(schedule: str) -> object:
    """Let a recurring query run now, also while it is paused; 409 while a run has not ended."""
    with components().database.read() as session:
        _schedule(session, schedule)
    require_services(("query",))
    with components().database.write() as session:
        row = _schedule(session, schedule, lock=True)
        job_id = request_run(session, row, identity().owner, components().clock())
    audit("schedule run requested", schedule_id=row.id, job_id=job_id)
    queued = {"id": job_id, "kind": "query", "status": "queued"}
    return OperationResult(queued, location=f"{PREFIX}/jobs/{job_id}")


def _schedule(session: Session, reference: str, *, lock: bool = False) -> Schedule:
    try:
        return find_schedule(session, reference, lock=lock)
    except UnknownScheduleError as error:
        raise not_found(f"{error.problem}.") from None
