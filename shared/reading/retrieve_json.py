"""A retrieve as JSON (spec section 9), and a job of either kind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Generic, TypedDict, TypeVar

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from shared.contract.json_types import JsonObject
from shared.contract.messages import JobKind
from shared.contract.reasons import Reason
from shared.contract.results import JobLife, MissingObject, RetrieveCounts
from shared.database.models.query import Query
from shared.database.models.retrieve import Retrieve, RetrieveCommitment, RetrieveObject
from shared.database.models.store import HEADERS, WHOLE, StoredObject
from shared.dose.summary import SummaryJson
from shared.reading.job_json import life
from shared.reading.jobs import Job, UnknownJobError
from shared.reading.query_json import QueryJson, query_json
from shared.reading.store.handovers import HandoverJson, handover_of
from shared.reading.summaries import PAGE, ReportEntry, UnreadCounts, report_counts, summaries

#: How it is known what arrived, in words.
ARRIVAL_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "receipts": "from the store's own receipts",
        "commitment": "by the store node's storage commitment",
        "find": "by C-FIND at the store node",
        "reported": "by the PACS's word only",
    }
)

#: States of objects that did not come, once the retrieve has ended.
NOT_ARRIVED = ("failed", "missing")


MissingT = TypeVar("MissingT")
SummariesT = TypeVar("SummariesT")


class CommitmentCounts(TypedDict):
    """Requests for storage commitment, and objects."""

    requests: int
    committed: int
    #: Arrived as far as is reported.
    not_confirmed: int


class _RetrieveDocument(JobLife, Generic[MissingT, SummariesT]):
    id: str
    kind: JobKind
    query: str
    counts: RetrieveCounts
    missing: MissingT
    selection: JsonObject
    content: str
    verification: str
    commitment: CommitmentCounts | None
    summaries: SummariesT
    unread: UnreadCounts | None
    handover: HandoverJson | None


RetrieveJson = _RetrieveDocument[list[MissingObject], list[ReportEntry[SummaryJson]]]
#: Its lists may be long: they are read as they are written.
_Streamed = _RetrieveDocument[Iterator[MissingObject], Iterator[ReportEntry[SummaryJson]]]


def retrieve_json(session: Session, job_id: str) -> RetrieveJson:
    """Return the whole retrieve.

    Raises:
        UnknownJobError: there is no retrieve with this id.
    """
    document = _document(session, _retrieve(session, job_id))
    return {**document, "missing": list(document["missing"]), "summaries": list(document["summaries"])}


def retrieve_json_chunks(session: Session, job_id: str) -> Iterator[str]:
    """Yield the text of the JSON object; the lists in it an item at a time.

    Raises:
        UnknownJobError: there is no retrieve with this id.
    """
    separator = "{"
    for name, value in _document(session, _retrieve(session, job_id)).items():
        yield f"{separator}{json.dumps(name)}: "
        if isinstance(value, Iterator):
            yield from _array_chunks(value)
        else:
            yield json.dumps(value)
        separator = ", "
    yield "}"


def _array_chunks(items: Iterator[object]) -> Iterator[str]:
    separator = "["
    for item in items:
        yield separator + json.dumps(item)
        separator = ", "
    yield "[]" if separator == "[" else "]"


def _retrieve(session: Session, job_id: str) -> Retrieve:
    retrieve = session.get(Retrieve, job_id)
    if retrieve is None:
        raise UnknownJobError("retrieve", f"there is no retrieve {job_id}")
    return retrieve


def _document(session: Session, retrieve: Retrieve) -> _Streamed:
    fields = life(retrieve)
    return {
        "id": retrieve.id,
        "kind": "retrieve",
        "query": retrieve.query_id,
        "status": fields["status"],
        "counts": retrieve_counts(session, retrieve),
        "missing": _missing(session, retrieve.id),
        **fields,
        "selection": retrieve.selection,
        "content": retrieve.content,
        "verification": retrieve.verification,
        "commitment": commitment_of(session, retrieve.id),
        "summaries": summaries(session, retrieve.id),
        "unread": report_counts(session, retrieve.id).unread,
        "handover": handover_of(session, retrieve.id),
    }


def retrieve_counts(session: Session, retrieve: Retrieve) -> RetrieveCounts:
    """Return the counts of a retrieve, and what the PACS itself reported so far.

    Of an uncounted series the number of objects is unknown: it counts as one, so `asked` is a lower bound.
    """
    # A row without a SOP Instance UID stands for a series of which the PACS only returns how many it has.
    objects = case(
        (RetrieveObject.sop_instance_uid == "", func.coalesce(RetrieveObject.announced, 1)), else_=1
    )
    rows = session.execute(
        select(RetrieveObject.state, func.sum(objects))
        .where(RetrieveObject.job_id == retrieve.id)
        .group_by(RetrieveObject.state)
    )
    by_state = {state: int(number) for state, number in rows}
    uncounted = select(func.count()).where(
        RetrieveObject.job_id == retrieve.id,
        RetrieveObject.sop_instance_uid == "",
        func.coalesce(RetrieveObject.announced, 0) == 0,
    )
    return {
        "asked": retrieve.asked,
        "arrived": retrieve.arrived,
        "failed": by_state.get("failed", 0),
        "missing": by_state.get("missing", 0),
        "fewer_than_announced": retrieve.fewer_than_announced,
        "headers": _headers(session, retrieve),
        "reported_completed": retrieve.reported_completed,
        "reported_warning": retrieve.reported_warning,
        "reported_failed": retrieve.reported_failed,
        "uncounted_series": session.scalar(uncounted) or 0,
    }


def _headers(session: Session, retrieve: Retrieve) -> int:
    """Return how many objects that arrived are stored as headers now."""
    if retrieve.content == WHOLE:
        return 0
    row = RetrieveObject
    stored = (
        select(func.count())
        .select_from(row)
        .join(StoredObject, StoredObject.sop_instance_uid == row.sop_instance_uid)
        .where(row.job_id == retrieve.id, row.state == "arrived", StoredObject.content == HEADERS)
    )
    return session.scalar(stored) or 0


def commitment_of(session: Session, job_id: str) -> CommitmentCounts | None:
    """Return the result of storage commitment with the store node; None if it was not requested."""
    requests = session.scalar(
        select(func.count()).select_from(RetrieveCommitment).where(RetrieveCommitment.job_id == job_id)
    )
    row = RetrieveObject
    committed = func.count().filter(row.committed_in != "")
    unconfirmed = func.count().filter(row.reason == Reason.NOT_CONFIRMED.value, row.state == "arrived")
    counts = session.execute(select(committed, unconfirmed).where(row.job_id == job_id)).one()
    if not requests and not any(counts):
        return None
    return {"requests": requests or 0, "committed": counts[0], "not_confirmed": counts[1]}


def missing_objects(session: Session, job_id: str) -> list[MissingObject]:
    """Return the objects that never came, each with the reason."""
    return list(_missing(session, job_id))


def _missing(session: Session, job_id: str) -> Iterator[MissingObject]:
    statement = (
        select(RetrieveObject)
        .where(RetrieveObject.job_id == job_id, RetrieveObject.state.in_(NOT_ARRIVED))
        .order_by(
            RetrieveObject.study_instance_uid,
            RetrieveObject.series_instance_uid,
            RetrieveObject.sop_instance_uid,
        )
        .execution_options(yield_per=PAGE)
    )
    for row in session.scalars(statement):
        yield {
            "study_instance_uid": row.study_instance_uid,
            "series_instance_uid": row.series_instance_uid,
            "sop_instance_uid": row.sop_instance_uid,
            "reason": row.reason,
            "detail": row.detail,
            "state": row.state,
        }


def job_json(session: Session, job: Job) -> QueryJson | RetrieveJson:
    """Return a job of either kind."""
    return query_json(session, job.id) if isinstance(job, Query) else retrieve_json(session, job.id)
