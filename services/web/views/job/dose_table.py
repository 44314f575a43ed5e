"""The figures of dose reports as columns that can be compared and sorted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isclose
from types import MappingProxyType

from services.web.language import gettext, lazy_gettext
from services.web.views.report_text import figure_value
from shared.dose.summary import FigureJson, SummaryJson
from shared.dose.units import (
    ACTIVITY,
    CTDI_VOL,
    DOSE_AREA_PRODUCT,
    DOSE_LENGTH_PRODUCT,
    GLANDULAR_DOSE,
)
from shared.reading.summaries import ReportEntry, is_of_event


@dataclass(frozen=True, slots=True)
class DoseColumn:
    """A column: its heading, and which figures of a report it holds."""

    heading: str
    meaning: str
    #: The unit of its figures, where that of the report was understood.
    unit: str
    #: Names of figures, of which the first counts that a report has.
    names: tuple[str, ...]
    #: Whether all figures of that name are added; otherwise the largest stands for them.
    adds: bool
    #: Whether only figures of the same thing are added: two agents have no activity together.
    apart: bool = False


COLUMNS: Mapping[str, DoseColumn] = MappingProxyType(
    {
        "dlp": DoseColumn(
            "DLP",
            lazy_gettext("Total dose length product"),
            DOSE_LENGTH_PRODUCT.unit,
            ("DLP total",),
            adds=True,
        ),
        "ctdivol": DoseColumn(
            lazy_gettext("CTDIvol, largest"),
            lazy_gettext("Largest CTDIvol of an event"),
            CTDI_VOL.unit,
            ("CTDIvol",),
            adds=False,
        ),
        "dap": DoseColumn(
            "DAP",
            lazy_gettext("Total dose area product"),
            DOSE_AREA_PRODUCT.unit,
            ("DAP total", "DAP"),
            adds=True,
        ),
        "agd": DoseColumn(
            "AGD",
            lazy_gettext("Largest average glandular dose"),
            GLANDULAR_DOSE.unit,
            ("AGD total", "AGD"),
            adds=False,
        ),
        "activity": DoseColumn(
            lazy_gettext("Activity"),
            lazy_gettext("Administered activity"),
            ACTIVITY.unit,
            ("administered activity",),
            adds=True,
            apart=True,
        ),
    }
)

#: A whole and the sum of its parts may differ by this part of it: reports round.
_ROUNDING = 0.005


@dataclass(frozen=True, slots=True)
class DoseCell:
    """A figure of a report: as a number to sort by, and as text."""

    value: float
    text: str
    #: Whether it is in the unit of its column.
    comparable: bool


@dataclass(frozen=True, slots=True)
class DoseRow:
    """A report and its figures by column."""

    entry: ReportEntry[SummaryJson]
    cells: Mapping[str, DoseCell]


def dose_rows(entries: Iterable[ReportEntry[SummaryJson]]) -> list[DoseRow]:
    """Return a row for each report."""
    return [DoseRow(entry, _cells(entry["summary"])) for entry in entries]


def used_columns(rows: Sequence[DoseRow]) -> dict[str, DoseColumn]:
    """Return the columns in which some report has a figure."""
    return {name: column for name, column in COLUMNS.items() if any(name in row.cells for row in rows)}


def sorted_by(rows: Iterable[DoseRow], name: str) -> list[DoseRow]:
    """Return the rows, the largest figure of a column first; then those in another unit, and without one."""

    def key(row: DoseRow) -> tuple[bool, bool, float]:
        cell = row.cells.get(name)
        return (True, cell.comparable, cell.value) if cell is not None else (False, False, 0.0)

    return sorted(rows, key=key, reverse=True)


def _cells(summary: SummaryJson | None) -> dict[str, DoseCell]:
    if summary is None:
        return {}
    cells = ((name, _cell(column, summary)) for name, column in COLUMNS.items())
    return {name: cell for name, cell in cells if cell is not None}


def _cell(column: DoseColumn, summary: SummaryJson) -> DoseCell | None:
    """Return what a report has for a column; a lower limit only where nothing is complete."""
    lower_limit: DoseCell | None = None
    for name in column.names:
        named = [figure for figure in summary["figures"] if figure["name"] == name]
        found = [figure for figure in named if figure["value"] is not None]
        units = {figure["unit"] for figure in found}
        # Figures of several units are neither added nor compared: the report itself has them.
        if len(units) != 1:
            continue
        values = _values(column, found)
        unit = units.pop()
        text = gettext(", ").join(figure_value(value, unit) for value in values)
        cell = DoseCell(max(values), text, unit == column.unit)
        is_cut = bool(summary.get("figures_left_out")) and any(map(is_of_event, named))
        if len(found) == len(named) and not is_cut:
            return cell
        lower_limit = lower_limit or replace(cell, text=f"\u2265 {text}")
    return lower_limit


def _values(column: DoseColumn, figures: Sequence[FigureJson]) -> list[float]:
    """Return the value of the column; those of several things where only each has one."""
    if not column.adds:
        return [max(figure["value"] or 0.0 for figure in figures)]
    sums: defaultdict[str, float] = defaultdict(float)
    for figure in figures:
        sums[figure["of"]] += figure["value"] or 0.0
    if column.apart:
        return list(sums.values())
    whole = sums[""]
    parts = sum(value for of, value in sums.items() if of)
    return [whole if isclose(whole, parts, rel_tol=_ROUNDING) else whole + parts]
