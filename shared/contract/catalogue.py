"""All messages of the public contract."""

from __future__ import annotations

from shared.contract.messages import (
    Accepted,
    AskAgain,
    CancelJob,
    Cancelled,
    Command,
    Completed,
    EchoCompleted,
    EchoNodes,
    Event,
    Failed,
    Incomplete,
    NodeProfiled,
    NodeStatus,
    ObjectsRegistered,
    ObjectsStored,
    ProfileNode,
    Progress,
    RegisterObjects,
    Rejected,
    RunQuery,
    RunRetrieve,
    StudiesDecided,
    WorkerHeartbeat,
)

COMMANDS: tuple[type[Command], ...] = (
    EchoNodes,
    RunQuery,
    RunRetrieve,
    CancelJob,
    ProfileNode,
    AskAgain,
    RegisterObjects,
)

EVENTS: tuple[type[Event], ...] = (
    Accepted,
    Rejected,
    Progress,
    StudiesDecided,
    Completed,
    Incomplete,
    Failed,
    Cancelled,
    NodeStatus,
    EchoCompleted,
    NodeProfiled,
    ObjectsStored,
    ObjectsRegistered,
    WorkerHeartbeat,
)
