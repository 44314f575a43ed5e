"""Jobs: lists, results, events, and what may be done with one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Annotated, Literal

from flask import Response, request
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)
from sqlalchemy.orm import Session

from services.web.api import event_streams
from services.web.api.authentication import identity
from services.web.api.commands import publish, read_job, reference, taken
from services.web.api.keyset_page import Page, PageQuery, page, page_after, wrong_cursor
from services.web.api.operations import OperationResult, OperationTable
from services.web.api.problems import PREFIX, ProblemError, not_found, unavailable
from services.web.api.routes.queries import JobReference
from services.web.api.times import cursor_time, in_utc
from services.web.components import components
from shared.contract.envelope import valid_id
from shared.contract.messages import (
    ENDED,
    AskAgain,
    CancelJob,
    JobKind,
    JobStatus,
    PauseJob,
    RaiseJob,
    ResumeJob,
)
from shared.contract.reasons import Reason
from shared.contract.results import (
    JobObject,
    JobSummary,
    QueryResult,
    RetrieveResult,
    StudyReasons,
    StudyResult,
)
from shared.contract.text import MAX_ROW_ID
from shared.database.models import Query, Retrieve
from shared.nodes.nodes import find_node
from shared.reading.job_json import ListedJob, summary
from shared.reading.jobs import Job, get_job, kind_of
from shared.reading.lists.pages import JobFilter, StudyFilter, job_page, object_page, study_page
from shared.reading.lists.published_commands import published_kind
from shared.reading.query_json import query_head, query_json_chunks
from shared.reading.retrieve_json import retrieve_json_chunks
from shared.reading.traces.tree import JobTrace, job_trace
from shared.reading.why import why

table = OperationTable("jobs")

#: By which states the objects of a query and of a retrieve are chosen.
_QUERY_STATES = ("keep", "drop")
_RETRIEVE_STATES = ("expected", "asked", "arrived", "failed", "missing")
_REASONS = [reason.value for reason in Reason]

ShortText = Annotated[str, StringConstraints(max_length=128)]


def _known_reason(code: str) -> str:
    if code not in _REASONS:
        raise ValueError(f"must be one of {', '.join(_REASONS)}")
    return code


ReasonCode = Annotated[
    str, AfterValidator(_known_reason), WithJsonSchema({"type": "string", "enum": _REASONS})
]


class JobsQuery(PageQuery):
    """Which jobs."""

    kind: JobKind | None = None
    status: list[JobStatus] = Field([], description="May be given several times.")
    node: ShortText | None = Field(None, description="Id or name of the remote or store node.")
    requested_by: ShortText | None = None
    requested_from: AwareDatetime | None = Field(
        None, alias="from", description="Requested at this time or later, with its time zone."
    )
    requested_until: AwareDatetime | None = Field(
        None, alias="until", description="Requested at this time or before, with its time zone."
    )


class JobQuery(BaseModel):
    """How much of a job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    studies: bool = Field(True, description="With all studies of a query, which may be many.")


class StudiesQuery(PageQuery):
    """Which studies."""

    decision: Literal["keep", "drop"] | None = None
    type: Literal["CT", "MG", "FL", "DX", "NM", "SR"] | None = None
    reason: ReasonCode | None = Field(None, description="A reason code.")


class ObjectsQuery(PageQuery):
    """Which objects."""

    state: Literal["expected", "asked", "arrived", "failed", "missing", "keep", "drop"] | None = Field(
        None, description="State of a retrieve's objects; keep or drop for those of a query."
    )


@table.add("GET", "/jobs", scope="read", query=JobsQuery, result=Page[JobSummary])
def list_jobs(query: JobsQuery) -> object:
    """List queries and retrieves, the newest first."""
    key = query.key(str, str)
    after = (cursor_time(key[0]), key[1]) if key is not None else None
    with components().database.read() as session:
        node = find_node(session, query.node, field="node") if query.node is not None else None
        wanted = JobFilter(
            kind=query.kind,
            statuses=query.status,
            node_id=node.id if node is not None else None,
            requested_by=query.requested_by,
            requested_from=in_utc("from", query.requested_from),
            requested_until=in_utc("until", query.requested_until),
        )
        jobs = job_page(session, wanted, query.limit, after)
    last = (jobs[-1].requested_at.isoformat(), jobs[-1].id) if jobs else ()
    return page([summary(job) for job in jobs], query.limit, last)


@table.add("GET", "/jobs/{job}", scope="read", query=JobQuery, result=QueryResult | RetrieveResult)
def read_one_job(job: str, query: JobQuery) -> object:
    """Return a job with its result.

    A query comes with every study unless `studies=false`; it is sent as it is read, whatever its size.
    """
    database = components().database
    with database.read() as session:
        row = _job(session, job)
        if isinstance(row, Query) and not query.studies:
            return query_head(session, row.id)
    chunks_of = query_json_chunks if isinstance(row, Query) else retrieve_json_chunks

    def chunks() -> Iterator[str]:
        with database.read() as session:
            yield from chunks_of(session, row.id)
        yield "\n"

    return Response(chunks(), mimetype="application/json")


@table.add("GET", "/jobs/{job}/studies", scope="read", query=StudiesQuery, result=Page[StudyResult])
def list_studies(job: str, query: StudiesQuery) -> object:
    """List the studies of a query, or those of which a retrieve expects objects, with their decisions."""
    key = query.key(str)
    with components().database.read() as session:
        row = _job(session, job)
        is_retrieve = isinstance(row, Retrieve)
        wanted = StudyFilter(
            decision=query.decision,
            type=query.type,
            reason=query.reason,
            retrieve_id=row.id if is_retrieve else None,
        )
        query_id = row.query_id if isinstance(row, Retrieve) else row.id
        studies = study_page(session, query_id, wanted, query.limit, key[0] if key else "")
    return page(studies, query.limit, [studies[-1]["study_instance_uid"]] if studies else [])


@table.add("GET", "/jobs/{job}/objects", scope="read", query=ObjectsQuery, result=Page[JobObject])
def list_objects(job: str, query: ObjectsQuery) -> object:
    """List the objects of a job.

    Of a retrieve: each that is expected, and whether it has arrived. Of a query: each that was decided by
    itself; series that are kept whole are among the studies.
    """
    key = query.key(str, str, str)
    after = (key[0], key[1], key[2]) if key is not None else None
    with components().database.read() as session:
        row = _job(session, job)
        _require_state(row, query.state)
        objects = object_page(session, row, query.limit, after, query.state)
    last = objects[-1] if objects else None
    names = ("study_instance_uid", "series_instance_uid", "sop_instance_uid")
    return page(objects, query.limit, [last[name] for name in names] if last else [])  # type: ignore[literal-required]


@table.add("GET", "/jobs/{job}/events", scope="read", result=str, media_type="text/event-stream")
def follow_job(job: str) -> object:
    """Follow a job by server-sent events.

    `job` carries its summary, at first and after each change; `ended` the last one, and the stream ends. It
    also ends after ten minutes: connect again, the present state comes first.
    """
    with components().database.read() as session:
        row = _job(session, job)
    if request.method == "HEAD":
        return Response(mimetype="text/event-stream")
    slots, live = event_streams.slots(), components().live
    if not slots.take():
        raise unavailable("Too many streams are open now.", "Read the job from time to time instead.")
    stream = live.open((row.id,))
    if stream is None:
        slots.release()
        raise unavailable("Too many streams are open now.", "Read the job from time to time instead.")
    database = components().database

    def read() -> ListedJob | None:
        with database.read() as session:
            now = get_job(session, row.id)
            return summary(now) if now is not None else None

    def close() -> None:
        live.end(stream)
        slots.release()

    body = event_streams.job_events(stream, read, lambda state: state["status"] in ENDED)
    response = Response(body, mimetype="text/event-stream")
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(close)
    return response


@table.add("GET", "/jobs/{job}/studies/{study}/why", scope="read", result=StudyReasons)
def explain_study(job: str, study: str) -> object:
    """Explain why a study is in the result or is not, and on which responses of the PACS that rests."""
    with components().database.read() as session:
        return why(session, _job(session, job), study)


@table.add("GET", "/jobs/{job}/trace", scope="read", query=PageQuery, result=JobTrace)
def trace_job(job: str, query: PageQuery) -> object:
    """Show the way of a request, from its command to its objects.

    All jobs of the trace (a query, and its retrieves) with their counts, and a page of the tasks of this job,
    each with its requests to nodes. `next` is the address of the next page of tasks.
    """
    key = query.key(int)
    if key is not None and not 0 <= key[0] <= MAX_ROW_ID:
        raise wrong_cursor()
    with components().database.read() as session:
        trace = job_trace(session, _job(session, job), limit=query.limit, after=key[0] if key else 0)
    tasks = trace["tasks"]
    following = page_after([tasks[-1]["id"]]) if trace["next"] else None
    return {**trace, "next": following}


@table.add("POST", "/jobs/{job}/cancel", scope="import", result=JobReference, status=HTTPStatus.ACCEPTED)
def cancel_job(job: str) -> object:
    """End a job; what was found or has arrived stays. One that no worker has taken yet ends once it is."""
    return _order(CancelJob, job, "cancel", lambda found: found.status in ENDED)


@table.add("POST", "/jobs/{job}/pause", scope="import", result=JobReference, status=HTTPStatus.ACCEPTED)
def pause_job(job: str) -> object:
    """Let a job rest until it is resumed: it sends nothing more within two seconds, and nothing of it fails.

    Its status stays as it is; the job itself says that it is paused.
    """
    return _order(PauseJob, job, "pause", lambda found: found.pause is not None)


@table.add("POST", "/jobs/{job}/resume", scope="import", result=JobReference, status=HTTPStatus.ACCEPTED)
def resume_job(job: str) -> object:
    """Let a paused job go on where it was."""
    return _order(ResumeJob, job, "resume", lambda found: found.pause is None)


@table.add("POST", "/jobs/{job}/raise", scope="import", result=JobReference, status=HTTPStatus.ACCEPTED)
def raise_job(job: str) -> object:
    """Let a job go before all others of its node, until it has ended."""
    return _order(RaiseJob, job, "raise", lambda found: found.raised is not None)


def _order(
    order: type[CancelJob | PauseJob | ResumeJob | RaiseJob],
    job_id: str,
    action: str,
    is_done: Callable[[Job], bool],
) -> OperationResult:
    """Publish an order about a job that has not ended; it may not have begun either."""
    row = read_job(job_id) if valid_id(job_id) else None
    kind = _kind_of_unbegun(job_id) if row is None else kind_of(row)
    if row is not None and row.status in ENDED:
        raise ProblemError(HTTPStatus.CONFLICT, f"The job has ended already; it is {row.status}.")
    command = order(job_id=job_id, requested_by=identity().owner)
    command_id = publish(command, action, needs=(kind,), job_id=job_id)
    now = None
    if row is not None:
        now = taken(command_id, job_id, lambda job: job is None or job.status in ENDED or is_done(job))
    return OperationResult(reference(job_id, kind, now), location=f"{PREFIX}/jobs/{job_id}")


@table.add("POST", "/jobs/{job}/again", scope="import", result=JobReference, status=HTTPStatus.ACCEPTED)
def repeat_job(job: str) -> object:
    """Request again what is missing of an ended job.

    A query goes on under its id; what a retrieve misses is a new retrieve, whose id is returned.
    """
    row = _read(job)
    if row.status not in ENDED:
        raise ProblemError(HTTPStatus.CONFLICT, f"The job has not ended yet; it is {row.status}.")
    if row.status == "completed":
        raise ProblemError(HTTPStatus.CONFLICT, "Nothing is missing: the job is completed.")
    command = AskAgain(job_id=row.id, requested_by=identity().owner)
    command_id = publish(command, "again", needs=(kind_of(row),), job_id=row.id)
    goes_on = row.id if isinstance(row, Query) else command_id
    before = row.round

    def begun(found: Job | None) -> bool:
        return found is not None and (isinstance(found, Retrieve) or found.round > before)

    now = taken(command_id, goes_on, begun)
    return OperationResult(reference(goes_on, kind_of(row), now), location=f"{PREFIX}/jobs/{goes_on}")


def _job(session: Session, job_id: str) -> Job:
    found = get_job(session, job_id) if valid_id(job_id) else None
    if found is None:
        raise not_found("There is no job with this id; one just begun is there once a worker has taken it.")
    return found


def _require_state(job: Job, state: str | None) -> None:
    """Refuse a state that no object of this kind of job ever has."""
    kind, states = ("retrieve", _RETRIEVE_STATES) if isinstance(job, Retrieve) else ("query", _QUERY_STATES)
    if state is not None and state not in states:
        problem = f"state: of the objects of a {kind} it must be one of {', '.join(states)}"
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, problem, field="state")


def _read(job_id: str) -> Job:
    found = read_job(job_id) if valid_id(job_id) else None
    if found is None:
        raise not_found("There is no job with this id; one just begun is there once a worker has taken it.")
    return found


def _kind_of_unbegun(job_id: str) -> JobKind:
    """Return what a job will be of which only the command was published."""
    with components().database.read() as session:
        kind = published_kind(session, job_id, components().clock()) if valid_id(job_id) else None
    if kind is None:
        raise not_found("There is no job with this id.")
    return kind
