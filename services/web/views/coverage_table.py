"""The tables of coverage by station: totals, and weeks as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from flask import url_for
from markupsafe import Markup, escape

from services.web.language import date_text, gettext, lazy_gettext, shown_day
from services.web.views.criteria_text import TYPE_NAMES
from services.web.views.formatting import many
from shared.evidence.coverage import Source, monday
from shared.evidence.results import AlertResult, CoverageResult, StationResult

#: Where the dose of a study is, in the order of the columns.
SOURCES: Mapping[str, str] = {
    Source.REPORT: lazy_gettext("Dose report"),
    Source.ENHANCED_SR: lazy_gettext("Enhanced SR only"),
    Source.UNKNOWN_SR: lazy_gettext("SR of unknown class"),
    Source.IMAGES: lazy_gettext("Images"),
    Source.NONE: lazy_gettext("Nothing"),
}


#: Width of a bar that stands for all studies of a station.
BAR_WIDTH = 120


@dataclass(frozen=True, slots=True)
class WeekCell:
    """A week of a station: studies with a dose report, of all."""

    first: str
    last: str
    reports: int
    studies: int


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of the drawn bar of a station: its place and width in units of `BAR_WIDTH`."""

    source: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class StationRow:
    """A station and type."""

    name: str
    type_name: str
    #: Where its studies are listed; the days are added to it.
    address: str
    result: StationResult
    alerts: list[str]
    weeks: list[WeekCell]
    bars: list[Bar]


@dataclass(frozen=True, slots=True)
class CoverageTable:
    """All stations, and the Mondays of the columns.

    Its texts are looked up once for all cells: a year of many stations has thousands.
    """

    weeks: list[str]
    rows: list[StationRow]
    #: Studies with a dose report, and all studies.
    part_of_all: Markup
    studies_of: str

    def label(self, row: StationRow, first: str, last: str, source: str) -> str:
        """Return what a number counts, for screen readers."""
        of_type = f"{row.type_name}, {SOURCES[source]}" if source else row.type_name
        return self.studies_of % {"station": row.name, "type": of_type, "first": first, "last": last}


def coverage_table(shown: CoverageResult) -> CoverageTable:
    """Return the tables of a coverage."""
    first, last = date.fromisoformat(shown["date_from"]), date.fromisoformat(shown["date_until"])
    # Weeks before the first study would only push the others off the screen.
    begun = min((entry["week"] for station in shown["stations"] for entry in station["weeks"]), default="")
    mondays, week = [], max(monday(first), date.fromisoformat(begun)) if begun else monday(first)
    while week <= last:
        mondays.append(week)
        week += timedelta(weeks=1)
    return CoverageTable(
        [date_text(day, gettext("dd MMM")) for day in mondays],
        [_row(shown["node"], station, mondays, first, last) for station in shown["stations"]],
        Markup(escape(gettext("%(part)s of %(all)s"))),  # noqa: S704 - it is escaped
        gettext("studies of %(station)s, %(type)s, %(first)s to %(last)s"),
    )


def _row(node: str, station: StationResult, mondays: list[date], first: date, last: date) -> StationRow:
    by_week = {entry["week"]: entry for entry in station["weeks"]}
    cells = []
    for day in mondays:
        entry = by_week.get(day.isoformat())
        cells.append(
            WeekCell(
                max(day, first).isoformat(),
                min(day + timedelta(days=6), last).isoformat(),
                entry["sources"]["report"] if entry else 0,
                entry["studies"] if entry else 0,
            )
        )
    return StationRow(
        station["station"] or gettext("unknown station"),
        TYPE_NAMES[station["type"]],
        url_for("coverage.studies", node=node, station=station["station"], type=station["type"]),
        station,
        [_alert(alert) for alert in station["alerts"]],
        cells,
        _bars(station),
    )


def _bars(station: StationResult) -> list[Bar]:
    """Return the parts of a bar, as wide as the shares of the sources; the table has the numbers."""
    bars: list[Bar] = []
    x = 0.0
    numbers = {source: number for source, number in station["sources"].items() if isinstance(number, int)}
    for source in SOURCES:
        width = BAR_WIDTH * numbers[source] / station["studies"]
        if width:
            bars.append(Bar(source, round(x, 2), round(width, 2)))
        x += width
    return bars


def _alert(alert: AlertResult) -> str:
    studies = many(alert["studies"], "study", "studies")
    if alert["kind"] == "stopped":
        return gettext(
            "No dose report since %(day)s, in %(studies)s in a row",
            day=shown_day(alert["since"]),
            studies=studies,
        )
    return gettext("New since %(day)s, %(studies)s", day=shown_day(alert["since"]), studies=studies)
