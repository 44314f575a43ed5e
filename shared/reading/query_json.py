"""A query as JSON (spec section 9), read page by page, so that 200,000 studies need little memory."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NotRequired, TextIO, TypedDict

from sqlalchemy import ColumnElement, Row, exists, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from shared.contract.json_types import JsonObject
from shared.contract.messages import JobKind
from shared.contract.results import (
    JobLife,
    ObjectResult,
    QueryCounts,
    SeriesResult,
    SliceCounts,
    StudyResult,
)
from shared.database.models.query import Query, QueryObject, QuerySeries, QueryStudy, QueryTask
from shared.database.models.retrieve import Retrieve
from shared.querying.payloads import (
    SLICE,
    AccessionSlice,
    SlicePayload,
    StudySlice,
    WindowSlice,
    read_slice,
    window_json,
)
from shared.querying.slices import Slice
from shared.reading.job_json import life
from shared.reading.jobs import UnknownJobError

#: Studies read at once.
PAGE = 500

# Columns, not entities: a third of the time for 200,000 studies.
_STUDY = (
    QueryStudy.study_instance_uid,
    QueryStudy.type,
    QueryStudy.decision,
    QueryStudy.reason,
    QueryStudy.note,
    QueryStudy.state,
)
_SERIES = (
    QuerySeries.study_instance_uid,
    QuerySeries.series_instance_uid,
    QuerySeries.modality,
    QuerySeries.decision,
    QuerySeries.reason,
    QuerySeries.note,
    QuerySeries.whole,
    QuerySeries.instance_count,
)
_OBJECT = (
    QueryObject.study_instance_uid,
    QueryObject.series_instance_uid,
    QueryObject.sop_instance_uid,
    QueryObject.sop_class_uid,
    QueryObject.decision,
    QueryObject.reason,
)


StudyRow = Row[str, str | None, str, str, str, str]
SeriesRow = Row[str, str, str | None, str, str, str, bool, int | None]
ObjectRow = Row[str, str, str, str | None, str, str]


class _NamedStudy(TypedDict, total=False):
    study_instance_uid: str
    accession_number: str


class MissingSlice(TypedDict):
    """A window, or a study named by its UID or accession number, whose search failed."""

    kind: Literal["slice"]
    code: str | None
    window: dict[str, str | None]
    study_instance_uid: NotRequired[str]
    accession_number: NotRequired[str]
    error: str
    detail: str


class MissingStudy(TypedDict):
    """A study that could not be examined."""

    kind: Literal["study"]
    study_instance_uid: str
    reason: str
    detail: str


class QueryHead(JobLife):
    """A query without its studies."""

    id: str
    kind: JobKind
    criteria: JsonObject
    rules_version: int
    counts: QueryCounts
    slices: SliceCounts
    missing: list[MissingSlice | MissingStudy]
    #: Number of C-FINDs.
    finds: int
    #: Ids of its retrieves.
    retrieves: list[str]
    #: Name of the recurring query of which it is a run.
    schedule: str | None


class QueryJson(QueryHead):
    """A whole query."""

    studies: list[StudyResult]


def query_json(session: Session, job_id: str) -> QueryJson:
    """Return the whole query.

    Raises:
        UnknownJobError: there is no query with this id.
    """
    return {**query_head(session, job_id), "studies": list(studies(session, job_id))}


def write_query_json(
    session: Session, job_id: str, out: TextIO, tail: Mapping[str, object] | None = None
) -> None:
    """Write the whole query as one JSON object; `tail` adds keys after its studies.

    Raises:
        UnknownJobError: there is no query with this id; nothing was written.
    """
    out.writelines(query_json_chunks(session, job_id, tail))


def query_json_chunks(
    session: Session, job_id: str, tail: Mapping[str, object] | None = None
) -> Iterator[str]:
    """Yield the text of the JSON object, a study at a time.

    Raises:
        UnknownJobError: there is no query with this id.
    """
    yield json.dumps(query_head(session, job_id))[:-1] + ', "studies": ['
    separator = ""
    for study in studies(session, job_id):
        yield separator + json.dumps(study)
        separator = ", "
    yield "]"
    for key, value in (tail or {}).items():
        yield f", {json.dumps(key)}: {json.dumps(value)}"
    yield "}"


def query_head(session: Session, job_id: str) -> QueryHead:
    """Return the query without its studies.

    Raises:
        UnknownJobError: there is no query with this id.
    """
    query = session.get(Query, job_id)
    if query is None:
        raise UnknownJobError("query", f"there is no query {job_id}")
    head = life(query)
    return {
        "id": query.id,
        "kind": "query",
        "status": head["status"],
        "remote": head["remote"],
        "store": head["store"],
        "criteria": query.criteria,
        "rules_version": query.rules_version,
        "counts": counts(session, query),
        "slices": {
            "total": query.slices_total,
            "complete": query.slices_complete,
            "failed": query.slices_failed,
        },
        "missing": list(missing(session, job_id)),
        **head,
        "finds": query.finds,
        "retrieves": list(
            session.scalars(
                select(Retrieve.id).where(Retrieve.query_id == job_id).order_by(Retrieve.requested_at)
            )
        ),
        "schedule": query.schedule_name or None,
    }


def counts(session: Session, query: Query) -> QueryCounts:
    """Return the counts of a query."""
    return {
        "found": query.studies_found,
        "examined": query.studies_examined,
        "kept": query.studies_kept,
        "missing": query.studies_missing,
        "objects": query.objects_kept,
        "objects_at_least": has_uncounted_series(session, query.id),
        "by_type": by_type(session, query.id),
        "by_reason": by_reason(session, query.id),
    }


def by_type(session: Session, job_id: str) -> dict[str, int]:
    """Return the number of kept studies of each type."""
    statement = (
        select(QueryStudy.type, func.count())
        .where(QueryStudy.job_id == job_id, QueryStudy.decision == "keep")
        .group_by(QueryStudy.type)
        .order_by(QueryStudy.type)
    )
    return {kind: number for kind, number in session.execute(statement) if kind}


def by_reason(session: Session, job_id: str, decision: str | None = None) -> dict[str, int]:
    """Return the number of decided studies for each reason; `decision` keep or drop narrows it."""
    statement = (
        select(QueryStudy.reason, func.count())
        .where(QueryStudy.job_id == job_id, QueryStudy.decision != "")
        .group_by(QueryStudy.reason)
        .order_by(QueryStudy.reason)
    )
    if decision is not None:
        statement = statement.where(QueryStudy.decision == decision)
    return {reason: number for reason, number in session.execute(statement) if reason}


def missing(session: Session, job_id: str) -> Iterator[MissingSlice | MissingStudy]:
    """Yield what is missing: windows that failed, then studies that could not be examined."""
    failed = (
        select(QueryTask)
        .where(QueryTask.job_id == job_id, QueryTask.state == "failed", QueryTask.kind == SLICE)
        .order_by(QueryTask.id)
    )
    for task in session.scalars(failed):
        yield _missing_slice(task, read_slice(task.payload))
    unjudged = (
        select(QueryStudy.study_instance_uid, QueryStudy.reason, QueryStudy.detail)
        .where(QueryStudy.job_id == job_id, QueryStudy.state == "missing")
        .order_by(QueryStudy.study_instance_uid)
    )
    for study_instance_uid, reason, detail in session.execute(unjudged):
        yield {
            "kind": "study",
            "study_instance_uid": study_instance_uid,
            "reason": reason,
            "detail": detail,
        }


def _missing_slice(task: QueryTask, part: SlicePayload) -> MissingSlice:
    window = window_json(part.window if isinstance(part, WindowSlice) else Slice())
    named: _NamedStudy = {}
    if isinstance(part, StudySlice):
        named = {"study_instance_uid": part.study_instance_uid}
    elif isinstance(part, AccessionSlice):
        named = {"accession_number": part.accession_number}
    code = window.pop("code")
    return {
        "kind": SLICE,
        "code": code,
        "window": window,
        **named,
        "error": task.error,
        "detail": task.detail,
    }


def studies(session: Session, job_id: str) -> Iterator[StudyResult]:
    """Yield each study with its series and single objects, in the order of their UIDs."""
    last = ""
    while True:
        page = session.execute(
            select(*_STUDY)
            .where(QueryStudy.job_id == job_id, QueryStudy.study_instance_uid > last)
            .order_by(QueryStudy.study_instance_uid)
            .limit(PAGE)
        ).all()
        if not page:
            return
        last = page[-1].study_instance_uid
        yield from with_series(session, job_id, page)


def with_series(
    session: Session, job_id: str, page: Sequence[StudyRow], *, sparse: bool = False
) -> Iterator[StudyResult]:
    """Yield the studies of some rows in the order of UIDs, each with its series and single objects.

    `sparse`: others, which a filter left out, may lie between them.
    """
    first, last = page[0].study_instance_uid, page[-1].study_instance_uid

    def among(column: InstrumentedAttribute[str]) -> ColumnElement[bool]:
        return (
            column.in_([study.study_instance_uid for study in page])
            if sparse
            else column.between(first, last)
        )

    objects: dict[tuple[str, str], list[ObjectResult]] = defaultdict(list)
    for row in session.execute(
        select(*_OBJECT)
        .where(QueryObject.job_id == job_id, among(QueryObject.study_instance_uid))
        .order_by(QueryObject.sop_instance_uid)
    ):
        objects[row.study_instance_uid, row.series_instance_uid].append(object_json(row))
    series: dict[str, list[SeriesResult]] = defaultdict(list)
    for entry in session.execute(
        select(*_SERIES)
        .where(QuerySeries.job_id == job_id, among(QuerySeries.study_instance_uid))
        .order_by(QuerySeries.series_number, QuerySeries.series_instance_uid)
    ):
        key = (entry.study_instance_uid, entry.series_instance_uid)
        series[entry.study_instance_uid].append(series_json(entry, objects.get(key, [])))
    for study in page:
        yield study_json(study, series.get(study.study_instance_uid, []))


def study_json(study: StudyRow, series: list[SeriesResult]) -> StudyResult:
    """Return one study, of a row with its columns; one that is not (yet) decided has no decision."""
    return {
        "study_instance_uid": study.study_instance_uid,
        "type": study.type,
        "decision": study.decision or None,
        "reason": study.reason or None,
        "note": study.note,
        "state": study.state,
        "series": series,
    }


def series_json(series: SeriesRow | QuerySeries, objects: list[ObjectResult]) -> SeriesResult:
    """Return one series; `objects` are those that were decided one by one."""
    return {
        "series_instance_uid": series.series_instance_uid,
        "modality": series.modality,
        "decision": series.decision,
        "reason": series.reason,
        "note": series.note,
        "whole": series.whole,
        "instance_count": series.instance_count,
        "objects": objects,
    }


def object_json(row: ObjectRow | QueryObject) -> ObjectResult:
    """Return one object that was decided by itself."""
    return {
        "sop_instance_uid": row.sop_instance_uid,
        "sop_class_uid": row.sop_class_uid,
        "decision": row.decision,
        "reason": row.reason,
    }


def has_uncounted_series(session: Session, query_id: str) -> bool:
    """Return whether a query keeps series whose number of objects the PACS does not return."""
    series = QuerySeries
    uncounted = exists().where(
        series.job_id == query_id,
        series.decision == "keep",
        series.whole,
        func.coalesce(series.instance_count, 0) == 0,
    )
    return bool(session.scalar(select(uncounted)))
