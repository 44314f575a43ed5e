"""Commands: the work that may be requested of the services.

Each class carries its CloudEvents `type`; a change that an old consumer would not understand gets a new type
(`.v2`) beside the old one.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, StrictBool, StrictInt, WithJsonSchema

from shared.contract.criteria import TYPE_ORDER
from shared.contract.criteria_fields import any_case, whole
from shared.contract.envelope import Identifier
from shared.contract.json_types import JsonDocument
from shared.contract.text import (
    INTERACTIVE,
    MAX_ROW_ID,
    Content,
    NodeReference,
    ObjectReference,
    Payload,
    Priority,
    UidText,
)

#: Who wants it, as it stands in the job and in the audit trail.
Requester = Annotated[str, Field(max_length=128)]

_TYPE_SCHEMA = {"type": "string", "maxLength": 8, "pattern": whole(any_case(TYPE_ORDER))}


class Command(Payload):
    """A message that requests work; `ROUTING_KEY` is where it goes in the exchange of commands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ROUTING_KEY: ClassVar[str]
    #: The exchange to which it goes.
    EXCHANGE: ClassVar[str] = "commands"


class JobCommand(Command):
    """A command about a job, in somebody's name."""

    job_id: Identifier
    requested_by: Requester = ""


class NodeCommand(Command):
    """A command about a node, in somebody's name."""

    node: NodeReference
    requested_by: Requester = ""


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
    criteria: JsonDocument = Field(description="See the schema of criteria.")
    requested_by: Requester = ""
    retrieve: StrictBool = Field(False, description="Retrieve what was kept as soon as the query has ended.")
    priority: Priority = INTERACTIVE


class RunRetrieve(Command):
    """Have the kept objects of an ended query sent to its store; the command's id becomes the job's id."""

    TYPE: ClassVar[str] = "doseqr.command.retrieve.v1"
    ROUTING_KEY: ClassVar[str] = "retrieve"

    query_id: Identifier
    types: list[Annotated[str, Field(max_length=8), WithJsonSchema(_TYPE_SCHEMA)]] = Field(
        [], max_length=16, description="Only studies of these types; empty: all."
    )
    study_instance_uids: list[UidText] = Field(
        [], max_length=10000, description="Only these studies; empty: all."
    )
    content: Content | None = Field(
        None,
        exclude_if=lambda content: content is None,
        description="headers: without pixels what is kept because of its header, where the store is DoseQR's "
        "own; absent: as the remote node is set up.",
    )
    requested_by: Requester = ""
    priority: Priority = INTERACTIVE


class CancelJob(JobCommand):
    """End a query or retrieve; what was found or has arrived stays."""

    TYPE: ClassVar[str] = "doseqr.command.cancel.v1"
    ROUTING_KEY: ClassVar[str] = "cancel"


class PauseJob(JobCommand):
    """Let a query or retrieve rest until it is resumed: it sends nothing more, and nothing of it fails."""

    TYPE: ClassVar[str] = "doseqr.command.pause.v1"
    ROUTING_KEY: ClassVar[str] = "pause"


class ResumeJob(JobCommand):
    """Let a paused query or retrieve go on where it was."""

    TYPE: ClassVar[str] = "doseqr.command.resume.v1"
    ROUTING_KEY: ClassVar[str] = "resume"


class RaiseJob(JobCommand):
    """Let the tasks of a query or retrieve go before those of the other jobs of its node, until it ends."""

    TYPE: ClassVar[str] = "doseqr.command.raise.v1"
    ROUTING_KEY: ClassVar[str] = "raise"


class PauseNode(NodeCommand):
    """Let all jobs wait that need a node, until it is resumed; a C-ECHO still tests it."""

    TYPE: ClassVar[str] = "doseqr.command.node.pause.v1"
    ROUTING_KEY: ClassVar[str] = "node.pause"


class ResumeNode(NodeCommand):
    """Let the jobs go on that wait for a paused node."""

    TYPE: ClassVar[str] = "doseqr.command.node.resume.v1"
    ROUTING_KEY: ClassVar[str] = "node.resume"


class RequestStatus(Command):
    """Publish how a job stands now: for whoever was away, or joins late."""

    TYPE: ClassVar[str] = "doseqr.command.status.v1"
    ROUTING_KEY: ClassVar[str] = "status"

    job_id: Identifier


class RequestResult(Command):
    """Publish a page of a job's result: studies, objects, and what is missing, each with its reason."""

    TYPE: ClassVar[str] = "doseqr.command.result.v1"
    ROUTING_KEY: ClassVar[str] = "result"

    job_id: Identifier
    after: str = Field(
        "", max_length=256, description="The `next` of the page before; empty: the first page."
    )
    limit: Annotated[int, Field(ge=1, le=1000, description="Studies or objects of a page, at most.")] = 200


class ProfileNode(Command):
    """Find out what a remote node can do, with a few careful C-FINDs, or forget what is known of it."""

    TYPE: ClassVar[str] = "doseqr.command.profile.v1"
    ROUTING_KEY: ClassVar[str] = "profile"

    node: NodeReference
    measure: StrictBool = Field(True, description="Send requests to the node.")
    forget: StrictBool = Field(False, description="Forget before what is known.")
    requested_by: Requester = ""


class AskAgain(JobCommand):
    """Request again what is missing of an ended query or retrieve; a retrieve anew, with the command's id."""

    TYPE: ClassVar[str] = "doseqr.command.again.v1"
    ROUTING_KEY: ClassVar[str] = "again"


class RegisterObjects(Command):
    """Make objects of another store known, so that queries do not request them again."""

    TYPE: ClassVar[str] = "doseqr.command.objects.register.v1"
    ROUTING_KEY: ClassVar[str] = "objects.register"

    objects: list[ObjectReference] = Field(min_length=1, max_length=1000)


class RetryHandover(Command):
    """Hand over anew what an importer did not take: the objects of one retrieve, or all."""

    TYPE: ClassVar[str] = "doseqr.command.handover.retry.v1"
    ROUTING_KEY: ClassVar[str] = "handover.retry"

    job_id: Identifier | None = None
    requested_by: Requester = ""


LogLevelName = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class ControlCommand(Command):
    """A command to the workers themselves. Each takes a copy, so it goes to the exchange of events."""

    EXCHANGE: ClassVar[str] = "events"

    service: Literal["echo", "query", "retrieve", "store", "web"] | None = Field(
        None, description="Only workers of this service."
    )
    worker: str = Field(
        "", max_length=128, description="Only this worker, by the name in its heartbeats; empty: all."
    )
    expires_s: Annotated[
        StrictInt, Field(ge=1, le=3600, description="Seconds after its `time` from which it is passed over.")
    ] = 60
    requested_by: Requester = ""


class PingWorkers(ControlCommand):
    """Have workers report what they are and what they do now."""

    TYPE: ClassVar[str] = "doseqr.command.worker.ping.v1"
    ROUTING_KEY: ClassVar[str] = "control.ping"


class DrainWorkers(ControlCommand):
    """Let workers take no more tasks and finish those in hand; they report once more when none is left."""

    TYPE: ClassVar[str] = "doseqr.command.worker.drain.v1"
    ROUTING_KEY: ClassVar[str] = "control.drain"

    end: StrictBool = Field(False, description="End the process when it is drained.")


class ResumeWorkers(ControlCommand):
    """Let drained workers take tasks again."""

    TYPE: ClassVar[str] = "doseqr.command.worker.resume.v1"
    ROUTING_KEY: ClassVar[str] = "control.resume"


class SetLogLevel(ControlCommand):
    """Change the level of the log of workers for a while; then it falls back to the configured one."""

    TYPE: ClassVar[str] = "doseqr.command.worker.log.v1"
    ROUTING_KEY: ClassVar[str] = "control.log"

    level: LogLevelName
    for_s: Annotated[StrictInt, Field(ge=1, le=86400, description="Seconds after which it falls back.")] = 900


class RunTask(Command):
    """The services' own: work on one task of a job. Not part of the public contract."""

    TYPE: ClassVar[str] = "doseqr.task.v1"
    ROUTING_KEY: ClassVar[str] = "task"

    job_id: Identifier
    task_id: Annotated[int, Field(ge=1, le=MAX_ROW_ID)]


COMMANDS: tuple[type[Command], ...] = (
    EchoNodes,
    RunQuery,
    RunRetrieve,
    CancelJob,
    PauseJob,
    ResumeJob,
    RaiseJob,
    PauseNode,
    ResumeNode,
    RequestStatus,
    RequestResult,
    ProfileNode,
    AskAgain,
    RegisterObjects,
    RetryHandover,
    PingWorkers,
    DrainWorkers,
    ResumeWorkers,
    SetLogLevel,
)
