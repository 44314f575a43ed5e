"""Commands and events: what may be asked of the services and what they tell.

Commands order, events report. Each class carries its CloudEvents `type`; a change that an old consumer would
not understand gets a new type (`.v2`) beside the old one.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.contract.envelope import Identifier

NodeReference = Annotated[
    int | str, Field(description="A node's numeric id or its name.", union_mode="left_to_right")
]
UidText = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=64)]
Text = Annotated[str, Field(max_length=1000)]

JobKind = Literal["query", "retrieve"]
JobStatus = Literal["queued", "running", "completed", "incomplete", "failed", "cancelled"]
ENDED: frozenset[str] = frozenset({"completed", "incomplete", "failed", "cancelled"})

JobPriority = Literal["interactive", "background"]
INTERACTIVE: JobPriority = "interactive"
BACKGROUND: JobPriority = "background"
Priority = Annotated[
    JobPriority,
    Field(description="background: nobody waits for it, so others go before."),
]


Round = Annotated[int, Field(ge=0, description="How often the job was asked again before.")]


class Payload(BaseModel):
    """The data of one message."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    TYPE: ClassVar[str]


class Command(Payload):
    """A message that asks for work; `ROUTING_KEY` is where it goes in the exchange of commands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ROUTING_KEY: ClassVar[str]


class EchoNodes(Command):
    """Test nodes with C-ECHO, side by side."""

    TYPE: ClassVar[str] = "doseqr.command.echo.v1"
    ROUTING_KEY: ClassVar[str] = "echo"

    nodes: list[NodeReference] = Field([], max_length=1000, description="Empty: every node.")


class RunQuery(Command):
    """Find the dose objects of a remote node; the command's id becomes the job's id."""

    TYPE: ClassVar[str] = "doseqr.command.query.v1"
    ROUTING_KEY: ClassVar[str] = "query"

    remote: NodeReference
    store: NodeReference
    criteria: dict[str, Any] = Field(description="See the schema of criteria.")
    requested_by: Annotated[str, Field(max_length=128)] = ""
    retrieve: bool = Field(False, description="Retrieve what was kept as soon as the query has ended.")
    priority: Priority = INTERACTIVE


class RunRetrieve(Command):
    """Have the kept objects of an ended query sent to its store; the command's id becomes the job's id."""

    TYPE: ClassVar[str] = "doseqr.command.retrieve.v1"
    ROUTING_KEY: ClassVar[str] = "retrieve"

    query_id: Identifier
    types: list[Annotated[str, Field(max_length=8)]] = Field(
        [], max_length=16, description="Only studies of these types; empty: all."
    )
    study_instance_uids: list[UidText] = Field(
        [], max_length=10000, description="Only these studies; empty: all."
    )
    requested_by: Annotated[str, Field(max_length=128)] = ""
    priority: Priority = INTERACTIVE


class CancelJob(Command):
    """End a query or retrieve; what was found or has arrived stays."""

    TYPE: ClassVar[str] = "doseqr.command.cancel.v1"
    ROUTING_KEY: ClassVar[str] = "cancel"

    job_id: Identifier
    requested_by: Annotated[str, Field(max_length=128)] = ""


class ProfileNode(Command):
    """Find out what a remote node can do, with a few careful C-FINDs, or forget what is known of it."""

    TYPE: ClassVar[str] = "doseqr.command.profile.v1"
    ROUTING_KEY: ClassVar[str] = "profile"

    node: NodeReference
    measure: bool = Field(True, description="Ask the node.")
    forget: bool = Field(False, description="Forget before what is known.")
    requested_by: Annotated[str, Field(max_length=128)] = ""


class AskAgain(Command):
    """Ask again for what is missing of an ended query or retrieve; a retrieve anew, with the command's id."""

    TYPE: ClassVar[str] = "doseqr.command.again.v1"
    ROUTING_KEY: ClassVar[str] = "again"

    job_id: Identifier
    requested_by: Annotated[str, Field(max_length=128)] = ""


class ObjectReference(BaseModel):
    """One object by its three UIDs."""

    model_config = ConfigDict(frozen=True)

    study_instance_uid: UidText
    series_instance_uid: UidText
    sop_instance_uid: UidText
    sop_class_uid: UidText | None = None


class RegisterObjects(Command):
    """Make objects of another store known, so that queries do not ask for them again."""

    TYPE: ClassVar[str] = "doseqr.command.objects.register.v1"
    ROUTING_KEY: ClassVar[str] = "objects.register"

    objects: list[ObjectReference] = Field(min_length=1, max_length=1000)


class RunTask(Command):
    """The services' own: work on one task of a job. No part of the public contract."""

    TYPE: ClassVar[str] = "doseqr.task.v1"
    ROUTING_KEY: ClassVar[str] = "task"

    job_id: Identifier
    task_id: int


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
    counts: dict[str, Any]
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
    """A job ended, in the way that `status` says."""

    NAME: ClassVar[str] = "ended"

    job_id: Identifier
    kind: JobKind
    status: JobStatus
    counts: dict[str, Any]
    failure: str = Field("", max_length=64, description="A stable code where the status is failed.")
    detail: Text = ""
    round: Round = 0


class Completed(JobEnded):
    """Everything was answered, or everything arrived."""

    TYPE: ClassVar[str] = "doseqr.event.completed.v1"
    NAME: ClassVar[str] = "completed"


class Incomplete(JobEnded):
    """Something is missing; the job says what and why."""

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


class NodeStatus(Event):
    """How one node answered a C-ECHO."""

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


class EchoCompleted(Event):
    """All nodes of an echo command have answered or not."""

    TYPE: ClassVar[str] = "doseqr.event.echo.completed.v1"
    NAME: ClassVar[str] = "completed"

    echo_id: Identifier
    results: list[NodeStatus]


class NodeProfiled(Event):
    """What is known of a remote node after a profile command; `outcome` says how the node answered."""

    TYPE: ClassVar[str] = "doseqr.event.node.profiled.v1"
    NAME: ClassVar[str] = "profiled"

    command_id: Identifier
    node_id: int
    node: str
    ok: bool
    outcome: str
    detail: Text = ""
    requests: int = Field(0, description="C-FINDs that were sent.")
    profile: dict[str, Any] = Field(description="Each field and its value; null: not measured.")


class StoredObject(ObjectReference):
    """One object that is safely on disk."""

    transfer_syntax_uid: str = ""
    path: str = Field("", description="Below the folder of objects of the store.")
    size_bytes: int = 0


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


class WorkerHeartbeat(Event):
    """A worker lives; every ten seconds, and `stopping` once at its end."""

    TYPE: ClassVar[str] = "doseqr.event.worker.heartbeat.v1"
    NAME: ClassVar[str] = "heartbeat"

    service: str
    worker: str
    state: Literal["running", "stopping"] = "running"


ENDINGS: dict[str, type[JobEnded]] = {
    "completed": Completed,
    "incomplete": Incomplete,
    "failed": Failed,
    "cancelled": Cancelled,
}
