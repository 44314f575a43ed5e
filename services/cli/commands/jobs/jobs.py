"""`doseqr show`, `jobs`, `cancel` and `why`."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import (
    opened_broker,
    opened_database,
    settings_of_command,
)
from services.cli.output.console import JsonOption, block, line, notice, print_json, table
from shared.errors import InvalidInputError

if TYPE_CHECKING:
    from shared.reading.jobs import Job

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
    """Show a query or retrieve: its counts, what is missing, and with --json every study and reason.

    Examples: doseqr show 4f1c2f6e; doseqr show 4f1c2f6e --json
    """
    from services.cli.output.summaries import print_job
    from shared.database.models.query import Query
    from shared.reading.jobs import find_job
    from shared.reading.query_json import write_query_json
    from shared.reading.retrieve_json import retrieve_json

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
    """Write the figures of a retrieve's dose reports as CSV or JSON.

    Examples: doseqr export 4f1c2f6e > doses.csv; doseqr export 4f1c2f6e --json
    """
    from shared.reading.exports.dose_figures_csv import csv_lines
    from shared.reading.jobs import find_job
    from shared.reading.summaries import summaries

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
    """List queries and retrieves, the newest first.

    Examples: doseqr jobs; doseqr jobs --status incomplete --status failed --json
    """
    from shared.reading.jobs import list_jobs

    settings = settings_of_command()
    with opened_database(settings) as database, database.read() as session:
        listed = list_jobs(session, limit, kind=kind.value if kind else None, statuses=status or ())
    if as_json:
        print_json(listed)
        return
    if not listed:
        notice(f"No such jobs in {database.description}.")
    table(
        ("id", "kind", "status", "from", "to", "requested by", "at", "counts"),
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
    """End a query or retrieve and wait until it has ended; what was found or has arrived stays.

    Example: doseqr cancel 4f1c2f6e
    """
    from services.cli.client.jobs import cancel_and_wait
    from services.cli.commands.jobs.order import change_job, print_change
    from shared.contract.messages import ENDED, CancelJob

    settings = settings_of_command()
    with opened_database(settings) as database:
        # What no service has taken yet is cancelled as soon as one takes it.
        change = change_job(settings, database, job_id, CancelJob, lambda _: True)
        job = change.job
        if job is None:
            print_change(change, as_json=as_json)
            return
        if job.status not in ENDED:
            with opened_broker(settings) as broker:
                job = cancel_and_wait(database, broker, job)
        _print_end(job, as_json=as_json)


def _print_end(job: Job, *, as_json: bool) -> None:
    from shared.reading.job_json import summary
    from shared.reading.jobs import kind_of

    if as_json:
        print_json(summary(job))
    else:
        line(f"{kind_of(job).capitalize()} {job.id}: {job.status}")


def why(
    job_id: JobArgument,
    study_uid: Annotated[str, typer.Argument(metavar="STUDY_UID", help="The study's Study Instance UID.")],
    as_json: JsonOption = False,
) -> None:
    """Explain why a study is in a query's result or not, and on which responses of the PACS that rests.

    Example: doseqr why 4f1c2f6e 1.2.840.113619.2.1
    """
    from services.cli.output.summaries import print_why
    from shared.reading.jobs import find_job
    from shared.reading.why import why as explain

    settings = settings_of_command()
    with opened_database(settings) as database, database.read() as session:
        explanation = explain(session, find_job(session, job_id), study_uid)
    if as_json:
        print_json(explanation)
    else:
        print_why(explanation)
