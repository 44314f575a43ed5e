"""Lines of CSV (RFC 4180) that no spreadsheet takes for formulas. Pure."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from io import StringIO

#: Spreadsheets take a cell that begins with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_line(cells: Iterable[object]) -> str:
    """Return a line of CSV with its end."""
    buffer = StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow([_cell(cell) for cell in cells])
    return buffer.getvalue()


def _cell(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return f"'{cell}"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return "" if cell is None else cell
