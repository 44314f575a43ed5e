"""`doseqr show`, `jobs`, `cancel` and `why`."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from services.cli.client.events import listening
from services.cli.client.follower import Follower
from services.cli.client.session import (
    JOB_QUEUES,
    opened_broker,
    opened_database,
    require_workers,
    settings_of_command,
    who,
)
from services.cli.output.console import JsonOption, block, line, notice, print_json, table
from services.cli.output.progress import reporting
from services.cli.output.summaries import print_job, print_why
from shared.contract.envelope import new_id
from shared.contract.messages import ENDED, CancelJob
from shared.database.models.query import Query
from shared.database.session import Database
from shared.errors import InvalidInputError
from shared.messaging.publisher import Publisher
from shared.reading.csv_export import csv_lines
from shared.reading.job_json import summary
from shared.reading.jobs import Job, find_job, get_job, kind_of, list_jobs
from shared.reading.query_json import write_query_json
from shared.reading.retrieve_json import retrieve_json
from shared.reading.summaries import summaries
from shared.reading.why import why as explain

JobArgument = Annotated[str, typer.Argument(metavar="JOB_ID", help="The job's id, or its beginning.")]


class JobKindOption(StrEnum):
    """The kinds of jobs."""

    QUERY = "query"
    RETRIEVE = "retrieve"


class Status(StrEnum):
    """The states of jobs."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Format(StrEnum):
    """What an export is written as."""

    CSV = "csv"
    JSON = "json"


def show(job_id: JobArgument, as_json: JsonOption = False) -> None:
    """Show a query or retrieve: its counts, what is missing, and with --json every study and reason."""
    settings = settings_of_command()
    with opened_database(settings) as database, database.read() as session:
        job = find_job(session, job_id)
        if not as_json:
            print_job(session, job)
        elif isinstance(job, Query):
            write_query_json(session, job.id, sys.stdout)
            line()
        else:
            print_json(retrieve_json(session, job.id))


def export(
    job_id: JobArgument,
    form: Annotated[
        Format | None, typer.Option("--format", help="csv, the default: a line for each figure; or json.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Write the figures of a retrieve's dose reports as CSV or JSON."""
    if as_json and form is Format.CSV:
        raise InvalidInputError("format", "csv and --json exclude each other")
    settings = settings_of_command()
    with opened_database(settings) as database, database.read() as session:
        job = find_job(session, job_id, "retrieve")
        if as_json or form is Format.JSON:
            print_json(list(summaries(session, job.id)))
            return
        for lines in csv_lines(session, job.id):
            block(lines)


def jobs(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest first.")] = 50,
    kind: Annotated[JobKindOption | None, typer.Option(help="Only jobs of this kind.")] = None,
    status: Annotated[list[Status] | None, typer.Option(help="Only jobs that stand so; repeatable.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List queries and retrieves, the newest first."""
    settings = settings_of_command()
    with opened_database(settings) as database, database.read() as session:
        listed = list_jobs(session, limit, kind=kind.value if kind else None, statuses=status or ())
    if as_json:
        print_json(listed)
        return
    if not listed:
        notice(f"No such jobs in {database.description}.")
    table(
        ("id", "kind", "status", "from", "to", "asked by", "at", "counts"),
        [
            (
                job["id"],
                job["kind"],
                job["status"],
                job["remote"],
                job["store"],
                job["requested_by"],
                job["requested_at"],
                ", ".join(f"{number} {name}" for name, number in job["counts"].items()),
            )
            for job in listed
        ],
    )


def cancel(job_id: JobArgument, as_json: JsonOption = False) -> None:
    """End a query or retrieve and wait until it has ended; what was found or has arrived stays."""
    settings = settings_of_command()
    with opened_database(settings) as database:
        with database.read() as session:
            job = find_job(session, job_id)
        if job.status not in ENDED:
            with opened_broker(settings) as broker:
                kind = kind_of(job)
                require_workers(broker, JOB_QUEUES[kind][:1])
                command_id = new_id()
                keys = [f"*.*.{job.id}", f"command.rejected.{command_id}"]
                with listening(broker, keys) as event_queue, reporting() as reporter:
                    command = CancelJob(job_id=job.id, requested_by=who())
                    Publisher(broker, "cli").command(command, command_id=command_id)
                    follower = Follower(database, broker, event_queue, reporter, command_ids=(command_id,))
                    job = _until_ended(follower, database, job)
        _print_end(job, as_json=as_json)


def _until_ended(follower: Follower, database: Database, job: Job) -> Job:
    try:
        return follower.until_ended(kind_of(job), job.id)
    except InvalidInputError:
        # It may have ended by itself before the command arrived: then there was nothing left to cancel.
        with database.read() as session:
            now = get_job(session, job.id)
        if now is None or now.status not in ENDED:
            raise
        return now


def _print_end(job: Job, *, as_json: bool) -> None:
    if as_json:
        print_json(summary(job))
    else:
        line(f"{kind_of(job).capitalize()} {job.id}: {job.status}")


def why(
    job_id: JobArgument,
    study_uid: Annotated[str, typer.Argument(metavar="STUDY_UID", help="The study's Study Instance UID.")],
    as_json: JsonOption = False,
) -> None:
    """Explain why a study is in a query's result or not, and on which responses of the PACS that rests."""
    settings = settings_of_command()
    with opened_database(settings) as database, database.read() as session:
        explanation = explain(session, find_job(session, job_id), study_uid)
    if as_json:
        print_json(explanation)
    else:
        print_why(explanation)
