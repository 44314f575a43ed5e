"""Tables that the store service owns: known objects, what reports hold, and reports on commitments."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.contract.json_types import JsonDocument
from shared.database.models.base import Base
from shared.database.models.query import UID

#: Sources of known objects: on disk here, or known to be elsewhere.
STORE, REGISTERED = "store", "registered"
#: What is kept of an object: all of it, or all but its bulk data (docs/headers.md).
WHOLE: Final = "whole"
HEADERS: Final = "headers"
#: Where it was on disk here until retention removed its file; it stays known.
REMOVED = "removed"


class StoredObject(Base):
    """An object that is known, by its source."""

    __tablename__ = "stored_objects"
    __table_args__ = (
        Index("ix_stored_objects_study", "study_instance_uid", "series_instance_uid"),
        Index("ix_stored_objects_unannounced", "announced_at", "received_at"),
        Index(
            "ix_stored_objects_headers",
            "study_instance_uid",
            sqlite_where=text("content = 'headers'"),
            postgresql_where=text("content = 'headers'"),
        ),
    )

    sop_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    series_instance_uid: Mapped[str] = mapped_column(UID)
    study_instance_uid: Mapped[str] = mapped_column(UID)
    sop_class_uid: Mapped[str] = mapped_column(UID, default="")
    transfer_syntax_uid: Mapped[str] = mapped_column(UID, default="")
    #: `STORE`, `REGISTERED` or `REMOVED`.
    source: Mapped[str] = mapped_column(String(16))
    #: Below the folder of objects; empty for registered ones.
    path: Mapped[str] = mapped_column(default="")
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    #: SHA-256 of the data set as received, to distinguish the same object from another with the same UID.
    sha256: Mapped[str] = mapped_column(String(64), default="")
    calling_ae_title: Mapped[str] = mapped_column(String(16), default="")
    #: First and last time that it was received or registered, and how often; 0 where it was found on disk.
    received_at: Mapped[datetime]
    last_received_at: Mapped[datetime] = mapped_column(index=True)
    received_count: Mapped[int] = mapped_column(Integer, default=1)
    #: Objects with this UID but other bytes, kept aside.
    conflicts: Mapped[int] = mapped_column(Integer, default=0)
    announced_at: Mapped[datetime | None]
    #: `WHOLE` or `HEADERS`.
    content: Mapped[str] = mapped_column(String(8), default=WHOLE, server_default=WHOLE)


class ReportSummary(Base):
    """What a dose report on disk holds (shared/dose); no row: it was not read yet."""

    __tablename__ = "report_summaries"

    sop_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    #: Empty where it was read; otherwise a code for why it could not be.
    unreadable: Mapped[str] = mapped_column(String(32), default="")
    summary: Mapped[JsonDocument | None]
    read_at: Mapped[datetime] = mapped_column(index=True)


class CommitmentReport(Base):
    """The report of a store node on a storage commitment, on its own association; the first one counts."""

    __tablename__ = "commitment_reports"

    transaction_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    calling_ae_title: Mapped[str] = mapped_column(String(16))
    #: SOP Instance UIDs, and the Failure Reason of each that failed.
    committed: Mapped[list[str]]
    failed: Mapped[JsonDocument]
    received_at: Mapped[datetime]
