"""Dose reports of which nobody has read the content, and the summaries of those that were read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest

from sqlalchemy import select

from shared.database.models import ReportSummary, StoredObject
from shared.database.models.store import STORE
from shared.database.session import Database
from shared.database.upsert import insert_missing
from shared.dose.concepts import READ_CLASSES
from shared.dose.summary import SummaryJson


@dataclass(frozen=True, slots=True)
class UnreadReport:
    """A dose report on disk; its path is below the folder of objects."""

    sop_instance_uid: str
    path: str


@dataclass(frozen=True, slots=True)
class ReadReport:
    """What was read of a report: its summary, or in one word why there is none."""

    sop_instance_uid: str
    summary: SummaryJson | None
    unreadable: str
    read_at: datetime


def unread_reports(database: Database, limit: int) -> list[UnreadReport]:
    """Return reports that nobody has read, at most `limit`: the newest and the oldest in turn.

    So neither a stream of new reports nor a heap of old ones keeps the others waiting.

    Raises:
        DatabaseAwayError: the database cannot be reached.
    """
    is_read = select(ReportSummary.sop_instance_uid).where(
        ReportSummary.sop_instance_uid == StoredObject.sop_instance_uid
    )
    unread = select(StoredObject.sop_instance_uid, StoredObject.path).where(
        StoredObject.source == STORE,
        StoredObject.sop_class_uid.in_(READ_CLASSES),
        ~is_read.exists(),
    )
    received_at, uid = StoredObject.received_at, StoredObject.sop_instance_uid
    with database.read_outside() as session:
        newest = session.execute(unread.order_by(received_at.desc(), uid.desc()).limit(limit // 2)).all()
        oldest = session.execute(unread.order_by(received_at, uid).limit(limit // 2)).all()
    in_turn = (row for pair in zip_longest(newest, oldest) for row in pair if row is not None)
    return [UnreadReport(*row) for row in dict.fromkeys(map(tuple, in_turn))]


def record_summaries(database: Database, reports: Sequence[ReadReport]) -> None:
    """Keep what was read; a report that another process has read meanwhile stays as it is.

    Raises:
        DatabaseAwayError: nothing was kept.
    """
    if not reports:
        return
    rows = [
        {
            "sop_instance_uid": report.sop_instance_uid,
            "unreadable": report.unreadable,
            "summary": report.summary,
            "read_at": report.read_at,
        }
        for report in reports
    ]
    with database.write() as session:
        insert_missing(session, ReportSummary, rows)
