"""Dose reports that were read before some time, and the summaries that replace theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update

from services.store.index.unread_reports import ReadReport
from shared.contract.json_types import JsonDocument
from shared.database.models import ReportSummary, StoredObject
from shared.database.models.store import STORE
from shared.database.session import Database


@dataclass(frozen=True, slots=True)
class EarlierReport:
    """A dose report that was read; its path is below the folder of objects."""

    sop_instance_uid: str
    path: str
    summary: JsonDocument | None
    unreadable: str
    read_at: datetime


@dataclass(frozen=True, slots=True)
class NumberOfReports:
    """Reports that were read before some time: on disk here, and of which only the summary is left."""

    on_disk: int
    without_file: int


def number_of_reports(database: Database, before: datetime) -> NumberOfReports:
    """Return how many reports were read before that time.

    Raises:
        DatabaseAwayError: the database cannot be reached.
    """
    with database.read() as session:
        read = session.scalar(
            select(func.count()).select_from(ReportSummary).where(ReportSummary.read_at < before)
        )
        on_disk = session.scalar(
            select(func.count())
            .select_from(ReportSummary)
            .join(StoredObject, _has_a_file())
            .where(ReportSummary.read_at < before)
        )
    return NumberOfReports(on_disk or 0, (read or 0) - (on_disk or 0))


def earlier_reports(database: Database, before: datetime, after_uid: str, limit: int) -> list[EarlierReport]:
    """Return the next reports on disk that were read before that time, in the order of their UIDs.

    Raises:
        DatabaseAwayError: the database cannot be reached.
    """
    uid = ReportSummary.sop_instance_uid
    columns = uid, StoredObject.path, ReportSummary.summary, ReportSummary.unreadable, ReportSummary.read_at
    page = (
        select(*columns)
        .join(StoredObject, _has_a_file())
        .where(ReportSummary.read_at < before, uid > after_uid)
        .order_by(uid)
        .limit(limit)
    )
    with database.read() as session:
        return [EarlierReport(*row) for row in session.execute(page)]


def replace_summaries(database: Database, replaced: Sequence[tuple[EarlierReport, ReadReport]]) -> None:
    """Put what was read in the place of what stood there; what a store has read meanwhile stays.

    Raises:
        DatabaseAwayError: nothing was replaced.
    """
    with database.write() as session:
        for earlier, report in replaced:
            session.execute(
                update(ReportSummary)
                .where(
                    ReportSummary.sop_instance_uid == earlier.sop_instance_uid,
                    ReportSummary.read_at == earlier.read_at,
                )
                .values(summary=report.summary, unreadable=report.unreadable, read_at=report.read_at)
            )


def _has_a_file() -> ColumnElement[bool]:
    return (StoredObject.sop_instance_uid == ReportSummary.sop_instance_uid) & (StoredObject.source == STORE)
