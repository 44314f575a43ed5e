"""The figures of dose reports as columns that can be compared and sorted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from services.web.language import lazy_gettext
from services.web.views.report_text import figure_value
from shared.dose.summary import FigureJson, SummaryJson
from shared.reading.summaries import ReportEntry


@dataclass(frozen=True, slots=True)
class DoseColumn:
    """A column: its heading, and which figures of a report it holds."""

    heading: str
    meaning: str
    #: Names of figures, of which the first counts that a report has.
    names: tuple[str, ...]
    #: Whether all figures of that name are added; otherwise the largest stands for them.
    adds: bool


COLUMNS: Mapping[str, DoseColumn] = MappingProxyType(
    {
        "dlp": DoseColumn("DLP", lazy_gettext("Total dose length product"), ("DLP total",), adds=True),
        "ctdivol": DoseColumn(
            lazy_gettext("CTDIvol, largest"),
            lazy_gettext("Largest CTDIvol of an event"),
            ("CTDIvol",),
            adds=False,
        ),
        "dap": DoseColumn("DAP", lazy_gettext("Total dose area product"), ("DAP total", "DAP"), adds=True),
        "agd": DoseColumn(
            "AGD", lazy_gettext("Largest average glandular dose"), ("AGD total", "AGD"), adds=False
        ),
        "activity": DoseColumn(
            lazy_gettext("Activity"),
            lazy_gettext("Administered activity"),
            ("administered activity",),
            adds=True,
        ),
    }
)


@dataclass(frozen=True, slots=True)
class DoseCell:
    """A figure of a report: as a number to sort by, and as text."""

    value: float
    text: str


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
    """Return the rows, the largest figure of a column first, and last those without one."""
    key: Callable[[DoseRow], tuple[bool, float]] = lambda row: (  # noqa: E731
        name in row.cells,
        row.cells[name].value if name in row.cells else 0.0,
    )
    return sorted(rows, key=key, reverse=True)


def _cells(summary: SummaryJson | None) -> dict[str, DoseCell]:
    if summary is None:
        return {}
    cells = ((name, _cell(column, summary["figures"])) for name, column in COLUMNS.items())
    return {name: cell for name, cell in cells if cell is not None}


def _cell(column: DoseColumn, figures: Sequence[FigureJson]) -> DoseCell | None:
    for name in column.names:
        found = [figure for figure in figures if figure["name"] == name and figure["value"] is not None]
        units = {figure["unit"] for figure in found}
        # Figures of several units are neither added nor compared: the report itself has them.
        if len(units) != 1:
            continue
        values = [figure["value"] or 0.0 for figure in found]
        value = sum(values) if column.adds else max(values)
        return DoseCell(value, figure_value(value, units.pop()))
    return None
