"""The forms of the JSON results (spec section 9): what the readings return and the HTTP API describes."""

from __future__ import annotations

from typing import NotRequired

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from shared.contract.messages import JobKind, JobStatus

_CLOSED = ConfigDict(extra="forbid")


@with_config(_CLOSED)
class ObjectResult(TypedDict):
    """An object that was decided by itself."""

    sop_instance_uid: str
    sop_class_uid: str | None
    decision: str
    reason: str


@with_config(_CLOSED)
class SeriesResult(TypedDict):
    """A series of an examined study; `objects` are those that were decided one by one."""

    series_instance_uid: str
    modality: str | None
    decision: str
    reason: str
    note: str
    whole: bool
    instance_count: int | None
    objects: list[ObjectResult]


@with_config(_CLOSED)
class StudyResult(TypedDict):
    """A study; without a decision as long as nobody has decided it."""

    study_instance_uid: str
    type: str | None
    decision: str | None
    reason: str | None
    note: str
    state: str
    series: list[SeriesResult]


class JobLife(TypedDict):
    """What all jobs report of themselves."""

    status: JobStatus
    remote: str
    store: str
    requested_by: str
    requested_at: str | None
    started_at: str | None
    ended_at: str | None
    failure: str
    detail: str
    note: str
    next_try_at: str | None
    gives_up_at: str | None
    paused: bool
    paused_by: str
    paused_at: str | None
    priority: str
    raised: bool
    raised_by: str
    raised_at: str | None
    round: int


@with_config(_CLOSED)
class JobSummary(JobLife):
    """A job as lists show it; `query` is the query of a retrieve."""

    id: str
    kind: JobKind
    query: NotRequired[str]
    counts: dict[str, int]


@with_config(_CLOSED)
class QueryCounts(TypedDict):
    """Studies by type are the kept ones, by reason all that were decided."""

    found: int
    examined: int
    kept: int
    missing: int
    objects: int
    #: Whether more objects may come: of some series that are kept whole the PACS does not return the number.
    objects_at_least: bool
    by_type: dict[str, int]
    by_reason: dict[str, int]


@with_config(_CLOSED)
class SliceCounts(TypedDict):
    """Slices of a query."""

    total: int
    complete: int
    failed: int


@with_config(_CLOSED)
class QueryResult(JobLife):
    """A query; `missing` names the windows and studies that the PACS did not return."""

    id: str
    kind: JobKind
    criteria: dict[str, object]
    rules_version: int
    counts: QueryCounts
    slices: SliceCounts
    missing: list[dict[str, object]]
    finds: int
    retrieves: list[str]
    schedule: str | None
    studies: NotRequired[list[StudyResult]]


@with_config(_CLOSED)
class RetrieveCounts(TypedDict):
    """Objects of a retrieve, and what the PACS reported; `headers`: of which only the header is stored.

    `asked` falls only while `fewer_than_announced` rises: the PACS listed fewer, or some were here already.
    """

    asked: int
    arrived: int
    failed: int
    missing: int
    fewer_than_announced: int
    headers: int
    reported_completed: int
    reported_warning: int
    reported_failed: int
    uncounted_series: int


@with_config(_CLOSED)
class MissingObject(TypedDict):
    """An object that never came; without a SOP Instance UID: a series that the PACS did not list."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    reason: str
    detail: str
    state: str


@with_config(_CLOSED)
class RetrieveResult(JobLife):
    """A retrieve; `summaries` is an entry for each dose report that arrived at DoseQR's own store."""

    id: str
    kind: JobKind
    query: str
    counts: RetrieveCounts
    missing: list[MissingObject]
    selection: dict[str, object]
    content: str
    verification: str
    commitment: dict[str, int] | None
    summaries: list[dict[str, object]]
    unread: dict[str, int] | None
    handover: dict[str, object] | None


@with_config(_CLOSED)
class JobObject(TypedDict):
    """An object of a job: of a retrieve each that is expected, of a query each that was decided by itself.

    Without a SOP Instance UID: a series that the PACS did not list; `announced` is how many it has. `content`
    is what a retrieve wants of it: whole, or headers.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str | None
    state: str
    decision: str | None
    reason: str | None
    detail: str
    announced: int | None
    arrived_at: str | None
    content: str | None


@with_config(_CLOSED)
class StudyReasons(TypedDict):
    """Why a study is in a result or not, and the C-FINDs and arrivals on which that rests."""

    job: str
    query: str
    study_instance_uid: str
    state: str
    type: str | None
    decision: str | None
    reason: str | None
    note: str
    sentence: str
    answered: dict[str, object] | None
    series: list[dict[str, object]]
    finds: list[dict[str, object]]
    arrivals: list[dict[str, object]]


@with_config(_CLOSED)
class NodeResult(TypedDict):
    """A node; an empty group: for those alone who may use all nodes."""

    id: int
    kind: str
    name: str
    host: str
    port: int
    ae_title: str
    calling_ae_title: str
    max_associations: int
    requests_per_minute: int | None
    hours: str
    time_zone: str
    retrieve_by: str
    retrieve_content: str
    verify_by: str
    group: str
    tls: str
    tls_ca: str
    tls_certificate: str
    tls_key: str
    protocol: str
    web_url: str
    web_qido_url: str
    web_wado_url: str
    web_authentication: str
    web_user: str
    web_secret_file: str
    web_token_url: str
    web_scope: str
    web_timeout_s: int | None
    paused: bool
    paused_by: str
    paused_at: str | None


@with_config(_CLOSED)
class ProfileField(TypedDict):
    """One thing that is known of a node."""

    name: str
    label: str
    value: object
    measured: bool
    words: str
    meaning: str


@with_config(_CLOSED)
class ProfileResult(TypedDict):
    """What is known of a remote node at its present address."""

    node: str
    node_id: int
    address: str
    changed_at: str | None
    measured_at: str | None
    fields: list[ProfileField]


@with_config(_CLOSED)
class RunCounts(TypedDict):
    """What a run of a recurring query brought: studies, and objects of its retrieve."""

    found: int
    kept: int
    missing: int
    asked: int
    arrived: int


@with_config(_CLOSED)
class ScheduleRunResult(TypedDict):
    """A run of a recurring query: what it covers, its jobs, and what they brought.

    `status` is that of its jobs, `running` until they have ended, or `skipped`: there was nothing to cover.
    """

    due_at: str
    requested_by: str | None
    status: str
    detail: str
    began_at: str
    ended_at: str | None
    job: str | None
    retrieve: str | None
    window_from: str | None
    window_until: str | None
    days: list[dict[str, str]]
    late: list[dict[str, str]]
    counts: RunCounts


class ScheduleResult(TypedDict):
    """A recurring query; everything since its start is complete until its watermark."""

    id: int
    name: str
    remote: str
    store: str
    criteria: dict[str, object]
    retrieve: bool
    when: str
    time_zone: str
    start: str
    paused: bool
    owner: str
    created_at: str
    next_due_at: str | None
    run_requested_at: str | None
    watermark: str
    watermark_lag_s: int
    last_run: ScheduleRunResult | None


class HoleResult(TypedDict):
    """A window that was covered and is not complete; the next run covers it again."""

    window_from: str
    window_until: str


@with_config(_CLOSED)
class ScheduleDetails(ScheduleResult):
    """A recurring query with its last runs, the newest first."""

    holes: list[HoleResult]
    runs: list[ScheduleRunResult]


@with_config(_CLOSED)
class AuditRecord(TypedDict):
    """Who did what, and from where."""

    id: int
    at: str | None
    action: str
    user: str
    token: str
    remote_address: str
    details: dict[str, object]
