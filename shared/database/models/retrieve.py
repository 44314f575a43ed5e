"""Tables that the retrieve service owns: retrieves, their tasks, every C-MOVE, and the ledger of objects."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String, select
from sqlalchemy.orm import Mapped, MappedSQLExpression, column_property, declared_attr, mapped_column

from shared.contract.json_types import JsonDocument
from shared.database.models.base import NODES, Base, JobRow, TaskRow, listed_by
from shared.database.models.pause import Pause, read_pause
from shared.database.models.query import UID


class Retrieve(JobRow):
    """One retrieve of what a query kept."""

    __tablename__ = "retrieves"
    __table_args__ = listed_by("retrieves")

    query_id: Mapped[str] = mapped_column(ForeignKey("queries.id"), index=True)
    selection: Mapped[JsonDocument]
    #: How arrival is known: receipts (our store), commitment (the store node's promise to keep it), find
    #: (a C-FIND to the store node), reported (the PACS's sub-operation counts).
    verification: Mapped[str] = mapped_column(String(16), default="")
    #: Whether objects whose header carries the dose are retrieved whole or as headers.
    content: Mapped[str] = mapped_column(String(8), default="whole", server_default="whole")
    asked: Mapped[int] = mapped_column(Integer, default=0)
    #: By how many objects `asked` has fallen: the PACS listed fewer than it announced, or some were here.
    fewer_than_announced: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    arrived: Mapped[int] = mapped_column(Integer, default=0)
    #: Sub-operations as the PACS counts them, for live progress only.
    reported_completed: Mapped[int] = mapped_column(Integer, default=0)
    reported_warning: Mapped[int] = mapped_column(Integer, default=0)
    reported_failed: Mapped[int] = mapped_column(Integer, default=0)

    @declared_attr
    def store_pause(cls) -> MappedSQLExpression[JsonDocument | None]:  # noqa: N805 - SQLAlchemy gives the class
        """Read the pause of its store node together with the job."""
        store = NODES.alias("store_node")
        paused = select(store.c.paused).where(store.c.id == cls.store_id)
        return column_property(paused.correlate_except(store).scalar_subquery())

    @property
    def node_pauses(self) -> dict[str, Pause]:
        """The pauses of its remote node and of its store node, by their names."""
        pause = read_pause(self.store_pause)
        return super().node_pauses | ({self.store_name: pause} if pause is not None else {})


class RetrieveTask(TaskRow):
    """Planning, naming instances, a few moves, a check of arrivals, or a storage commitment."""

    __tablename__ = "retrieve_tasks"
    __table_args__ = (
        Index("ix_retrieve_tasks_job_state", "job_id", "state", "due_at"),
        Index("ix_retrieve_tasks_state_due", "state", "due_at"),
    )

    job_id: Mapped[str] = mapped_column(ForeignKey("retrieves.id", ondelete="CASCADE"))


class RetrieveObject(Base):
    """An object that is expected; states: expected, asked, arrived, failed, missing.

    A series whose objects the PACS does not name stands as one row with an empty SOP Instance UID until
    something of it arrives.
    """

    __tablename__ = "retrieve_objects"
    __table_args__ = (
        Index("ix_retrieve_objects_job_state", "job_id", "state"),
        Index("ix_retrieve_objects_study", "study_instance_uid"),
    )

    job_id: Mapped[str] = mapped_column(ForeignKey("retrieves.id", ondelete="CASCADE"), primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    series_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    #: Empty where the PACS does not return it.
    sop_class_uid: Mapped[str] = mapped_column(UID, default="", server_default="")
    #: What of it is wanted: whole, or headers.
    content: Mapped[str] = mapped_column(String(8), default="whole", server_default="whole")
    state: Mapped[str] = mapped_column(String(16))
    #: How many requests named it.
    asked: Mapped[int] = mapped_column(Integer, default=0)
    #: The round of moves that it belongs to now.
    task_id: Mapped[int | None] = mapped_column(Integer)
    #: Objects that the series announced, for rows that stand for a series.
    announced: Mapped[int | None] = mapped_column(Integer)
    arrived_at: Mapped[datetime | None]
    #: The transaction in which the store node committed to it.
    committed_in: Mapped[str] = mapped_column(UID, default="", server_default="")
    reason: Mapped[str] = mapped_column(String(64), default="")
    detail: Mapped[str] = mapped_column(default="")


class RetrieveMove(Base):
    """One C-MOVE: its identifier and how it ended."""

    __tablename__ = "retrieve_moves"
    __table_args__ = (Index("ix_retrieve_moves_job", "job_id", "task_id"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("retrieves.id", ondelete="CASCADE"))
    task_id: Mapped[int] = mapped_column(Integer)
    level: Mapped[str] = mapped_column(String(8))
    keys: Mapped[JsonDocument]
    status_code: Mapped[int | None] = mapped_column(Integer)
    completed: Mapped[int | None] = mapped_column(Integer)
    warning: Mapped[int | None] = mapped_column(Integer)
    failed: Mapped[int | None] = mapped_column(Integer)
    duration_ms: Mapped[int] = mapped_column(Integer)
    error: Mapped[str] = mapped_column(String(64), default="")
    asked_at: Mapped[datetime]


class RetrieveCommitment(Base):
    """One request for storage commitment; states: asked, answered, refused, unanswered."""

    __tablename__ = "retrieve_commitments"
    __table_args__ = (Index("ix_retrieve_commitments_job", "job_id", "task_id"),)

    transaction_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("retrieves.id", ondelete="CASCADE"))
    task_id: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(16), default="asked")
    objects: Mapped[int] = mapped_column(Integer)
    committed: Mapped[int] = mapped_column(Integer, default=0)
    failed: Mapped[int] = mapped_column(Integer, default=0)
    asked_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    detail: Mapped[str] = mapped_column(default="")
