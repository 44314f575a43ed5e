"""Tables of the store service for handing over: batches, their objects, how far they reach."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from shared.database.models.base import Base
from shared.database.models.query import UID


class HandoverBatch(Base):
    """Objects that are handed over together; states: open, waiting, running, done, failed."""

    __tablename__ = "handover_batches"
    __table_args__ = (
        Index("ix_handover_batches_state_due", "state", "due_at"),
        Index("ix_handover_batches_job", "job_id"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    #: The retrieve that requested the objects; empty for objects that came by themselves.
    job_id: Mapped[str] = mapped_column(String(64), default="")
    #: The study of objects that came by themselves; empty otherwise.
    study_instance_uid: Mapped[str] = mapped_column(UID, default="")
    state: Mapped[str] = mapped_column(String(16))
    objects: Mapped[int] = mapped_column(Integer, default=0)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    created_at: Mapped[datetime]
    last_added_at: Mapped[datetime]
    #: When it is tried next.
    due_at: Mapped[datetime]
    tried_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    #: Why the last try failed: a code for programs, a sentence for people.
    reason: Mapped[str] = mapped_column(String(64), default="")
    detail: Mapped[str] = mapped_column(default="")


class HandoverObject(Base):
    """An object of a batch; the same bytes are handed over once, whatever becomes of the index."""

    __tablename__ = "handover_objects"
    __table_args__ = (Index("ix_handover_objects_batch", "batch_id"),)

    sop_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    batch_id: Mapped[str] = mapped_column(ForeignKey("handover_batches.id", ondelete="CASCADE"))
    study_instance_uid: Mapped[str] = mapped_column(UID)
    series_instance_uid: Mapped[str] = mapped_column(UID)
    sop_class_uid: Mapped[str] = mapped_column(UID, default="")
    path: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    #: What was handed over of it: whole, or headers.
    content: Mapped[str] = mapped_column(String(8), default="whole", server_default="whole")


class HandoverMark(Base):
    """One row: objects received before this moment were assigned to batches."""

    __tablename__ = "handover_marks"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    received_until: Mapped[datetime]
