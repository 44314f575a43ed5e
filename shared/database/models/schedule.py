"""Tables of what the query service begins by itself: recurring queries, and long lists of studies.

Who defines them writes `schedules`, `study_lists` and their parts; the query service alone their runs.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Boolean, Date, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.contract.json_types import JsonDocument
from shared.database.models.base import Base


class Schedule(Base):
    """A query that recurs, and how far everything since its first day is complete."""

    __tablename__ = "schedules"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    remote_id: Mapped[int] = mapped_column(ForeignKey("nodes.id"))
    store_id: Mapped[int] = mapped_column(ForeignKey("nodes.id"))
    #: Without dates: each run sets them.
    criteria: Mapped[JsonDocument]
    retrieve: Mapped[bool] = mapped_column(Boolean, default=False)
    #: "every 60 minutes", "daily 06:30", "weekdays 06:30", or the five fields of cron; in this time zone of
    #: the IANA database (empty: the machine's).
    recurrence: Mapped[str] = mapped_column(String(200))
    time_zone: Mapped[str] = mapped_column(String(64), default="")
    owner: Mapped[str] = mapped_column(String(128), default="")
    #: The first day that it covers.
    start: Mapped[date] = mapped_column(Date)
    paused_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    #: Removed schedules stay for their runs; their name is freed.
    removed_at: Mapped[datetime | None]
    #: Due times until then are past: it was made, changed or resumed then.
    due_since: Mapped[datetime]
    #: Somebody wants a run besides; none once it has begun.
    run_requested_at: Mapped[datetime | None]
    run_requested_by: Mapped[str] = mapped_column(String(128), default="")
    #: Raised when it begins anew: a run of before no longer counts.
    revision: Mapped[int] = mapped_column(Integer, default=0)
    #: Everything since `start` is complete until then; of `completeness` (shared/schedules/watermark.py).
    watermark: Mapped[datetime]
    completeness: Mapped[JsonDocument]


class ScheduleRun(Base):
    """A due time that was taken: whoever inserts the row runs it."""

    __tablename__ = "schedule_runs"
    __table_args__ = (
        UniqueConstraint("schedule_id", "due_at"),
        Index("ix_schedule_runs_ended_at", "ended_at"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedules.id", ondelete="CASCADE"))
    due_at: Mapped[datetime]
    #: Whether somebody requested it, and who.
    requested: Mapped[bool] = mapped_column(Boolean, default=False)
    requested_by: Mapped[str] = mapped_column(String(128), default="")
    #: The revision of the schedule for which it ran.
    revision: Mapped[int] = mapped_column(Integer, default=0)
    began_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    #: Empty until its end: completed, incomplete, failed, cancelled, or skipped: there was nothing to cover.
    status: Mapped[str] = mapped_column(String(16), default="")
    detail: Mapped[str] = mapped_column(default="")
    #: Its query, and what that covers; none if it was skipped.
    job_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    retrieve_id: Mapped[str | None] = mapped_column(String(64))
    plan: Mapped[JsonDocument | None]


class LongList(Base):
    """An uploaded list that is longer than one query may be: its parts are queries one after another."""

    __tablename__ = "study_lists"
    __table_args__ = (Index("ix_study_lists_requested", "requested_at", "id"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    #: Name of the file, as far as it is printable.
    name: Mapped[str] = mapped_column(String(128))
    #: accession_numbers or study_instance_uids.
    field: Mapped[str] = mapped_column(String(32))
    remote_id: Mapped[int] = mapped_column(ForeignKey("nodes.id"))
    store_id: Mapped[int] = mapped_column(ForeignKey("nodes.id"))
    #: Those of every part, without its identifiers.
    criteria: Mapped[JsonDocument]
    retrieve: Mapped[bool] = mapped_column(Boolean, default=False)
    #: Identifiers of all parts together, and lines that were left out.
    identifiers: Mapped[int] = mapped_column(Integer)
    left_out: Mapped[int] = mapped_column(Integer, default=0)
    requested_by: Mapped[str] = mapped_column(String(128), default="")
    requested_at: Mapped[datetime]
    #: No further part begins, and those that run are cancelled.
    cancelled_at: Mapped[datetime | None]
    cancelled_by: Mapped[str] = mapped_column(String(128), default="")
    #: Every part that began has ended, and none is left to begin.
    ended_at: Mapped[datetime | None] = mapped_column(index=True)
    #: Why it ended before its last part.
    detail: Mapped[str] = mapped_column(default="")


class LongListPart(Base):
    """The identifiers of one query of a list."""

    __tablename__ = "study_list_parts"

    list_id: Mapped[str] = mapped_column(ForeignKey("study_lists.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    identifiers: Mapped[list[str]]
    #: Id of its query, which is there once it has begun.
    job_id: Mapped[str] = mapped_column(String(64), index=True)
    begun_at: Mapped[datetime | None]
