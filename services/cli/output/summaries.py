"""Jobs, and the decision about a study, as text for people at a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from services.cli.output.console import line
from shared.contract.reasons import sentence
from shared.contract.results import JobLife, MissingObject
from shared.database.models.query import Query
from shared.dicom.errors import dimse_status
from shared.reading.jobs import Job
from shared.reading.query_json import MissingSlice, MissingStudy, QueryHead, query_head
from shared.reading.retrieve_json import ARRIVAL_TEXTS, RetrieveJson, retrieve_json
from shared.reading.store.handovers import HandoverJson
from shared.reading.why import ExplainedObject, ExplainedSeries, Explanation, FindJson

#: Missing windows, studies or objects that are named; --json has all of them.
SHOWN = 20


def print_job(session: Session, job: Job) -> None:
    """Print a readable summary of a job."""
    if isinstance(job, Query):
        _query(query_head(session, job.id))
    else:
        _retrieve(retrieve_json(session, job.id))


def _query(head: QueryHead) -> None:
    counts, slices = head["counts"], head["slices"]
    line(f"Query {head['id']}: {head['status']}  ({head['remote']} to {head['store']})")
    _trouble(head)
    line(f"  slices    {slices['complete']} of {slices['total']} complete, {slices['failed']} failed")
    line(f"  studies   {counts['found']} found, {counts['examined']} examined, {counts['kept']} kept")
    bound = "at least " if counts["objects_at_least"] else ""
    line(f"  objects   {bound}{counts['objects']} to retrieve")
    for kind, number in counts["by_type"].items():
        line(f"  {kind:<9} {number}")
    for code, number in counts["by_reason"].items():
        line(f"  {number:>9}  {code}: {sentence(code)}")
    _missing(head["missing"])


def _retrieve(read: RetrieveJson) -> None:
    counts = read["counts"]
    line(f"Retrieve {read['id']}: {read['status']}  (of query {read['query']} to {read['store']})")
    _trouble(read)
    bound = "at least " if counts["uncounted_series"] else ""
    line(
        f"  objects   {bound}{counts['asked']} requested, {counts['arrived']} arrived, "
        f"{counts['failed']} failed, {counts['missing']} missing"
    )
    if counts["fewer_than_announced"]:
        line(
            f"            {counts['fewer_than_announced']} fewer than announced: not listed, or here already"
        )
    if read["content"] == "headers":
        line(f"  headers   {counts['headers']} of them without pixels, where the header carries the dose")
    if read["verification"]:
        line(f"  arrival   known {ARRIVAL_TEXTS.get(read['verification'], read['verification'])}")
    _handover(read["handover"])
    _missing(read["missing"])


def _handover(read: HandoverJson | None) -> None:
    if read is None:
        return
    counts = read["counts"]
    text = f"  importer  {counts['taken']} taken, {counts['waiting']} waiting, {counts['failed']} given up"
    line(text + (f". {read['detail']}" if read["detail"] else ""))


def _trouble(read: JobLife) -> None:
    if read["failure"]:
        line(f"  {read['failure']}: {read['detail'] or sentence(read['failure'])}")
    elif read["detail"]:
        line(f"  {read['detail']}")
    if read["note"]:
        line(f"  {read['note']}")


def _missing(missing: Sequence[MissingSlice | MissingStudy | MissingObject]) -> None:
    for entry in missing[:SHOWN]:
        line("  missing   " + ", ".join(f"{key} {value}" for key, value in entry.items() if value))
    if len(missing) > SHOWN:
        line(f"  missing   and {len(missing) - SHOWN} more; --json lists all")


def print_why(explanation: Explanation) -> None:
    """Print the study, its series and objects, the C-FINDs behind them, and what arrived."""
    line(f"Study {explanation['study_instance_uid']}: {_study_decision(explanation)}")
    if explanation["answered"]:
        returned = {key: value for key, value in explanation["answered"].items() if value is not None}
        line(
            "  the PACS returned: "
            + ", ".join(f"{key} {_value_text(value)}" for key, value in returned.items())
        )
    for series in explanation["series"]:
        line(f"  {series['modality'] or '?':<4} series {series['series_instance_uid']}: {_decision(series)}")
        for decided in series["objects"]:
            line(f"       object {decided['sop_instance_uid']}: {_decision(decided)}")
    for find in explanation["finds"]:
        outcome = f"{find['matches']} answers, {_final_status(find)}"
        line(f"  C-FIND {find['level']}: {outcome} at {find['asked_at']}")
    for arrival in explanation["arrivals"]:
        what = arrival["sop_instance_uid"] or f"series {arrival['series_instance_uid']}"
        line(f"  retrieve {arrival['retrieve']}: {what} {arrival['state']} {arrival['sentence']}".rstrip())


def _final_status(find: FindJson) -> str:
    status, error = dimse_status(find["status_code"], find["error"]), find["error"]
    if not status and not error.startswith("http_"):
        status = "no final response"
    return ", ".join(part for part in (status, error) if part)


def _study_decision(study: Explanation) -> str:
    decision = study["decision"] or study["state"]
    kind = f" as {study['type']}" if study["type"] and study["decision"] == "keep" else ""
    reason = f" ({study['reason']})" if study["reason"] else ""
    return f"{decision}{kind}{reason}. {study['sentence']}"


def _decision(entry: ExplainedSeries | ExplainedObject) -> str:
    reason = f" ({entry['reason']})" if entry["reason"] else ""
    return f"{entry['decision']}{reason}. {entry['sentence']}"


def _value_text(value: object) -> str:
    return "/".join(str(entry) for entry in value) if isinstance(value, list) else str(value)
