"""Jobs in words for people at a terminal."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from services.cli.output.console import line
from shared.contract.reasons import sentence
from shared.database.models.query import Query
from shared.reading.jobs import Job
from shared.reading.queries import query_head
from shared.reading.retrieves import ARRIVAL_WORDS, retrieve_json

#: Missing windows, studies or objects that are named; --json has all of them.
SHOWN = 20


def print_job(session: Session, job: Job) -> None:
    """Print a readable summary of a job."""
    if isinstance(job, Query):
        _query(query_head(session, job.id))
    else:
        _retrieve(retrieve_json(session, job.id))


def _query(head: dict[str, Any]) -> None:
    counts, slices = head["counts"], head["slices"]
    line(f"Query {head['id']}: {head['status']}  ({head['remote']} to {head['store']})")
    _trouble(head)
    line(f"  slices    {slices['complete']} of {slices['total']} complete, {slices['failed']} failed")
    line(f"  studies   {counts['found']} found, {counts['examined']} examined, {counts['kept']} kept")
    line(f"  objects   {counts['objects']} to retrieve")
    for kind, number in counts["by_type"].items():
        line(f"  {kind:<9} {number}")
    for code, number in counts["by_reason"].items():
        line(f"  {number:>9}  {code}: {sentence(code)}")
    _missing(head["missing"])


def _retrieve(read: dict[str, Any]) -> None:
    counts = read["counts"]
    line(f"Retrieve {read['id']}: {read['status']}  (of query {read['query']} to {read['store']})")
    _trouble(read)
    bound = "at least " if counts["uncounted_series"] else ""
    line(
        f"  objects   {bound}{counts['asked']} asked, {counts['arrived']} arrived, "
        f"{counts['failed']} failed, {counts['missing']} missing"
    )
    if read["verification"]:
        line(f"  arrival   known {ARRIVAL_WORDS.get(read['verification'], read['verification'])}")
    _handover(read["handover"])
    _missing(read["missing"])


def _handover(read: dict[str, Any] | None) -> None:
    if read is None:
        return
    counts = read["counts"]
    text = f"  importer  {counts['taken']} taken, {counts['waiting']} waiting, {counts['failed']} given up"
    line(text + (f". {read['detail']}" if read["detail"] else ""))


def _trouble(read: dict[str, Any]) -> None:
    if read["failure"]:
        line(f"  {read['failure']}: {read['detail'] or sentence(read['failure'])}")
    elif read["detail"]:
        line(f"  {read['detail']}")
    if read["note"]:
        line(f"  {read['note']}")


def _missing(missing: list[dict[str, Any]]) -> None:
    for entry in missing[:SHOWN]:
        line("  missing   " + ", ".join(f"{key} {value}" for key, value in entry.items() if value))
    if len(missing) > SHOWN:
        line(f"  missing   and {len(missing) - SHOWN} more; --json lists all")
