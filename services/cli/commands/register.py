"""`doseqr register`: make objects that another store holds known, from their files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import opened_broker, require_workers, settings_of_command
from services.cli.commands.options.paths import given_path
from services.cli.output.console import JsonOption, line, notice, print_json
from services.cli.output.exit_codes import INCOMPLETE, away, usage

if TYPE_CHECKING:
    from services.cli.client.dicom_files import FileTally
    from services.cli.client.events import EventQueue
    from shared.broker.port import Broker
    from shared.contract.messages import ObjectReference

#: Objects in one command.
BATCH = 500
#: Commands that may be unanswered at the same time.
IN_FLIGHT = 4
#: Seconds that one command may take while the store listens, and between two checks whether it does.
PATIENCE_S, CHECK_S = 120.0, 2.0

#: Skipped files that are named in words; --json names all of them.
SHOWN = 20


def register(
    paths: Annotated[
        list[Path],
        typer.Argument(parser=given_path, metavar="PATH...", help="DICOM files, or folders of them."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Make the objects in these files known, so that no query requests them again; nothing is copied.

    Examples: doseqr register /archive/2026; doseqr register report.dcm --json
    """
    from services.cli.client.dicom_files import FileTally, object_references
    from services.cli.client.events import listening

    for path in paths:
        if not path.exists():
            raise usage(f"{path}: there is no such file or folder", "path")
    settings = settings_of_command()
    tally = FileTally()
    with opened_broker(settings) as broker:
        require_workers(broker, ["store"])
        with listening(broker, ["objects.registered.#", "command.rejected.#"]) as event_queue:
            _register(broker, event_queue, _batches(object_references(paths, tally)), tally)
    if as_json:
        print_json(tally.to_json())
    else:
        _print(tally)
    if tally.unreadable:
        raise typer.Exit(INCOMPLETE)


def _print(tally: FileTally) -> None:
    for file in tally.unreadable:
        notice(f"unreadable: {file['path']}: {file['problem']}")
    for file in tally.skipped[:SHOWN]:
        notice(f"skipped: {file['path']}: {file['reason']}")
    if len(tally.skipped) > SHOWN:
        notice(f"skipped: and {len(tally.skipped) - SHOWN} more; --json names all")
    line(
        f"{tally.registered} objects registered, {len(tally.skipped)} other files, "
        f"{len(tally.unreadable)} unreadable"
    )


def _batches(objects: Iterator[ObjectReference]) -> Iterator[list[ObjectReference]]:
    batch: list[ObjectReference] = []
    for reference in objects:
        batch.append(reference)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _register(
    broker: Broker, event_queue: EventQueue, batches: Iterator[list[ObjectReference]], tally: FileTally
) -> None:
    from shared.contract.envelope import new_id
    from shared.contract.messages import RegisterObjects
    from shared.messaging.publisher import Publisher

    publisher = Publisher(broker, "cli")
    waiting: dict[str, int] = {}
    for batch in batches:
        while len(waiting) >= IN_FLIGHT:
            _await_registered(broker, event_queue, waiting, tally)
        command_id = new_id()
        waiting[command_id] = len(batch)
        publisher.command(RegisterObjects(objects=batch), command_id=command_id)
    while waiting:
        _await_registered(broker, event_queue, waiting, tally)


def _await_registered(
    broker: Broker, event_queue: EventQueue, waiting: dict[str, int], tally: FileTally
) -> None:
    from services.cli.client.events import refuse_rejected
    from shared.contract.messages import ObjectsRegistered

    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for event in event_queue.until(time.monotonic() + CHECK_S):
            refuse_rejected(event, list(waiting))
            if isinstance(event, ObjectsRegistered) and event.command_id in waiting:
                del waiting[event.command_id]
                tally.registered += event.objects
                return
        require_workers(broker, ["store"])
    raise away("The store service did not respond in time; its log has the reason.")
