"""The figures of the dose reports of a retrieve as CSV (RFC 4180), one line for each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from sqlalchemy.orm import Session

from shared.dose.numeric_value import plain
from shared.dose.summary import SummaryJson
from shared.reading.summaries import ReportEntry, summaries

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


def _rows(entry: ReportEntry[SummaryJson]) -> Iterator[dict[str, str | int]]:
    about: dict[str, str | int] = {
        "study_instance_uid": _cell(entry["study_instance_uid"]),
        "series_instance_uid": _cell(entry["series_instance_uid"]),
        "sop_instance_uid": _cell(entry["sop_instance_uid"]),
        "type": _cell(entry["type"]),
        "state": _cell(entry["state"]),
        "reason": _cell(entry["reason"]),
    }
    summary = entry["summary"]
    if summary is None:
        yield about
        return
    about |= {"kind": summary["kind"], "events": summary["events"]}
    figures = summary["figures"]
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
