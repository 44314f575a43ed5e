"""`doseqr compare`: a node against what is stored or a second node."""

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
from services.cli.commands.evidence.calendar import NodeOption, TypeOption
from services.cli.output.console import JsonOption, line, print_json, table
from services.cli.output.exit_codes import INCOMPLETE, OK
from shared.clock import utc_now

if TYPE_CHECKING:
    from shared.comparisons import ComparisonOrder
    from shared.database.session import Database
    from shared.evidence.results import ComparisonResult
    from shared.settings import Settings

_SENTENCES = {
    "waiting": "The queries have not ended yet.",
    "incomplete": "A side is not complete: what is not listed is not proven to be equal.",
    "nothing_matched": "Nothing matched: neither side has a study of these types and days.",
    "nothing_differs": "Nothing differs.",
    "different": "The sides differ.",
}
_COLUMNS = ("only in", "what", "study", "series", "object", "objects", "proven")


def compare(
    node: NodeOption,
    date_from: Annotated[str, typer.Option("--from", metavar="D", help="First study date, yyyy-mm-dd.")],
    date_until: Annotated[
        str, typer.Option("--until", metavar="D", help="Last study date; default: today.")
    ] = "",
    other: Annotated[
        str, typer.Option("--with", metavar="NODE", help="A second remote node; default: what is stored.")
    ] = "",
    type_names: TypeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a node with what is stored, or with a second node.

    Exit code 0: nothing differs, or nothing matched; 1: they differ, or a side is incomplete.

    Examples: doseqr compare --node pacs --from 2026-11-01; doseqr compare --node pacs --with archive
    --type CT --from 2026-11-01 --until 2026-11-07 --json
    """
    from shared.comparisons import ComparisonInput, order_comparison
    from shared.contract.envelope import new_id
    from shared.reading.evidence.calendar import parse_types

    settings = settings_of_command()
    types = parse_types(type_names or ())
    given = ComparisonInput(node=node, other=other, types=types, date_from=date_from, date_until=date_until)
    with opened_database(settings) as database:
        with database.read() as session:
            order = order_comparison(session, given, new_id(), who(), settings, utc_now())
        _run(settings, database, order)
        shown = _result(database, order)
    if as_json:
        print_json(shown)
    else:
        _print(shown)
    code = OK if shown["status"] in ("nothing_differs", "nothing_matched") else INCOMPLETE
    raise typer.Exit(code)


def _run(settings: Settings, database: Database, order: ComparisonOrder) -> None:
    """Publish the queries, write the comparison, and wait until the queries have ended."""
    from services.cli.client.events import listening
    from services.cli.client.follower import Follower
    from services.cli.output.progress import reporting
    from shared.comparisons import save_comparison
    from shared.messaging.publisher import Publisher

    with opened_broker(settings) as broker:
        require_workers(broker, JOB_QUEUES["query"])
        job_ids = [job_id for job_id, _ in order.commands]
        keys = [f"*.*.{job_id}" for job_id in job_ids]
        with listening(broker, keys) as event_queue, reporting() as reporter:
            publisher = Publisher(broker, "cli")
            for job_id, command in order.commands:
                publisher.command(command, command_id=job_id)
            with database.write() as session:
                save_comparison(session, order.row)
            follower = Follower(database, broker, event_queue, reporter)
            for job_id in job_ids:
                follower.until_ended("query", job_id)


def _result(database: Database, order: ComparisonOrder) -> ComparisonResult:
    from shared.reading.evidence.comparison import comparison_json, read_comparison

    with database.read() as session:
        return comparison_json(read_comparison(session, order.row))


def _print(shown: ComparisonResult) -> None:
    left, right = shown["left"], shown["right"]
    line(f"{left['name']} against {right['name']}: {_SENTENCES[shown['status']]}")
    for side in (left, right):
        query = f", query {side['query']} {side['status']}" if side["query"] else ""
        missing = f", {side['missing']} windows and studies missing" if side["missing"] else ""
        headers = f", {side['headers']} objects are headers without pixels" if side["headers"] else ""
        line(f"{side['name']}: {side['studies']} studies{query}{missing}{headers}")
    names = {"left": left["name"], "right": right["name"]}
    table(
        _COLUMNS,
        [
            (
                names[entry["only_in"]],
                entry["kind"],
                entry["study_instance_uid"],
                entry["series_instance_uid"],
                entry["sop_instance_uid"],
                entry["objects"],
                "yes" if entry["certain"] else "no",
            )
            for entry in shown["differences"]
        ],
    )
