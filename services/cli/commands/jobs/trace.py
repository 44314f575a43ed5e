"""`doseqr trace`: the way of a request, from its command to its objects."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.client.session import opened_database, settings_of_command
from services.cli.output.console import JsonOption, print_json


def trace(
    identifier: Annotated[
        str, typer.Argument(metavar="ID", help="The id of a job, a message or a trace, or a traceparent.")
    ],
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Tasks of each job, at most.")] = 50,
    after: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="Only tasks with a greater id: the next page.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Show the way of a request: its jobs, their tasks, the requests to nodes, objects and the hand-over.

    It is read from the database; no tracing system is needed. With --json, the tasks are those of the job
    that the id means, page by page.

    Examples: doseqr trace 4f1c2f6e; doseqr trace 4bf92f3577b34da6a3ce929d0e0e4736 --json
    """
    from services.cli.output.trace_text import print_trace
    from shared.reading.traces.tree import find_traced, job_trace

    settings = settings_of_command()
    with opened_database(settings) as database, database.read() as session:
        job = find_traced(session, identifier)
        if as_json:
            print_json(job_trace(session, job, limit=limit, after=after))
        else:
            print_trace(session, job, limit=limit, after=after)
