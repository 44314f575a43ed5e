"""The options of `doseqr schedules add` and `edit`: what is not given is None, and stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from services.cli.commands.options.query import (
    FILTERS,
    TYPES,
    CtOption,
    DxOption,
    FlOption,
    MgOption,
    NmOption,
)
from services.cli.output.exit_codes import usage


@dataclass(frozen=True, slots=True)
class ScheduleOptions:
    """What is given of a schedule on the command line."""

    remote: Annotated[str | None, typer.Option("--remote", metavar="N", help="The remote node to query.")] = (
        None
    )
    store: Annotated[str | None, typer.Option("--store", metavar="N", help="The store node to send to.")] = (
        None
    )
    ct: CtOption = False
    mg: MgOption = False
    fl: FlOption = False
    dx: DxOption = False
    nm: NmOption = False
    include_sr_only: Annotated[
        bool | None,
        typer.Option("--include-sr-only/--no-include-sr-only", help="Also studies that hold nothing but SR."),
    ] = None
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", metavar="T", help="Drop studies described so.")
    ] = None
    keep: Annotated[
        list[str] | None, typer.Option("--keep", metavar="T", help="Keep only studies described so.")
    ] = None
    exclude_station: Annotated[
        list[str] | None,
        typer.Option("--exclude-station", metavar="T", help="Drop what is from these stations."),
    ] = None
    keep_station: Annotated[
        list[str] | None,
        typer.Option("--keep-station", metavar="T", help="Keep only what is from these stations."),
    ] = None
    station_at_study_level: Annotated[
        bool | None,
        typer.Option(
            "--station-at-study-level/--station-at-series-level", help="Where station names are compared."
        ),
    ] = None
    include_known: Annotated[
        bool | None,
        typer.Option("--include-known/--ignore-known", help="Also what is in the database already."),
    ] = None
    empty_sr: Annotated[
        bool | None,
        typer.Option("--empty-sr/--no-empty-sr", help="Also SR series that answer nothing at image level."),
    ] = None
    toshiba: Annotated[
        bool | None,
        typer.Option(
            "--toshiba/--no-toshiba", help="CT without report: first images, secondary captures whole."
        ),
    ] = None
    retrieve: Annotated[
        bool | None, typer.Option("--retrieve/--only-query", help="Retrieve what each run keeps.")
    ] = None
    every: Annotated[
        int | None, typer.Option("--every", metavar="MINUTES", help="Every so many minutes, 1 to 1440.")
    ] = None
    daily: Annotated[str | None, typer.Option("--daily", metavar="HH:MM", help="Every day at this time.")] = (
        None
    )
    weekdays: Annotated[
        str | None, typer.Option("--weekdays", metavar="HH:MM", help="Monday to Friday at this time.")
    ] = None
    cron: Annotated[
        str | None, typer.Option("--cron", metavar="LINE", help='Five fields of cron, as "30 6 * * mon-fri".')
    ] = None
    time_zone: Annotated[
        str | None,
        typer.Option("--time-zone", metavar="Z", help="As Europe/Berlin; default: that of the site."),
    ] = None
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="D", help="First study date to cover, yyyy-mm-dd; default: today."),
    ] = None


def changes_of(options: ScheduleOptions, criteria: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of a schedule that options change.

    Raises:
        CommandError: several say when it is due.
    """
    given = {name: value for name, value in asdict(options).items() if value is not None}
    plain = ("remote", "store", "retrieve", "time_zone", "start")
    changes = {name: given[name] for name in plain if name in given}
    if when := _when(given):
        changes["when"] = when
    changed = {field: given[option] for option, field in FILTERS.items() if option in given}
    if types := [name.upper() for name in TYPES if given[name]]:
        changed["types"] = types
    if "include_known" in given:
        changed["ignore_known"] = not given["include_known"]
    if changed:
        changes["criteria"] = {**criteria, **changed}
    return changes


def _when(options: Mapping[str, object]) -> str:
    given = [name for name in ("every", "daily", "weekdays", "cron") if name in options]
    if len(given) > 1:
        raise usage(f"when: --{given[0]} and --{given[1]} exclude each other", "when")
    if not given:
        return ""
    value = options[given[0]]
    forms = {"every": f"every {value} minutes", "cron": str(value)}
    return forms.get(given[0], f"{given[0]} {value}")
