"""`doseqr pause` and `doseqr resume`: let a job or a node rest, and let it go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import opened_broker, opened_database, settings_of_command, who
from services.cli.output.console import JsonOption, line, notice, print_json
from services.cli.output.exit_codes import usage
from shared.clock import utc_now
from shared.errors import BrokerAwayError

if TYPE_CHECKING:
    from shared.database.models import Node
    from shared.database.session import Database
    from shared.reading.jobs import Job
    from shared.settings import Settings

#: Seconds to wait until a worker has taken the command.
TAKEN_WITHIN_S = 15.0

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
            _print_job(_change_job(settings, database, job_id, paused=paused), as_json=as_json)


def _change_job(settings: Settings, database: Database, job_id: str, *, paused: bool) -> Job:
    """Publish the command, and return the job as it is then; one that has ended stays as it is."""
    from services.cli.client.events import listening
    from services.cli.client.follower import Follower
    from services.cli.client.session import JOB_QUEUES, require_workers
    from services.cli.output.progress import reporting
    from shared.contract.envelope import new_id
    from shared.contract.messages import ENDED, PauseJob, ResumeJob
    from shared.messaging.publisher import Publisher
    from shared.reading.jobs import find_job, kind_of

    with database.read() as session:
        job = find_job(session, job_id)
    if job.status in ENDED or (job.pause is not None) == paused:
        return job
    with opened_broker(settings) as broker:
        kind, command_id = kind_of(job), new_id()
        require_workers(broker, JOB_QUEUES[kind][:1])
        keys = [f"*.*.{job.id}", f"command.rejected.{command_id}"]
        with listening(broker, keys) as event_queue, reporting() as reporter:
            order = PauseJob if paused else ResumeJob
            command = order(job_id=job.id, requested_by=who())
            Publisher(broker, "cli").command(command, command_id=command_id)
            follower = Follower(database, broker, event_queue, reporter, command_ids=(command_id,))
            changed = follower.until_paused(kind, job.id, TAKEN_WITHIN_S, paused=paused)
    if changed is None:
        notice(f"No service has taken the command yet; it is done as soon as a {kind} worker is free.")
    return changed or job


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


def _print_job(job: Job, *, as_json: bool) -> None:
    from shared.reading.job_json import summary
    from shared.reading.jobs import kind_of

    if as_json:
        print_json(summary(job))
        return
    note = f" ({job.hold_note})" if job.hold_note else ""
    line(f"{kind_of(job).capitalize()} {job.id}: {job.status}{note}")


def _print_node(node: Node, *, as_json: bool) -> None:
    from shared.nodes.nodes import node_json

    if as_json:
        print_json(node_json(node))
    else:
        line(f"{node.kind.capitalize()} node {node.name} is {node.pause or 'not paused'}.")
