"""All tables, by the service that owns (alone writes) them; importing this makes the metadata complete."""

from __future__ import annotations

from shared.database.models.base import Base, JobRow, TaskRow
from shared.database.models.control import EarlyOrder
from shared.database.models.echo import NodeCheck
from shared.database.models.handover import HandoverBatch, HandoverMark, HandoverObject
from shared.database.models.limits import NodeBudget, NodeLease
from shared.database.models.notification import (
    NotificationAddress,
    NotificationCause,
    NotificationDelivery,
    NotificationEvent,
    NotificationMark,
)
from shared.database.models.query import (
    FoldedIdentifier,
    NodeDay,
    NodeProfile,
    NodeStudy,
    Query,
    QueryFind,
    QueryObject,
    QuerySeries,
    QueryStudy,
    QueryTask,
    RetentionRun,
    Tally,
)
from shared.database.models.retrieve import (
    Retrieve,
    RetrieveCommitment,
    RetrieveMove,
    RetrieveObject,
    RetrieveTask,
)
from shared.database.models.schedule import LongList, LongListPart, Schedule, ScheduleRun
from shared.database.models.store import CommitmentReport, ReportSummary, StoredObject
from shared.database.models.web import (
    ApiRequest,
    ApiToken,
    AuditEntry,
    Comparison,
    Node,
    RecoveryCode,
    User,
)

__all__ = [
    "ApiRequest",
    "ApiToken",
    "AuditEntry",
    "Base",
    "CommitmentReport",
    "Comparison",
    "EarlyOrder",
    "FoldedIdentifier",
    "HandoverBatch",
    "HandoverMark",
    "HandoverObject",
    "JobRow",
    "LongList",
    "LongListPart",
    "Node",
    "NodeBudget",
    "NodeCheck",
    "NodeDay",
    "NodeLease",
    "NodeProfile",
    "NodeStudy",
    "NotificationAddress",
    "NotificationCause",
    "NotificationDelivery",
    "NotificationEvent",
    "NotificationMark",
    "Query",
    "QueryFind",
    "QueryObject",
    "QuerySeries",
    "QueryStudy",
    "QueryTask",
    "RecoveryCode",
    "ReportSummary",
    "RetentionRun",
    "Retrieve",
    "RetrieveCommitment",
    "RetrieveMove",
    "RetrieveObject",
    "RetrieveTask",
    "Schedule",
    "ScheduleRun",
    "StoredObject",
    "Tally",
    "TaskRow",
    "User",
]
