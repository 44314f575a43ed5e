"""`doseqr handover`: what the importer has not taken, and handing it over anew."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import (
    opened_broker,
    opened_database,
    require_workers,
    settings_of_command,
    who,
)
from services.cli.output.console import JsonOption, line, print_json, table
from services.cli.output.exit_codes import FAILED, away

if TYPE_CHECKING:
    from services.cli.client.events import EventQueue
    from shared.broker.port import Broker
    from shared.contract.messages import HandoverRetried

app = typer.Typer(help="See what the importer has not taken, and hand it over anew.")

#: Seconds that the store service may take to respond.
PATIENCE_S = 30.0


@app.command("list")
def listing(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the last tried first.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List the batches that the importer has not taken yet.

    Examples: doseqr handover list; doseqr handover list --json
    """
    from shared.reading.store.handovers import batches_not_taken

    settings = settings_of_command()
    with opened_database(settings) as database, database.read() as session:
        batches = batches_not_taken(session, limit)
    if as_json:
        print_json(batches)
        return
    names = ("batch", "status", "objects", "attempts", "due_at", "job", "study_instance_uid", "detail")
    rows = [dict(batch) for batch in batches]
    table(names, [["" if row[name] is None else row[name] for name in names] for row in rows])


@app.command("retry")
def retry(
    job_id: Annotated[
        str | None, typer.Argument(metavar="[JOB_ID]", help="The retrieve's id, or its beginning; none: all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Hand over anew what was given up, of one retrieve or all.

    Example: doseqr handover retry
    """
    from services.cli.client.events import listening
    from shared.contract.envelope import new_id
    from shared.contract.messages import RetryHandover
    from shared.messaging.publisher import Publisher
    from shared.reading.jobs import find_job

    settings = settings_of_command()
    chosen = None
    if job_id is not None:
        with opened_database(settings) as database, database.read() as session:
            chosen = find_job(session, job_id, "retrieve").id
    with opened_broker(settings) as broker:
        require_workers(broker, ["store"])
        command_id = new_id()
        keys = [f"handover.retried.{command_id}", f"command.rejected.{command_id}"]
        with listening(broker, keys) as event_queue:
            command = RetryHandover(job_id=chosen, requested_by=who())
            Publisher(broker, "cli").command(command, command_id=command_id)
            retried = _retried(broker, event_queue, command_id)
    if as_json:
        print_json({"job": chosen, "batches": retried.batches})
    else:
        line(f"{retried.batches} batches are handed over anew.")


@app.command("test")
def trial(
    sop_instance_uid: Annotated[
        str | None,
        typer.Argument(metavar="[UID]", help="SOP Instance UID of a stored object; none: the last report."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Hand one stored object over to the importer, on this machine, and show what it responds.

    The importer's output may name patients; it is shown here and kept nowhere. Exit code 5: not taken.

    Example: doseqr handover test
    """
    from dataclasses import asdict

    from services.store.handover.trial import try_importer
    from shared.reading.store.handovers import object_to_try

    settings = settings_of_command()
    with opened_database(settings) as database, database.read() as session:
        stored = object_to_try(session, sop_instance_uid)
        session.expunge(stored)
    tried = try_importer(settings, stored)
    if as_json:
        print_json(asdict(tried))
    else:
        line(f"{'taken' if tried.taken else 'NOT TAKEN'} in {tried.duration_s:.1f} s: {tried.detail}")
        line(f"object {tried.sop_instance_uid}, batch {tried.batch}, {tried.path}")
        for text in tried.output.splitlines():
            line(f"  {text}")
    if not tried.taken:
        raise typer.Exit(FAILED)


def _retried(broker: Broker, event_queue: EventQueue, command_id: str) -> HandoverRetried:
    from services.cli.client.events import refuse_rejected
    from shared.contract.messages import HandoverRetried

    deadline = time.monotonic() + PATIENCE_S
    for event in event_queue.until(deadline):
        refuse_rejected(event, [command_id])
        if isinstance(event, HandoverRetried) and event.command_id == command_id:
            return event
    require_workers(broker, ["store"])
    raise away("The store service did not respond in time; its log has the reason.")
