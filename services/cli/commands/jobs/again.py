"""`doseqr again`: requests what is missing of an ended job again."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.client.events import listening
from services.cli.client.follower import Follower
from services.cli.client.jobs import ACCEPT_S, JobOutcome, retrieves
from services.cli.client.session import (
    JOB_QUEUES,
    opened_broker,
    opened_database,
    require_workers,
    settings_of_command,
    who,
)
from services.cli.commands.jobs.query import print_query, print_retrieve
from services.cli.output.console import JsonOption, notice
from services.cli.output.exit_codes import OK, of_job
from services.cli.output.progress import reporting
from shared.broker.port import Broker
from shared.contract.envelope import new_id, retrieve_id_after
from shared.contract.messages import AskAgain
from shared.database.models.query import Query
from shared.database.models.retrieve import Retrieve
from shared.database.session import Database
from shared.messaging.publisher import Publisher
from shared.reading.jobs import find_job


def again(
    job_id: Annotated[str, typer.Argument(metavar="JOB_ID", help="The job's id, or its beginning.")],
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Request again what is missing of an ended query or retrieve, and nothing else."""
    settings = settings_of_command()
    with opened_database(settings) as database:
        with database.read() as session:
            job = find_job(session, job_id)
        with opened_broker(settings) as broker:
            if isinstance(job, Query):
                code = _query(database, broker, job, no_wait=no_wait, as_json=as_json)
            else:
                code = _retrieve(database, broker, job, no_wait=no_wait, as_json=as_json)
    raise typer.Exit(code)


def _query(database: Database, broker: Broker, query: Query, *, no_wait: bool, as_json: bool) -> int:
    require_workers(broker, JOB_QUEUES["query"] + (JOB_QUEUES["retrieve"] if query.retrieve_after else ()))
    rounds = query.round + 1
    command_id, retrieve_id = new_id(), retrieve_id_after(query.id, rounds)
    keys = [f"*.*.{query.id}", f"*.*.{retrieve_id}", f"command.rejected.{command_id}"]
    outcome = JobOutcome(query.id, None, OK)
    with listening(broker, keys) as event_queue, reporting() as reporter:
        _order(broker, query.id, command_id)
        follower = Follower(database, broker, event_queue, reporter, command_ids=(command_id,))
        if no_wait:
            if follower.until_accepted("query", query.id, ACCEPT_S, rounds=rounds) is None:
                notice("No service has taken the command yet.")
        else:
            outcome = _until_ended(follower, query, rounds, retrieve_id)
    with_retrieve = query.retrieve_after and not no_wait
    print_query(database, outcome, with_retrieve=with_retrieve, as_json=as_json)
    return outcome.exit_code


def _until_ended(follower: Follower, query: Query, rounds: int, retrieve_id: str) -> JobOutcome:
    ended = follower.until_ended("query", query.id, rounds=rounds)
    code = of_job(ended.status, ended.failure)
    if not isinstance(ended, Query) or not ended.retrieve_after or not retrieves(ended):
        return JobOutcome(query.id, None, code)
    retrieve = follower.until_ended("retrieve", retrieve_id)
    return JobOutcome(query.id, retrieve_id, max(code, of_job(retrieve.status, retrieve.failure)))


def _retrieve(database: Database, broker: Broker, earlier: Retrieve, *, no_wait: bool, as_json: bool) -> int:
    require_workers(broker, JOB_QUEUES["retrieve"])
    retrieve_id = new_id()
    accepted, code = True, OK
    with listening(broker, [f"*.*.{retrieve_id}"]) as event_queue, reporting() as reporter:
        _order(broker, earlier.id, retrieve_id)
        follower = Follower(database, broker, event_queue, reporter)
        if no_wait:
            accepted = follower.until_accepted("retrieve", retrieve_id, ACCEPT_S) is not None
        else:
            job = follower.until_ended("retrieve", retrieve_id)
            code = of_job(job.status, job.failure)
    print_retrieve(database, earlier.query_id, retrieve_id, accepted=accepted, as_json=as_json)
    return code


def _order(broker: Broker, job_id: str, command_id: str) -> None:
    Publisher(broker, "cli").command(AskAgain(job_id=job_id, requested_by=who()), command_id=command_id)
