"""The options of `doseqr schedules add` and `edit`: what is not given is None, and stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from services.cli.output.exit_codes import usage

RemoteOption = Annotated[str | None, typer.Option("--remote", metavar="N", help="The remote node to query.")]
StoreOption = Annotated[str | None, typer.Option("--store", metavar="N", help="The store node to send to.")]
CtOption = Annotated[bool, typer.Option("--ct", help="CT studies.")]
MgOption = Annotated[bool, typer.Option("--mg", help="Mammography studies.")]
FlOption = Annotated[bool, typer.Option("--fl", help="Fluoroscopy and angiography studies (RF, XA).")]
DxOption = Annotated[bool, typer.Option("--dx", help="Radiography studies (DX, CR, PX).")]
NmOption = Annotated[bool, typer.Option("--nm", help="Nuclear medicine studies (NM, PT).")]
SrOption = Annotated[
    bool | None,
    typer.Option("--include-sr-only/--no-include-sr-only", help="Also studies that hold nothing but SR."),
]
ExcludeOption = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="T", help="Drop studies described so.")
]
KeepOption = Annotated[
    list[str] | None, typer.Option("--keep", metavar="T", help="Keep only studies described so.")
]
ExcludeStationOption = Annotated[
    list[str] | None, typer.Option("--exclude-station", metavar="T", help="Drop what is from these stations.")
]
KeepStationOption = Annotated[
    list[str] | None,
    typer.Option("--keep-station", metavar="T", help="Keep only what is from these stations."),
]
StationLevelOption = Annotated[
    bool | None,
    typer.Option(
        "--station-at-study-level/--station-at-series-level", help="Where station names are compared."
    ),
]
KnownOption = Annotated[
    bool | None, typer.Option("--include-known/--ignore-known", help="Also what is in the database already.")
]
EmptySrOption = Annotated[
    bool | None,
    typer.Option("--empty-sr/--no-empty-sr", help="Also SR series that answer nothing at image level."),
]
ToshibaOption = Annotated[
    bool | None,
    typer.Option("--toshiba/--no-toshiba", help="CT without report: first images, secondary captures whole."),
]
RetrieveOption = Annotated[
    bool | None, typer.Option("--retrieve/--only-query", help="Retrieve what each run keeps.")
]
EveryOption = Annotated[
    int | None, typer.Option("--every", metavar="MINUTES", help="Every so many minutes, 1 to 1440.")
]
DailyOption = Annotated[str | None, typer.Option("--daily", metavar="HH:MM", help="Every day at this time.")]
WeekdaysOption = Annotated[
    str | None, typer.Option("--weekdays", metavar="HH:MM", help="Monday to Friday at this time.")
]
CronOption = Annotated[
    str | None, typer.Option("--cron", metavar="LINE", help='Five fields of cron, as "30 6 * * mon-fri".')
]
ZoneOption = Annotated[
    str | None, typer.Option("--time-zone", metavar="Z", help="As Europe/Berlin; default: that of the site.")
]
StartOption = Annotated[
    str | None,
    typer.Option("--start", metavar="D", help="First study date to cover, yyyy-mm-dd; default: today."),
]

_TYPES = ("ct", "mg", "fl", "dx", "nm")
#: Options that are fields of criteria under another name.
_CRITERIA = {
    "include_sr_only": "include_sr_only",
    "exclude": "exclude_descriptions",
    "keep": "keep_descriptions",
    "exclude_station": "exclude_stations",
    "keep_station": "keep_stations",
    "station_at_study_level": "station_at_study_level",
    "empty_sr": "empty_sr",
    "toshiba": "toshiba",
}


def changes_of(options: Mapping[str, object], criteria: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of a schedule that options change.

    Raises:
        CommandError: several say when it is due.
    """
    plain = ("name", "remote", "store", "retrieve", "time_zone", "start")
    changes = {name: options[name] for name in plain if options.get(name) is not None}
    if when := _when(options):
        changes["when"] = when
    changed = {field: options[option] for option, field in _CRITERIA.items() if options[option] is not None}
    if types := [name.upper() for name in _TYPES if options[name]]:
        changed["types"] = types
    if options["include_known"] is not None:
        changed["ignore_known"] = not options["include_known"]
    if changed:
        changes["criteria"] = {**criteria, **changed}
    return changes


def _when(options: Mapping[str, object]) -> str:
    given = [name for name in ("every", "daily", "weekdays", "cron") if options[name] is not None]
    if len(given) > 1:
        raise usage(f"when: --{given[0]} and --{given[1]} exclude each other", "when")
    if not given:
        return ""
    value = options[given[0]]
    forms = {"every": f"every {value} minutes", "cron": str(value)}
    return forms.get(given[0], f"{given[0]} {value}")
