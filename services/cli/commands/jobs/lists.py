"""`doseqr lists`: the long lists of studies, which become queries one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import (
    JOB_QUEUES,
    opened_broker,
    opened_database,
    require_workers,
    settings_of_command,
    who,
)
from services.cli.output.console import JsonOption, line, print_json, table
from shared.clock import utc_now

if TYPE_CHECKING:
    from shared.study_lists.results import StudyListDetails

app = typer.Typer(
    help="Lists of studies that are longer than one query: doseqr query --list FILE begins one."
)

ListArgument = Annotated[str, typer.Argument(metavar="LIST_ID", help="The list's id.")]

_COLUMNS = ("id", "name", "status", "parts", "identifiers", "found", "kept", "requested_by", "requested_at")
_PART_COLUMNS = ("number", "query", "status", "found", "kept", "retrieve")


@app.command("list")
def list_all(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, the newest first.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List the lists, the newest first.

    Example: doseqr lists list --json
    """
    from shared.reading.lists.study_lists import study_lists_json

    settings = settings_of_command()
    with opened_database(settings) as database, database.read() as session:
        lists = study_lists_json(session, limit)
    if as_json:
        print_json(lists)
        return
    rows = [{**found, "parts": f"{found['parts_ended']} of {found['parts']}"} for found in lists]
    table(_COLUMNS, [[row[column] for column in _COLUMNS] for row in rows])


@app.command("show")
def show(list_id: ListArgument, as_json: JsonOption = False) -> None:
    """Show a list and its parts; each is a query like any other.

    Example: doseqr lists show 4f1c2f6e4f1c2f6e4f1c2f6e4f1c2f6e
    """
    from shared.reading.lists.study_lists import study_list_json

    settings = settings_of_command()
    with opened_database(settings) as database, database.read() as session:
        print_list(study_list_json(session, list_id), as_json=as_json)


@app.command("cancel")
def cancel(list_id: ListArgument, as_json: JsonOption = False) -> None:
    """Let no further part of a list begin, and end those that run; what was found stays.

    Example: doseqr lists cancel 4f1c2f6e4f1c2f6e4f1c2f6e4f1c2f6e
    """
    from shared.reading.lists.study_lists import study_list_json
    from shared.study_lists.ledger import cancel_list

    settings = settings_of_command()
    with opened_database(settings) as database:
        with database.read() as session:
            study_list_json(session, list_id)
        with database.write() as session:
            cancel_list(session, list_id, who(), utc_now())
        with database.read() as session:
            print_list(study_list_json(session, list_id), as_json=as_json)


@app.command("retrieve")
def retrieve(list_id: ListArgument, as_json: JsonOption = False) -> None:
    """Begin to retrieve what the ended parts of a list have kept, as far as that was not begun before.

    Example: doseqr lists retrieve 4f1c2f6e4f1c2f6e4f1c2f6e4f1c2f6e
    """
    from shared.contract.messages import RunRetrieve
    from shared.messaging.publisher import Publisher
    from shared.reading.lists.study_lists import left_to_retrieve, study_list_json

    settings = settings_of_command()
    with opened_database(settings) as database:
        with database.read() as session:
            study_list_json(session, list_id)
            queries = left_to_retrieve(session, list_id)
        with opened_broker(settings) as broker:
            require_workers(broker, JOB_QUEUES["retrieve"])
            publisher = Publisher(broker, "cli")
            begun = [
                publisher.command(RunRetrieve(query_id=query_id, requested_by=who())) for query_id in queries
            ]
    if as_json:
        print_json([{"id": retrieve_id, "kind": "retrieve", "status": "queued"} for retrieve_id in begun])
    else:
        line(f"{len(begun)} retrieves are requested; doseqr lists show {list_id} shows them.")


def print_list(details: StudyListDetails, *, as_json: bool) -> None:
    """Print a list with its parts, as JSON or in words."""
    if as_json:
        print_json(details)
        return
    line(f"List {details['id']} ({details['name']}): {details['status']}")
    line(f"  {details['remote']} to {details['store']}, {details['identifiers']} {details['field']}")
    line(
        f"  {details['parts_ended']} of {details['parts']} parts ended, {details['found']} studies found, "
        f"{details['kept']} kept, {details['left_out']} lines left out"
    )
    if details["detail"]:
        line(f"  {details['detail']}")
    rows = [dict(part) for part in details["queries"]]
    table(_PART_COLUMNS, [[row[column] for column in _PART_COLUMNS] for row in rows])
