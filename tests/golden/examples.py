"""One example of every message; the golden files hold how it is written on the wire."""

from __future__ import annotations

from datetime import UTC, datetime

from shared.broker.port import Message
from shared.contract.messages import (
    Accepted,
    AskAgain,
    CancelJob,
    Cancelled,
    ClaimedTask,
    Command,
    Completed,
    DrainWorkers,
    EchoCompleted,
    EchoNodes,
    Event,
    Failed,
    HandoverRetried,
    Incomplete,
    NodePaused,
    NodeProfiled,
    NodeResumed,
    NodeStatus,
    ObjectReference,
    ObjectsRegistered,
    ObjectsStored,
    Paused,
    PauseJob,
    PauseNode,
    PingWorkers,
    ProfileNode,
    Progress,
    Raised,
    RaiseJob,
    RegisterObjects,
    Rejected,
    RequestResult,
    RequestStatus,
    ResultRead,
    Resumed,
    ResumeJob,
    ResumeNode,
    ResumeWorkers,
    RetryHandover,
    RunQuery,
    RunRetrieve,
    SetLogLevel,
    StatusRead,
    StoredObject,
    StudiesDecided,
    StudySummary,
    WorkerHeartbeat,
    WorkerStatus,
)
from shared.messaging.codec import command_message, event_message

NOW = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
JOB = "4f1c2f6e1a7b4f6d9f9b3a7f2f6f0c11"
COUNTS = {
    "found": 12,
    "examined": 12,
    "kept": 9,
    "missing": 0,
    "objects": 31,
    "slices": {"total": 4, "complete": 4, "failed": 0},
    "by_type": {"CT": 7, "DX": 2},
}
STATUS = NodeStatus(
    echo_id=JOB,
    node_id=1,
    node="pacs",
    kind="remote",
    ok=True,
    rtt_ms=3.4,
    outcome="answers",
)
ENDED = {"job_id": JOB, "kind": "query", "counts": COUNTS}

COMMANDS: tuple[Command, ...] = (
    EchoNodes(nodes=[1, "doseqr"]),
    RunQuery(
        remote="pacs",
        store="doseqr",
        criteria={"types": ["CT", "DX"], "date_from": "2026-02-01", "date_until": "2026-02-28"},
        requested_by="physicist",
        retrieve=True,
    ),
    RunRetrieve(query_id=JOB, types=["CT"], requested_by="physicist"),
    CancelJob(job_id=JOB, requested_by="physicist"),
    PauseJob(job_id=JOB, requested_by="physicist"),
    ResumeJob(job_id=JOB, requested_by="physicist"),
    RaiseJob(job_id=JOB, requested_by="physicist"),
    PauseNode(node="pacs", requested_by="physicist"),
    ResumeNode(node="pacs", requested_by="physicist"),
    RequestStatus(job_id=JOB),
    RequestResult(job_id=JOB, after="study 2.25.1"),
    ProfileNode(node="pacs", requested_by="physicist"),
    AskAgain(job_id=JOB, requested_by="physicist"),
    RetryHandover(job_id=JOB, requested_by="physicist"),
    RegisterObjects(
        objects=[
            ObjectReference(
                study_instance_uid="2.25.1",
                series_instance_uid="2.25.2",
                sop_instance_uid="2.25.3",
                sop_class_uid="1.2.840.10008.5.1.4.1.1.88.67",
            )
        ]
    ),
    PingWorkers(requested_by="physicist"),
    DrainWorkers(service="query", worker="query@host:17", end=True),
    ResumeWorkers(service="query"),
    SetLogLevel(level="DEBUG", for_s=600),
)

#: Event, topic, subject.
EVENTS: tuple[tuple[Event, str, str], ...] = (
    (Accepted(job_id=JOB, kind="query"), "query", JOB),
    (
        Rejected(
            command_id=JOB,
            command_type=RunQuery.TYPE,
            field="data.criteria.date_from",
            problem="2026-03-02 is after date_until, 2026-03-01",
        ),
        "command",
        JOB,
    ),
    (Progress(job_id=JOB, kind="query", status="running", counts=COUNTS), "query", JOB),
    (
        StudiesDecided(
            job_id=JOB,
            studies=[StudySummary(study_instance_uid="2.25.1", type="CT", decision="keep", reason="rdsr")],
        ),
        "query",
        JOB,
    ),
    (Completed(status="completed", **ENDED), "query", JOB),
    (Incomplete(status="incomplete", **ENDED), "query", JOB),
    (
        Failed(status="failed", failure="remote_unreachable", detail="connection refused", **ENDED),
        "query",
        JOB,
    ),
    (Cancelled(status="cancelled", **ENDED), "query", JOB),
    (
        Paused(
            job_id=JOB,
            kind="query",
            status="running",
            command_id="pause-1",
            paused_by="physicist",
            paused_at="2026-02-03T04:05:06Z",
        ),
        "query",
        JOB,
    ),
    (Resumed(job_id=JOB, kind="query", status="running", command_id="resume-1"), "query", JOB),
    (
        Raised(
            job_id=JOB,
            kind="query",
            status="running",
            command_id="raise-1",
            raised_by="physicist",
            raised_at="2026-02-03T04:05:06Z",
        ),
        "query",
        JOB,
    ),
    (
        StatusRead(job_id=JOB, kind="query", command_id="status-1", job={"id": JOB, "status": "running"}),
        "query",
        JOB,
    ),
    (
        ResultRead(
            job_id=JOB,
            kind="query",
            command_id="result-1",
            status="completed",
            studies=[{"study_instance_uid": "2.25.1", "decision": "keep", "reason": "rdsr", "series": []}],
            next="missing 0",
        ),
        "query",
        JOB,
    ),
    (
        NodePaused(
            command_id=JOB, node_id=1, node="pacs", paused_by="physicist", paused_at="2026-02-03T04:05:06Z"
        ),
        "node",
        JOB,
    ),
    (NodeResumed(command_id=JOB, node_id=1, node="pacs"), "node", JOB),
    (STATUS, "echo", JOB),
    (EchoCompleted(echo_id=JOB, results=[STATUS]), "echo", JOB),
    (
        NodeProfiled(
            command_id=JOB,
            node_id=1,
            node="pacs",
            ok=True,
            outcome="answers",
            requests=14,
            profile={"modalities_matched": True, "series_list": 50, "cap": None},
        ),
        "profile",
        JOB,
    ),
    (
        ObjectsStored(
            store_ae_title="DOSEQR",
            objects=[
                StoredObject(
                    study_instance_uid="2.25.1",
                    series_instance_uid="2.25.2",
                    sop_instance_uid="2.25.3",
                    sop_class_uid="1.2.840.10008.5.1.4.1.1.88.67",
                    transfer_syntax_uid="1.2.840.10008.1.2.1",
                    path="2.25.1/2.25.2/2.25.3.dcm",
                    size_bytes=7812,
                )
            ],
        ),
        "objects",
        "",
    ),
    (ObjectsRegistered(command_id=JOB, objects=1), "objects", JOB),
    (HandoverRetried(command_id=JOB, batches=2), "handover", JOB),
    (WorkerHeartbeat(service="query", worker="query@host:17"), "worker", ""),
    (
        WorkerStatus(
            command_id=JOB,
            service="query",
            worker="query@host:17",
            state="draining",
            takes_tasks=False,
            tasks=[ClaimedTask(job_id=JOB, task_id=7, kind="slice", since="2026-02-03T04:05:06Z")],
            versions={"doseqr": "0.2.0"},
            started_at="2026-02-03T04:00:00Z",
            log_level="INFO",
        ),
        "worker",
        JOB,
    ),
)


def messages() -> dict[str, Message]:
    """Return every example as it travels, by the type of the message."""
    commands = {
        command.TYPE: command_message(command, source="/example", now=NOW, command_id=JOB)
        for command in COMMANDS
    }
    events = {
        event.TYPE: event_message(
            event, topic=topic, subject=subject, source="/doseqr/example", now=NOW, event_id="event-1"
        )
        for event, topic, subject in EVENTS
    }
    return commands | events
