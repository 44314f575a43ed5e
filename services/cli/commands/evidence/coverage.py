"""`doseqr coverage`: which stations send dose reports, and which stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import opened_database, settings_of_command
from services.cli.commands.evidence.calendar import NodeOption, TypeOption
from services.cli.output.console import JsonOption, line, notice, print_json, table
from services.cli.output.exit_codes import INCOMPLETE
from shared.clock import utc_now
from shared.errors import InvalidInputError

if TYPE_CHECKING:
    from datetime import date

    from shared.evidence.results import AlertResult, CoverageResult, StationResult

_COLUMNS = (
    "station",
    "type",
    "studies",
    "report",
    "ESR",
    "SR of unknown class",
    "images",
    "none",
    "first",
    "last",
    "alert",
    "with headers",
)
_ALERTS = {
    "stopped": "no report since {since} in {studies} studies",
    "new": "new since {since}",
}


def coverage(
    node: NodeOption,
    type_names: TypeOption = None,
    date_from: Annotated[
        str, typer.Option("--from", metavar="YYYY-MM-DD", help="First study date; default: 13 weeks ago.")
    ] = "",
    date_until: Annotated[
        str, typer.Option("--until", metavar="YYYY-MM-DD", help="Last study date; default: today.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Show which stations send dose reports; exit code 1 if one stopped or is new.

    Examples: doseqr coverage --node pacs; doseqr coverage --node pacs --type CT --from 2026-09-01 --json
    """
    from shared.nodes.nodes import find_node
    from shared.reading.evidence.calendar import parse_types
    from shared.reading.evidence.coverage import coverage_json, parse_period

    settings = settings_of_command()
    with opened_database(settings) as database, database.read() as session:
        now = utc_now()
        types = parse_types(type_names or ())
        period = parse_period(day("from", date_from), day("until", date_until), settings.day_of(now))
        remote = find_node(session, node, "remote", "node")
        shown = coverage_json(session, remote, types, period, settings.coverage_last_studies, now)
    if as_json:
        print_json(shown)
    else:
        _print(shown)
    if any(station["alerts"] for station in shown["stations"]):
        raise typer.Exit(INCOMPLETE)


def day(field: str, text: str) -> date | None:
    """Return the date of an option; None if it is left out.

    Raises:
        InvalidInputError: it is no date; names the field.
    """
    from shared.contract.criteria_fields import parse_date

    try:
        return parse_date(text) if text.strip() else None
    except ValueError as error:
        raise InvalidInputError(field, str(error)) from None


def _print(shown: CoverageResult) -> None:
    line(f"{shown['node']}, {shown['date_from']} to {shown['date_until']}")
    if not shown["stations"]:
        notice("No study of these types and days was decided yet.")
    table(_COLUMNS, [_row(station) for station in shown["stations"]])
    if shown["not_settled"]:
        line(f"{shown['not_settled']} studies are found and not decided; they count nowhere.")


def _row(station: StationResult) -> tuple[object, ...]:
    sources = station["sources"]
    return (
        station["station"] or "(unknown station)",
        station["type"],
        station["studies"],
        sources["report"],
        sources["enhanced_sr"],
        sources["unknown_sr"],
        sources["images"],
        sources["none"],
        station["first_day"],
        station["last_day"],
        "; ".join(_alert_text(alert) for alert in station["alerts"]),
        station["header_studies"],
    )


def _alert_text(alert: AlertResult) -> str:
    return _ALERTS[alert["kind"]].format(since=alert["since"], studies=alert["studies"])
