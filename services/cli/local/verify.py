"""Whether everything that was asked for has arrived and lies on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.cli.client.jobs import JobOutcome
from shared.database.models.retrieve import RetrieveObject
from shared.database.models.store import StoredObject
from shared.reading.queries import query_head
from shared.reading.retrieves import retrieve_json


@dataclass
class Report:
    """What to show, and what is wrong."""

    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def verify(session: Session, outcome: JobOutcome, objects_dir: Path) -> Report:
    """Compare what the query kept with what the retrieve asked for, what arrived, and what is on disk."""
    report = Report()
    query = query_head(session, outcome.query_id)
    counts = query["counts"]
    report.lines.append(
        f"Query     {query['status']}: {counts['found']} studies found, {counts['kept']} kept "
        f"in {query['finds']} C-FINDs"
    )
    report.lines += [f"  {kind:<7} {number} studies" for kind, number in counts["by_type"].items()]
    if query["status"] != "completed" or not counts["kept"]:
        report.problems.append(f"query: {query['status']} {query['failure']} {query['detail']}".rstrip())
    if outcome.retrieve_id is None:
        report.problems.append("there was no retrieve")
    else:
        _retrieve(session, outcome.retrieve_id, objects_dir, report)
    return report


def _retrieve(session: Session, retrieve_id: str, objects_dir: Path, report: Report) -> None:
    retrieve = retrieve_json(session, retrieve_id)
    counts = retrieve["counts"]
    report.lines.append(
        f"Retrieve  {retrieve['status']}: {counts['asked']} objects asked, {counts['arrived']} arrived"
    )
    if retrieve["status"] != "completed" or not counts["asked"]:
        report.problems.append(f"retrieve: {retrieve['status']} {retrieve['failure']} {retrieve['detail']}")
    if counts["asked"] != counts["arrived"]:
        report.problems.append(f"{counts['asked'] - counts['arrived']} objects did not arrive")
    rows = session.execute(
        select(RetrieveObject.sop_instance_uid, StoredObject.path, StoredObject.size_bytes)
        .outerjoin(StoredObject, StoredObject.sop_instance_uid == RetrieveObject.sop_instance_uid)
        .where(RetrieveObject.job_id == retrieve_id, RetrieveObject.state == "arrived")
    ).all()
    absent = [row for row in rows if not row.path or not _is_file(objects_dir / row.path)]
    report.lines.append(f"Store     {len(rows) - len(absent)} of {len(rows)} objects are on disk")
    report.problems += [f"{row.sop_instance_uid} is not on disk" for row in absent[:10]]
    if len(rows) != counts["arrived"]:
        report.problems.append(f"the ledger has {len(rows)} rows of arrived objects")


def _is_file(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
