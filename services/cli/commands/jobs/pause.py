"""`doseqr pause` and `doseqr resume`: let a job or a node rest, and let it go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import opened_broker, opened_database, settings_of_command, who
from services.cli.commands.jobs.order import print_change
from services.cli.output.console import JsonOption, line, notice, print_json
from services.cli.output.exit_codes import usage
from shared.clock import utc_now
from shared.errors import BrokerAwayError

if TYPE_CHECKING:
    from services.cli.commands.jobs.order import JobChange
    from shared.database.models import Node
    from shared.database.session import Database
    from shared.reading.jobs import Job
    from shared.settings import Settings

JobArgument = Annotated[str, typer.Argument(metavar="[JOB_ID]", help="The job's id, or its beginning.")]
NodeOption = Annotated[
    str, typer.Option("--node", metavar="NODE", help="A node in place of a job: its id or name.")
]


def pause(job_id: JobArgument = "", node: NodeOption = "", as_json: JsonOption = False) -> None:
    """Let a query or retrieve rest, or a node with all its jobs; nothing fails, and no time limit runs.

    Whoever works on it stops within two seconds. A paused node can still be tested with doseqr echo.

    Examples: doseqr pause 4f1c2f6e; doseqr pause --node pacs
    """
    _change(job_id, node, paused=True, as_json=as_json)


def resume(job_id: JobArgument = "", node: NodeOption = "", as_json: JsonOption = False) -> None:
    """Let a paused query or retrieve go on where it was, or the jobs that wait for a paused node.

    Examples: doseqr resume 4f1c2f6e; doseqr resume --node pacs
    """
    _change(job_id, node, paused=False, as_json=as_json)


def _change(job_id: str, node: str, *, paused: bool, as_json: bool) -> None:
    if bool(job_id) == bool(node):
        raise usage("Give either the id of a job or --node NODE.")
    settings = settings_of_command()
    with opened_database(settings) as database:
        if node:
            _print_node(_change_node(settings, database, node, paused=paused), as_json=as_json)
        else:
            print_change(_change_job(settings, database, job_id, paused=paused), as_json=as_json)


def _change_job(settings: Settings, database: Database, job_id: str, *, paused: bool) -> JobChange:
    from services.cli.commands.jobs.order import change_job
    from shared.contract.messages import PauseJob, ResumeJob

    def is_done(job: Job) -> bool:
        return (job.pause is not None) == paused

    return change_job(settings, database, job_id, PauseJob if paused else ResumeJob, is_done)


def _change_node(settings: Settings, database: Database, reference: str, *, paused: bool) -> Node:
    """Change a node in the database, where workers notice it; the broker only carries the news."""
    from shared.contract.envelope import new_id
    from shared.control.node_control import NodeControl, publish_pause
    from shared.messaging.publisher import Publisher

    control, command_id = NodeControl(database, utc_now), new_id()
    node = (control.pause if paused else control.resume)(reference, command_id, who())
    try:
        with opened_broker(settings) as broker:
            publish_pause(Publisher(broker, "cli"), node, command_id)
    except BrokerAwayError as error:
        notice(f"The broker is away, so no event was published ({error}).")
    return node


def _print_node(node: Node, *, as_json: bool) -> None:
    from shared.nodes.nodes import node_json

    if as_json:
        print_json(node_json(node))
    else:
        line(f"{node.kind.capitalize()} node {node.name} is {node.pause or 'not paused'}.")
