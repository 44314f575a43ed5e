"""`doseqr schedules`: queries that recur by themselves, with what each run brought."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import (
    JOB_QUEUES,
    opened_broker,
    opened_database,
    require_workers,
    settings_of_command,
    who,
)
from services.cli.commands.options.group import expand_options
from services.cli.commands.options.schedule import ScheduleOptions, changes_of
from services.cli.output.console import JsonOption, line, notice, print_json, table
from services.cli.output.exit_codes import OK, of_job
from shared.clock import utc_now

if TYPE_CHECKING:
    from shared.broker.port import Broker
    from shared.contract.results import ScheduleDetails, ScheduleRunResult
    from shared.database.session import Database
    from shared.schedules.ledger import Site

app = typer.Typer(
    help="Queries that recur by themselves: a watermark holds up to which moment everything is complete."
)

NameArgument = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Its id or name.")]
#: Seconds between two readings of a run that is waited for, and readings between two checks of the workers.
_POLL_S, _POLLS_BETWEEN_CHECKS = 0.5, 20

_COLUMNS = ("id", "name", "remote", "types", "when", "next", "complete until", "last run", "state")
_RUN_COLUMNS = ("due", "status", "days", "found", "kept", "arrived", "job")


@app.command("add")
@expand_options
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of its own, 1 to 64 characters.")],
    options: ScheduleOptions,
    as_json: JsonOption = False,
) -> None:
    """Add a recurring query; its first run is at the next due time.

    Example: doseqr schedules add nightly --remote pacs --store doseqr --ct --dx --retrieve --daily 06:30
    """
    from shared.schedules.definition import parse_schedule
    from shared.schedules.ledger import add_schedule, site_of

    given = parse_schedule({"name": name, "criteria": {}} | changes_of(options, {}))
    settings = settings_of_command()
    site, now = site_of(settings), utc_now()
    with opened_database(settings) as database:
        with database.write() as session:
            schedule_id = add_schedule(session, given, who(), site, now).id
        _print_details(_details(database, site, schedule_id), "added", as_json=as_json)


@app.command("edit")
@expand_options
def edit(
    schedule: NameArgument,
    *,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Another name.")] = None,
    options: ScheduleOptions,
    as_json: JsonOption = False,
) -> None:
    """Change a recurring query; what is not given stays. Types that are given replace those of before.

    Another start or remote node lets it begin anew; on other criteria it goes on where it is.

    Example: doseqr schedules edit nightly --weekdays 05:00
    """
    from shared.schedules.definition import parse_schedule
    from shared.schedules.ledger import edit_schedule, find_schedule, site_of
    from shared.schedules.results import definition_json

    settings = settings_of_command()
    site, now = site_of(settings), utc_now()
    with opened_database(settings) as database:
        with database.write() as session:
            found = find_schedule(session, schedule, lock=True)
            named = {} if name is None else {"name": name}
            changes = changes_of(options, found.criteria)
            given = parse_schedule(definition_json(found) | named | changes)
            edit_schedule(session, found, given, site, now)
        _print_details(_details(database, site, found.id), "changed", as_json=as_json)


@app.command("list")
def list_all(as_json: JsonOption = False) -> None:
    """List the recurring queries, with their watermarks and last runs.

    Example: doseqr schedules list --json
    """
    from shared.schedules.ledger import site_of
    from shared.schedules.results import schedules_json

    settings = settings_of_command()
    with opened_database(settings) as database, database.read() as session:
        schedules = schedules_json(session, site_of(settings), utc_now())
    if as_json:
        print_json(schedules)
        return
    rows = [
        [
            schedule["id"],
            schedule["name"],
            schedule["remote"],
            _types_of(schedule["criteria"]),
            schedule["when"],
            schedule["next_due_at"],
            schedule["watermark"],
            schedule["last_run"]["status"] if schedule["last_run"] else None,
            "paused" if schedule["paused"] else "active",
        ]
        for schedule in schedules
    ]
    table(_COLUMNS, rows)


@app.command("show")
def show(schedule: NameArgument, as_json: JsonOption = False) -> None:
    """Show a recurring query, its watermark, and what its last runs brought.

    Example: doseqr schedules show nightly
    """
    from shared.schedules.ledger import site_of

    settings = settings_of_command()
    with opened_database(settings) as database:
        details = _details(database, site_of(settings), schedule)
    _print_details(details, "", as_json=as_json)
    if not as_json and details["runs"]:
        table(_RUN_COLUMNS, [_run_row(run) for run in details["runs"]])


@app.command("pause")
def pause(schedule: NameArgument, as_json: JsonOption = False) -> None:
    """Let due times pass without a run; a run in progress goes on to its end.

    Example: doseqr schedules pause nightly
    """
    _set_paused(schedule, paused=True, as_json=as_json)


@app.command("resume")
def resume(schedule: NameArgument, as_json: JsonOption = False) -> None:
    """Let it run again; the next run covers all since the watermark.

    Example: doseqr schedules resume nightly
    """
    _set_paused(schedule, paused=False, as_json=as_json)


def _set_paused(reference: str, *, paused: bool, as_json: bool) -> None:
    from shared.schedules import ledger

    settings = settings_of_command()
    with opened_database(settings) as database:
        with database.write() as session:
            found = ledger.find_schedule(session, reference, lock=True)
            (ledger.pause if paused else ledger.resume)(found, utc_now())
        details = _details(database, ledger.site_of(settings), found.id)
    _print_details(details, "paused" if paused else "resumed", as_json=as_json)


@app.command("remove")
def remove(schedule: NameArgument, as_json: JsonOption = False) -> None:
    """Remove a recurring query; its jobs stay.

    Example: doseqr schedules remove nightly
    """
    from shared.schedules.ledger import find_schedule, remove_schedule, site_of

    settings = settings_of_command()
    with opened_database(settings) as database:
        details = _details(database, site_of(settings), schedule)
        with database.write() as session:
            remove_schedule(session, find_schedule(session, details["id"], lock=True), utc_now())
    _print_details(details, "removed", as_json=as_json)


@app.command("run")
def run(
    schedule: NameArgument,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run it once now, also while it is paused; the exit code is that of its jobs.

    Example: doseqr schedules run nightly --no-wait
    """
    from shared.schedules.ledger import find_schedule, request_run, site_of

    settings = settings_of_command()
    site = site_of(settings)
    with opened_database(settings) as database, opened_broker(settings) as broker:
        details = _details(database, site, schedule)
        require_workers(broker, _queues(retrieve=details["retrieve"]))
        with database.write() as session:
            found = find_schedule(session, details["id"], lock=True)
            job_id = request_run(session, found, who(), utc_now())
        if no_wait:
            _print_requested(job_id, as_json=as_json)
            raise typer.Exit(OK)
        notice(f"{details['name']}: run requested; its query is {job_id}")
        ended = _wait(database, broker, site, details, job_id)
    if as_json:
        print_json(ended)
    else:
        table(_RUN_COLUMNS, [_run_row(ended)])
    raise typer.Exit(OK if ended["status"] == "skipped" else of_job(ended["status"]))


def _print_requested(job_id: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"id": job_id, "kind": "query", "status": "queued"})
    else:
        line(f"Run requested; its query is {job_id}")


def _wait(
    database: Database, broker: Broker, site: Site, schedule: ScheduleDetails, job_id: str
) -> ScheduleRunResult:
    """Return the run of this job once it has ended; as long as workers listen, it will."""
    for polls in itertools.count(1):
        details = _details(database, site, schedule["id"])
        newest = details["runs"][0] if details["runs"] else None
        has_begun = details["run_requested_at"] is None
        if newest is not None and has_begun and newest["ended_at"] and newest["job"] in (job_id, None):
            return newest
        if polls % _POLLS_BETWEEN_CHECKS == 0:
            require_workers(broker, _queues(retrieve=schedule["retrieve"]))
        time.sleep(_POLL_S)
    raise AssertionError("unreachable")


def _queues(*, retrieve: bool) -> tuple[str, ...]:
    return (*JOB_QUEUES["query"], *(JOB_QUEUES["retrieve"] if retrieve else ()))


def _details(database: Database, site: Site, reference: int | str) -> ScheduleDetails:
    from shared.schedules.ledger import find_schedule
    from shared.schedules.results import schedule_json

    with database.read() as session:
        return schedule_json(session, find_schedule(session, reference), site, utc_now())


def _print_details(details: ScheduleDetails, what: str, *, as_json: bool) -> None:
    from shared.reading.rate_text import duration

    if as_json:
        print_json(details)
        return
    lag = duration(max(details["watermark_lag_s"], 0))
    line(f"{what + ' ' if what else ''}{details['name']} (id {details['id']}), of {details['owner']}")
    action = "query and retrieve" if details["retrieve"] else "query"
    line(f"  {action}: {details['remote']} to {details['store']}, {_types_of(details['criteria'])}")
    zone = details["time_zone"] or "the machine's time zone"
    due = "paused" if details["paused"] else f"next {details['next_due_at']}"
    line(f"  {details['when']} ({zone}); {due}")
    line(f"  complete from {details['start']} until {details['watermark']}, {lag} ago")
    for hole in details["holes"]:
        line(f"  not complete: {hole['window_from']} to {hole['window_until']}")


def _types_of(criteria: Mapping[str, object]) -> str:
    from shared.contract.criteria import parse_criteria

    return ",".join(parse_criteria(criteria).requested_types())


def _run_row(run: ScheduleRunResult) -> list[object]:
    days = ", ".join(
        part["date_from"]
        if part["date_from"] == part["date_until"]
        else f"{part['date_from']} to {part['date_until']}"
        for part in run["days"]
    )
    counts = run["counts"]
    arrived = f"{counts['arrived']} of {counts['asked']}" if run["retrieve"] else None
    return [run["due_at"], run["status"], days, counts["found"], counts["kept"], arrived, run["job"]]
