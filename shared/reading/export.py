"""What the dose reports of a retrieve say as CSV (RFC 4180): a line for each figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy.orm import Session

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
            "value": figure["value"],
            "unit": _cell(figure["unit"]),
        }
    if not figures:
        yield about


def _cell(text: str | None) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    text = text or ""
    return f"'{text}" if text.startswith(_FORMULA) else text
