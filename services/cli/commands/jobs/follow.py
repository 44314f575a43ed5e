"""`doseqr follow`: shows a job until its end, whoever began it."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.client.session import opened_database, settings_of_command
from services.cli.output.console import line
from services.cli.output.exit_codes import of_job


def follow(
    job_id: Annotated[str, typer.Argument(metavar="JOB_ID", help="The job's id, or its beginning.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each event as a line of JSON, the end as the last one.")
    ] = False,
) -> None:
    """Show a query or retrieve until it ends, whoever began it; the exit code says how it ended.

    Ctrl-C ends only the watching: the job goes on.

    Examples: doseqr follow 4f1c2f6e; doseqr follow 4f1c2f6e --json
    """
    from services.cli.client.event_lines import follow_job
    from shared.reading.jobs import find_job, kind_of

    settings = settings_of_command()
    with opened_database(settings) as database:
        with database.read() as session:
            job = find_job(session, job_id)
        ended = follow_job(settings, database, job, as_json=as_json)
    if not as_json:
        line(f"{kind_of(ended).capitalize()} {ended.id}: {ended.status}")
    raise typer.Exit(of_job(ended.status, ended.failure))
