"""Why a study is kept or not: its decisions in words, and the matches on which they rest."""

from __future__ import annotations

from typing import TypedDict

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.clock import iso
from shared.contract.json_types import JsonDocument, JsonObject
from shared.contract.reasons import sentence
from shared.contract.results import ObjectResult
from shared.database.models.query import Query, QueryFind, QueryObject, QuerySeries, QueryStudy
from shared.database.models.retrieve import Retrieve, RetrieveObject
from shared.identifiers import parse_uid
from shared.reading.jobs import Job
from shared.reading.query_json import object_json, series_json

#: A study that no slice returned; a code of this view only, since there is no row to carry it.
NOT_RETURNED = "not_returned"


class ExplainedObject(ObjectResult):
    """An object that was decided by itself, and why."""

    sentence: str


class ExplainedSeries(TypedDict):
    """A series, and why it is kept or not."""

    series_instance_uid: str
    modality: str | None
    decision: str
    reason: str
    note: str
    whole: bool
    instance_count: int | None
    objects: list[ExplainedObject]
    sentence: str
    description: str | None
    station_name: str | None
    series_number: int | None


class ReturnedAttributes(TypedDict):
    """What the PACS returned of the study; None where it did not return the attribute."""

    modalities: list[str] | None
    description: str | None
    station_name: str | None
    study_date: str | None
    series_count: int | None
    instance_count: int | None


class FindJson(TypedDict):
    """A C-FIND on which the decision rests."""

    level: str
    status_code: int | None
    matches: int
    duration_ms: int
    error: str
    asked_at: str
    keys: JsonObject


class Arrival(TypedDict):
    """An object, or a series of unknown objects, that a retrieve requested."""

    retrieve: str
    series_instance_uid: str
    sop_instance_uid: str
    state: str
    asked: int
    arrived_at: str | None
    reason: str | None
    sentence: str
    detail: str


class _Judgement(TypedDict):
    state: str
    type: str | None
    decision: str | None
    reason: str | None
    note: str
    sentence: str
    answered: ReturnedAttributes | None
    series: list[ExplainedSeries]
    finds: list[FindJson]
    arrivals: list[Arrival]


class Explanation(_Judgement):
    """Why a study is kept or not."""

    job: str
    query: str
    study_instance_uid: str


def why(session: Session, job: Job, study_instance_uid: str) -> Explanation:
    """Explain one study of a query, or of the query that a retrieve acts on.

    Raises:
        InvalidInputError: the study's UID is malformed.
    """
    uid = str(parse_uid("study", study_instance_uid))
    query_id = job.query_id if isinstance(job, Retrieve) else job.id
    query = session.get(Query, query_id)
    study = session.get(QueryStudy, (query_id, uid))
    judgement = _not_returned(query) if study is None else _judgement(session, query_id, study)
    return {"job": job.id, "query": query_id, "study_instance_uid": uid, **judgement}


def _judgement(session: Session, query_id: str, study: QueryStudy) -> _Judgement:
    uid = study.study_instance_uid
    return {
        "state": study.state,
        "type": study.type,
        "decision": study.decision or None,
        "reason": study.reason or None,
        "note": study.note,
        "sentence": _study_sentence(study),
        "answered": {
            "modalities": study.modalities,
            "description": study.description,
            "station_name": study.station_name,
            "study_date": study.study_date,
            "series_count": study.series_count,
            "instance_count": study.instance_count,
        },
        "series": _series(session, query_id, uid),
        "finds": _finds(session, query_id, study),
        "arrivals": _arrivals(session, query_id, uid),
    }


def _not_returned(query: Query | None) -> _Judgement:
    text = "The PACS did not return this study for any window of this query."
    if query is not None and query.slices_complete < query.slices_total:
        text += (
            f" {query.slices_total - query.slices_complete} of {query.slices_total} windows are not fully"
            " returned; it may be in one of them."
        )
    return {
        "state": NOT_RETURNED,
        "type": None,
        "decision": None,
        "reason": NOT_RETURNED,
        "note": "",
        "sentence": text,
        "answered": None,
        "series": [],
        "finds": [],
        "arrivals": [],
    }


def _study_sentence(study: QueryStudy) -> str:
    if study.reason:
        text = sentence(study.reason, study.note or None)
        return f"{text} {study.detail}".strip() if study.state == "missing" else text
    return "Its turn has not come yet." if study.state in ("found", "examining") else study.detail


def _series(session: Session, query_id: str, uid: str) -> list[ExplainedSeries]:
    objects: dict[str, list[ExplainedObject]] = {}
    for row in session.scalars(
        select(QueryObject)
        .where(QueryObject.job_id == query_id, QueryObject.study_instance_uid == uid)
        .order_by(QueryObject.sop_instance_uid)
    ):
        entry: ExplainedObject = {**object_json(row), "sentence": sentence(row.reason)}
        objects.setdefault(row.series_instance_uid, []).append(entry)
    rows = session.scalars(
        select(QuerySeries)
        .where(QuerySeries.job_id == query_id, QuerySeries.study_instance_uid == uid)
        .order_by(QuerySeries.series_number, QuerySeries.series_instance_uid)
    )
    return [
        {
            **series_json(row, []),
            "objects": objects.get(row.series_instance_uid, []),
            "sentence": sentence(row.reason, row.note or None),
            "description": row.description,
            "station_name": row.station_name,
            "series_number": row.series_number,
        }
        for row in rows
    ]


def _finds(session: Session, query_id: str, study: QueryStudy) -> list[FindJson]:
    tasks = [task_id for task_id in (study.found_by, study.task_id) if task_id is not None]
    rows = session.scalars(
        select(QueryFind)
        .where(QueryFind.job_id == query_id, QueryFind.task_id.in_(tasks))
        .order_by(QueryFind.id)
    )
    return [
        {
            "level": row.level,
            "status_code": row.status_code,
            "matches": row.matches,
            "duration_ms": row.duration_ms,
            "error": row.error,
            "asked_at": iso(row.asked_at),
            "keys": row.keys,
        }
        for row in rows
        if _speaks_of(row.keys, study.study_instance_uid)
    ]


def _speaks_of(keys: JsonDocument, uid: str) -> bool:
    """Return whether a C-FIND was for this study; one that names no study was for all."""
    named = keys.get("study_instance_uid") or keys.get("study_instance_uids")
    if not named:
        return True
    return uid in ([named] if isinstance(named, str) else named)


def _arrivals(session: Session, query_id: str, uid: str) -> list[Arrival]:
    rows = session.scalars(
        select(RetrieveObject)
        .join(Retrieve, Retrieve.id == RetrieveObject.job_id)
        .where(Retrieve.query_id == query_id, RetrieveObject.study_instance_uid == uid)
        .order_by(Retrieve.requested_at, RetrieveObject.series_instance_uid, RetrieveObject.sop_instance_uid)
    )
    return [
        {
            "retrieve": row.job_id,
            "series_instance_uid": row.series_instance_uid,
            "sop_instance_uid": row.sop_instance_uid,
            "state": row.state,
            "asked": row.asked,
            "arrived_at": iso(row.arrived_at),
            "reason": row.reason or None,
            "sentence": sentence(row.reason),
            "detail": row.detail,
        }
        for row in rows
    ]
