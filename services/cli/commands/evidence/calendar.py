"""`doseqr calendar`: which days of a node are proven."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import opened_database, settings_of_command
from services.cli.output.console import JsonOption, line, print_json, table
from services.cli.output.exit_codes import INCOMPLETE
from shared.clock import utc_now

if TYPE_CHECKING:
    from shared.evidence.results import CalendarResult, CalendarTypeResult


#: A letter or sign for each state; `line` names them.
SIGNS = {
    "complete": "#",
    "empty": "0",
    "thin": "v",
    "holes": "!",
    "not_asked": "?",
    "closed": "z",
    "not_due": ".",
}
_LEGEND = "# complete  0 nothing there  v thin  ! holes  ? not asked  z node was closed  . not due yet"
_OPEN = frozenset({"holes", "not_asked", "closed"})

NodeOption = Annotated[str, typer.Option("--node", metavar="NODE", help="The remote node: id or name.")]
TypeOption = Annotated[
    list[str] | None, typer.Option("--type", metavar="TYPE", help="CT, MG, FL, DX, NM or SR; repeatable.")
]


def calendar(
    node: NodeOption,
    type_names: TypeOption = None,
    month: Annotated[str, typer.Option(metavar="YYYY-MM", help="The month; default: this one.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Show which days of a node all queries together prove; exit code 1 if a day that is due is not.

    Examples: doseqr calendar --node pacs; doseqr calendar --node pacs --type CT --month 2026-11
    """
    from shared.nodes.nodes import find_node
    from shared.reading.evidence.calendar import calendar_json, parse_month, parse_types

    settings = settings_of_command()
    with opened_database(settings) as database, database.read() as session:
        now = utc_now()
        first = parse_month(month, settings.day_of(now))
        types = parse_types(type_names or ())
        remote = find_node(session, node, "remote", "node")
        shown = calendar_json(session, remote, types, first, settings, now)
    if as_json:
        print_json(shown)
    else:
        _print(shown)
    if any(day["state"] in _OPEN for of_type in shown["types"] for day in of_type["days"]):
        raise typer.Exit(INCOMPLETE)


def _print(shown: CalendarResult) -> None:
    line(f"{shown['node']}, {shown['month']}")
    columns = ("type", "days from the first", "studies", "not decided", "complete until")
    table(columns, [_row(of_type) for of_type in shown["types"]])
    line(_LEGEND)


def _row(of_type: CalendarTypeResult) -> tuple[object, ...]:
    days = of_type["days"]
    return (
        of_type["type"],
        "".join(SIGNS[day["state"]] for day in days),
        sum(day["studies"] for day in days),
        sum(day["unsettled"] for day in days),
        of_type["complete_until"] or "never",
    )
