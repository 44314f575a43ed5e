"""The figures of the dose reports of a retrieve as CSV (RFC 4180), one line for each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from sqlalchemy.orm import Session

from shared.dose.numeric_value import plain
from shared.dose.summary import SummaryJson
from shared.reading.exports.csv_cells import text_cell
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
        "study_instance_uid": text_cell(entry["study_instance_uid"]),
        "series_instance_uid": text_cell(entry["series_instance_uid"]),
        "sop_instance_uid": text_cell(entry["sop_instance_uid"]),
        "type": text_cell(entry["type"]),
        "state": text_cell(entry["state"]),
        "reason": text_cell(entry["reason"]),
    }
    summary = entry["summary"]
    if summary is None:
        yield about
        return
    about |= {"kind": summary["kind"], "events": summary["events"]}
    figures = summary["figures"]
    for figure in figures:
        yield about | {
            "figure": text_cell(figure["name"]),
            "of": text_cell(figure["of"]),
            "value": _number(figure["value"]),
            "unit": text_cell(figure["unit"]),
            "original_value": _number(figure.get("original_value")),
            "original_unit": text_cell(figure.get("original_unit")),
            "problem": text_cell(figure.get("problem")),
        }
    if left_out := summary.get("figures_left_out", 0):
        yield about | {"figure": "figures left out", "value": left_out}
    if not figures:
        yield about


def _number(value: float | None) -> str:
    """Return a number without an exponent; nothing where there is none."""
    return "" if value is None else plain(value)
