"""The figures of the dose reports of a retrieve as CSV (RFC 4180), one line for each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy.orm import Session

from shared.dose.numeric_value import plain
from shared.reading.summaries import summaries

COLUMNS = (
    "study_instance_uid",
    "series_instance_uid",
    "sop_instance_uid",
    "type",
    "state",
    "reason",
    "kind",
    "events",
    "figure",
    "of",
    "value",
    "unit",
    "original_value",
    "original_unit",
    "problem",
)

#: Spreadsheets take a cell that begins with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_lines(session: Session, job_id: str) -> Iterator[str]:
    """Yield the lines of the export, a report at a time."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, extrasaction="ignore", lineterminator="\r\n")
    writer.writeheader()
    for entry in summaries(session, job_id):
        writer.writerows(_rows(entry))
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _rows(entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    summary = entry["summary"] or {}
    about = {name: _cell(entry[name]) for name in COLUMNS[:6]}
    about |= {"kind": summary.get("kind", ""), "events": summary.get("events", "")}
    figures = summary.get("figures", [])
    for figure in figures:
        yield about | {
            "figure": _cell(figure["name"]),
            "of": _cell(figure["of"]),
            "value": _number(figure["value"]),
            "unit": _cell(figure["unit"]),
            "original_value": _number(figure.get("original_value")),
            "original_unit": _cell(figure.get("original_unit")),
            "problem": _cell(figure.get("problem")),
        }
    if left_out := summary.get("figures_left_out", 0):
        yield about | {"figure": "figures left out", "value": left_out}
    if not figures:
        yield about


def _number(value: float | None) -> str:
    """Return a number without an exponent; nothing where there is none."""
    return "" if value is None else plain(value)


def _cell(text: str | None) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    text = text or ""
    return f"'{text}" if text.startswith(_FORMULA) else text
