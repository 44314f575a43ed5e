"""The table of the completeness calendar: a row for each type, a cell for each day, as text and sign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from services.web.language import date_text, gettext, lazy_gettext, shown_day, translated
from services.web.views.criteria_text import TYPE_NAMES
from services.web.views.formatting import many
from shared.evidence.calendar import DayState
from shared.evidence.results import CalendarDayResult, CalendarResult, CalendarTypeResult
from shared.reading.rate_text import duration

#: Sign of each state, its name, and what it means.
STATES: Mapping[str, tuple[str, str, str]] = {
    DayState.COMPLETE: (
        "✓",
        lazy_gettext("complete"),
        lazy_gettext("every study of the day was found and decided"),
    ),
    DayState.EMPTY: (
        "0",
        lazy_gettext("nothing there"),
        lazy_gettext("the PACS was searched and has no study of the type"),
    ),
    DayState.THIN: (
        "▽",
        lazy_gettext("complete but thin"),
        lazy_gettext("fewer than half of the studies of its weekday's median"),
    ),
    DayState.HOLES: (
        "!",
        lazy_gettext("holes"),
        lazy_gettext("a window or a study is missing, or a filter left studies out"),
    ),
    DayState.NOT_REQUESTED: ("?", lazy_gettext("not asked"), lazy_gettext("no query covers the day")),
    DayState.CLOSED: (
        "\N{EN DASH}",
        lazy_gettext("node was closed"),
        lazy_gettext("due, but the hours of the node have not begun since"),
    ),
    DayState.NOT_DUE: (
        "·",
        lazy_gettext("not due yet"),
        lazy_gettext("until two hours after its end, reports may still come"),
    ),
}
#: States from which a click leads to the query that mends them.
_TO_FILL = frozenset({DayState.HOLES, DayState.NOT_REQUESTED, DayState.CLOSED, DayState.THIN})
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Cell:
    """A day of one type."""

    day: str
    state: str
    sign: str
    #: The day and all that is known of it, for those who do not see the sign.
    text: str
    studies: int
    fillable: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A type."""

    type: str
    name: str
    cells: list[Cell]
    fresh: str


@dataclass(frozen=True, slots=True)
class AdjacentMonth:
    """A month beside the one that is shown: its key in the address, and its name."""

    key: str
    title: str


@dataclass(frozen=True, slots=True)
class Month:
    """A month as the page shows it."""

    title: str
    #: The number of each day, and whether it is of a weekend.
    days: list[tuple[int, bool]]
    rows: list[Row]
    previous: AdjacentMonth
    #: None after the present month: there is nothing to see.
    following: AdjacentMonth | None


def month_table(shown: CalendarResult, first: date, today: date) -> Month:
    """Return the table of a month that begins with `first`."""
    days = shown["types"][0]["days"]
    dates = [date.fromisoformat(entry["day"]) for entry in days]
    after = dates[-1] + timedelta(days=1)
    return Month(
        title=date_text(first, gettext("MMMM yyyy")),
        days=[(day.day, day.weekday() >= _SATURDAY) for day in dates],
        rows=[_row(of_type) for of_type in shown["types"]],
        previous=_adjacent(first - timedelta(days=1)),
        following=_adjacent(after) if after <= today else None,
    )


def _adjacent(day: date) -> AdjacentMonth:
    return AdjacentMonth(f"{day:%Y-%m}", date_text(day, gettext("MMMM yyyy")))


def _row(of_type: CalendarTypeResult) -> Row:
    name = of_type["type"]
    cells = [_cell(entry, TYPE_NAMES[name]) for entry in of_type["days"]]
    return Row(name, TYPE_NAMES[name], cells, _freshness(of_type))


def _freshness(of_type: CalendarTypeResult) -> str:
    until, last, lag_s = of_type["complete_until"], of_type["last_complete"], of_type["lag_s"]
    if until is None or lag_s is None:
        return gettext("nothing complete in the last eight weeks")
    text = gettext(
        "complete until %(day)s, %(duration)s ago",
        day=shown_day(until),
        duration=translated(duration(max(lag_s, 0))),
    )
    if last == until:
        return text
    return gettext("%(text)s; the last complete day is %(day)s", text=text, day=shown_day(last or ""))


def _cell(entry: CalendarDayResult, type_name: str) -> Cell:
    state = entry["state"]
    sign, words, _ = STATES[state]
    day = date_text(date.fromisoformat(entry["day"]), gettext("EEEE dd MMMM"))
    parts = [f"{type_name}, {day}: {words}"]
    if entry["studies"]:
        parts.append(many(entry["studies"], "study", "studies"))
    if entry["unsettled"]:
        parts.append(gettext("%(studies)s not decided", studies=many(entry["unsettled"], "study", "studies")))
    if entry["thin"]:
        parts.append(gettext("the median of the weekday is %(number)s", number=f"{entry['median']:g}"))
    if entry["running"]:
        parts.append(gettext("a query is running"))
    fillable = state in _TO_FILL or entry["thin"]
    return Cell(entry["day"], state, sign, ", ".join(parts), entry["studies"], fillable)
