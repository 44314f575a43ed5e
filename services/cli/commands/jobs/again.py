"""`doseqr again`: requests what is missing of an ended job again."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.client.session import opened_broker, opened_database, settings_of_command
from services.cli.output.console import JsonOption


def again(
    job_id: Annotated[str, typer.Argument(metavar="JOB_ID", help="The job's id, or its beginning.")],
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Request again what is missing of an ended query or retrieve, and nothing else.

    Examples: doseqr again 4f1c2f6e; doseqr again 4f1c2f6e --no-wait
    """
    from services.cli.client.jobs import query_again, retrieve_again
    from services.cli.commands.jobs.results import print_query, print_retrieve
    from shared.database.models.query import Query
    from shared.reading.jobs import find_job

    settings = settings_of_command()
    with opened_database(settings) as database:
        with database.read() as session:
            job = find_job(session, job_id)
        with opened_broker(settings) as broker:
            if isinstance(job, Query):
                outcome = query_again(database, broker, job, no_wait=no_wait)
                with_retrieve = job.retrieve_after and not no_wait
                print_query(database, outcome, with_retrieve=with_retrieve, as_json=as_json)
            else:
                outcome, accepted = retrieve_again(database, broker, job, no_wait=no_wait)
                print_retrieve(database, outcome, accepted=accepted, as_json=as_json)
    raise typer.Exit(outcome.exit_code)
