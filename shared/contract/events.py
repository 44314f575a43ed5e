"""Events: what the services publish.

Each class carries its CloudEvents `type`; a change that an old consumer would not understand gets a new type
(`.v2`) beside the old one.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.contract.envelope import Identifier
from shared.contract.json_types import JsonDocument, JsonObject
from shared.contract.text import (
    ClaimedTask,
    JobKind,
    JobStatus,
    Payload,
    Round,
    StoredObject,
    StoreState,
    Text,
)


class Event(Payload):
    """A message that reports; `NAME` ends its routing key `<kind>.<NAME>.<job id>`."""

    NAME: ClassVar[str]


class Accepted(Event):
    """A command was understood and is now a job."""

    TYPE: ClassVar[str] = "doseqr.event.accepted.v1"
    NAME: ClassVar[str] = "accepted"

    job_id: Identifier
    kind: JobKind
    status: JobStatus = "queued"
    round: Round = 0


class Rejected(Event):
    """A command could not be understood or done: which field, and why."""

    TYPE: ClassVar[str] = "doseqr.event.rejected.v1"
    NAME: ClassVar[str] = "rejected"

    command_id: str = Field("", max_length=256, description="Empty if it could not be read.")
    command_type: str = Field("", max_length=256)
    field: str = Field("", max_length=256, description="Empty: the message as a whole.")
    problem: Text


class Progress(Event):
    """How a job stands; at most four a second for each job."""

    TYPE: ClassVar[str] = "doseqr.event.progress.v1"
    NAME: ClassVar[str] = "progress"

    job_id: Identifier
    kind: JobKind
    status: JobStatus
    counts: JsonDocument
    note: Text = Field("", description="What the job waits for, if it waits.")


class StudySummary(BaseModel):
    """One decided study, without its series."""

    model_config = ConfigDict(frozen=True)

    study_instance_uid: str
    type: str | None
    decision: str
    reason: str


class StudiesDecided(Event):
    """Studies of a query that were decided."""

    TYPE: ClassVar[str] = "doseqr.event.studies.v1"
    NAME: ClassVar[str] = "studies"

    job_id: Identifier
    studies: list[StudySummary]


class JobEnded(Event):
    """A job ended, in the way that `status` names."""

    NAME: ClassVar[str] = "ended"

    job_id: Identifier
    kind: JobKind
    status: JobStatus
    counts: JsonDocument
    failure: str = Field("", max_length=64, description="A stable code where the status is failed.")
    detail: Text = ""
    round: Round = 0
    retrieve_id: str | None = Field(
        None,
        max_length=64,
        exclude_if=lambda value: value is None,
        description="Of a query with `retrieve`: the retrieve that follows; empty: none follows.",
    )
    verification: str | None = Field(
        None,
        max_length=16,
        exclude_if=lambda value: value is None,
        description="Of a retrieve: the weakest proof that any arrival rests on: receipts, commitment, find, "
        "or reported (by the remote node alone); empty: nothing arrived.",
    )


class Completed(JobEnded):
    """Everything was returned, or everything arrived."""

    TYPE: ClassVar[str] = "doseqr.event.completed.v1"
    NAME: ClassVar[str] = "completed"


class Incomplete(JobEnded):
    """Something is missing; the job names what and why."""

    TYPE: ClassVar[str] = "doseqr.event.incomplete.v1"
    NAME: ClassVar[str] = "incomplete"


class Failed(JobEnded):
    """Nothing came of it."""

    TYPE: ClassVar[str] = "doseqr.event.failed.v1"
    NAME: ClassVar[str] = "failed"


class Cancelled(JobEnded):
    """Somebody ended it."""

    TYPE: ClassVar[str] = "doseqr.event.cancelled.v1"
    NAME: ClassVar[str] = "cancelled"

    command_id: str | None = Field(
        None,
        max_length=64,
        exclude_if=lambda value: value is None,
        description="The command that cancelled it.",
    )
    cancelled_by: str | None = Field(
        None,
        max_length=128,
        exclude_if=lambda value: value is None,
        description="`requested_by` of that command.",
    )


class Paused(Event):
    """A job is paused, or was before; the first pause stands."""

    TYPE: ClassVar[str] = "doseqr.event.paused.v1"
    NAME: ClassVar[str] = "paused"

    job_id: Identifier
    kind: JobKind
    status: JobStatus
    command_id: Identifier
    paused_by: str = Field("", max_length=128)
    paused_at: str = Field("", max_length=40, description="RFC 3339.")


class Resumed(Event):
    """A job is not paused any more, or was not; it may still wait for a paused node."""

    TYPE: ClassVar[str] = "doseqr.event.resumed.v1"
    NAME: ClassVar[str] = "resumed"

    job_id: Identifier
    kind: JobKind
    status: JobStatus
    command_id: Identifier
    note: Text = Field("", description="What the job waits for, if it waits.")


class Raised(Event):
    """The priority of a job is raised, or was before; the first command stands."""

    TYPE: ClassVar[str] = "doseqr.event.raised.v1"
    NAME: ClassVar[str] = "raised"

    job_id: Identifier
    kind: JobKind
    status: JobStatus
    command_id: Identifier
    raised_by: str = Field("", max_length=128)
    raised_at: str = Field("", max_length=40, description="RFC 3339.")


class StatusRead(Event):
    """How a job stands, as `doseqr show --json` prints it without studies."""

    TYPE: ClassVar[str] = "doseqr.event.job.status.v1"
    NAME: ClassVar[str] = "status"

    job_id: Identifier
    kind: JobKind
    command_id: Identifier
    job: JsonDocument = Field(description="Its lists hold 100 entries at most; `left_out` counts the rest.")


class ResultRead(Event):
    """A page of a job's result; `next` requests the page after it, and is empty in the last one."""

    TYPE: ClassVar[str] = "doseqr.event.job.result.v1"
    NAME: ClassVar[str] = "result"

    job_id: Identifier
    kind: JobKind
    command_id: Identifier
    status: JobStatus
    round: Round = 0
    studies: list[JsonDocument] = Field(
        [], description="Of a query: with series, and objects decided singly."
    )
    objects: list[JsonDocument] = Field([], description="Of a retrieve: each expected object and its state.")
    missing: list[JsonDocument] = Field([], description="Of a query: windows and studies without a response.")
    next: str = Field("", max_length=256)


class NodePaused(Event):
    """A node is paused: no job uses it."""

    TYPE: ClassVar[str] = "doseqr.event.node.paused.v1"
    NAME: ClassVar[str] = "paused"

    command_id: Identifier
    node_id: int
    node: str
    paused_by: str = Field("", max_length=128)
    paused_at: str = Field("", max_length=40, description="RFC 3339.")


class NodeResumed(Event):
    """A node is not paused any more, or was not."""

    TYPE: ClassVar[str] = "doseqr.event.node.resumed.v1"
    NAME: ClassVar[str] = "resumed"

    command_id: Identifier
    node_id: int
    node: str


class NodeStatus(Event):
    """How one node responded to a C-ECHO."""

    TYPE: ClassVar[str] = "doseqr.event.node.status.v1"
    NAME: ClassVar[str] = "status"

    echo_id: Identifier
    node_id: int
    node: str
    kind: Literal["remote", "store"]
    ok: bool
    rtt_ms: float | None
    outcome: str
    detail: Text = ""

    def shown(self) -> JsonObject:
        """Return what people and programs are shown of it."""
        names = ("node", "kind", "ok", "rtt_ms", "outcome", "detail")
        return {name: getattr(self, name) for name in names}


class EchoCompleted(Event):
    """All nodes of an echo command have responded or not."""

    TYPE: ClassVar[str] = "doseqr.event.echo.completed.v1"
    NAME: ClassVar[str] = "completed"

    echo_id: Identifier
    results: list[NodeStatus]


class NodeProfiled(Event):
    """What is known of a remote node after a profile command; `outcome` names how the node responded."""

    TYPE: ClassVar[str] = "doseqr.event.node.profiled.v1"
    NAME: ClassVar[str] = "profiled"

    command_id: Identifier
    node_id: int
    node: str
    ok: bool
    outcome: str
    detail: Text = ""
    requests: int = Field(0, description="C-FINDs that were sent.")
    profile: JsonDocument = Field(description="Each field and its value; null: not measured.")


class ObjectsStored(Event):
    """Objects that arrived at a store and are safe; importers pick them up, retrieves count them."""

    TYPE: ClassVar[str] = "doseqr.event.objects.stored.v1"
    NAME: ClassVar[str] = "stored"

    store_ae_title: str
    objects: list[StoredObject] = Field(max_length=1000)


class ObjectsRegistered(Event):
    """An `objects.register` command was done."""

    TYPE: ClassVar[str] = "doseqr.event.objects.registered.v1"
    NAME: ClassVar[str] = "registered"

    command_id: Identifier
    objects: int = Field(description="How many were made known, new or not.")


class HandoverRetried(Event):
    """A `handover.retry` command was done; the hand-over itself follows."""

    TYPE: ClassVar[str] = "doseqr.event.handover.retried.v1"
    NAME: ClassVar[str] = "retried"

    command_id: Identifier
    batches: int = Field(description="How many are handed over anew; they had been given up before.")


class WorkerHeartbeat(Event):
    """A worker lives; every ten seconds, and `stopping` once at its end."""

    TYPE: ClassVar[str] = "doseqr.event.worker.heartbeat.v1"
    NAME: ClassVar[str] = "heartbeat"

    service: str
    worker: str
    state: Literal["running", "stopping"] = "running"
    drain: Literal["draining", "drained"] | None = Field(
        None, exclude_if=lambda drain: drain is None, description="Absent where it takes tasks."
    )
    store: StoreState | None = Field(
        None, exclude_if=lambda store: store is None, description="Of the store service alone."
    )


class WorkerStatus(Event):
    """How a worker stands, after a command to it; after a `drain` once more when it is drained."""

    TYPE: ClassVar[str] = "doseqr.event.worker.status.v1"
    NAME: ClassVar[str] = "status"

    command_id: Identifier
    service: str
    worker: str
    state: Literal["running", "draining", "drained"]
    takes_tasks: bool = Field(description="False also for services without tasks: store and web.")
    tasks: list[ClaimedTask] = Field([], description="Those in hand.")
    versions: dict[str, str]
    started_at: str = Field(description="RFC 3339.")
    log_level: str
    log_level_until: str = Field("", description="When it falls back (RFC 3339); empty: it stays.")


EVENTS: tuple[type[Event], ...] = (
    Accepted,
    Rejected,
    Progress,
    StudiesDecided,
    Completed,
    Incomplete,
    Failed,
    Cancelled,
    Paused,
    Resumed,
    Raised,
    StatusRead,
    ResultRead,
    NodePaused,
    NodeResumed,
    NodeStatus,
    EchoCompleted,
    NodeProfiled,
    ObjectsStored,
    ObjectsRegistered,
    HandoverRetried,
    WorkerHeartbeat,
    WorkerStatus,
)
ENDINGS: dict[str, type[JobEnded]] = {
    "completed": Completed,
    "incomplete": Incomplete,
    "failed": Failed,
    "cancelled": Cancelled,
}
