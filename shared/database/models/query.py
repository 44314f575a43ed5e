"""Tables that the query service owns: queries, their tasks, every C-FIND, and what was decided."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Boolean, Date, ForeignKey, Index, Integer, String, false, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.contract.json_types import JsonDocument
from shared.database.models.base import Base, JobRow, TaskRow, listed_by

UID = String(64)
#: Queries whose findings are not added up in `node_days` and `node_studies`, or of an earlier round only; the
#: index is used only where a statement holds these very words.
UNTALLIED = text("coalesce(queries.tallied_round, -2) <> queries.round")
_UNTALLIED_INDEX = text("coalesce(tallied_round, -2) <> round")


class Query(JobRow):
    """One query and its running counts (each task adds to them as it ends)."""

    __tablename__ = "queries"
    __table_args__ = (
        *listed_by("queries"),
        Index("ix_queries_remote_days", "remote_id", "days_until", "days_from"),
        Index(
            "ix_queries_untallied",
            "remote_id",
            "requested_at",
            sqlite_where=_UNTALLIED_INDEX,
            postgresql_where=_UNTALLIED_INDEX,
        ),
        Index(
            "ix_queries_open_search",
            "remote_id",
            sqlite_where=text("open_search = 1"),
            postgresql_where=text("open_search"),
        ),
    )

    criteria: Mapped[JsonDocument]
    rules_version: Mapped[int] = mapped_column(Integer)
    #: The day that "until today" meant when the query was requested.
    today: Mapped[date] = mapped_column(Date)
    #: The days that its criteria mean; none: open on that side, or written by an older version.
    days_from: Mapped[date | None] = mapped_column(Date)
    days_until: Mapped[date | None] = mapped_column(Date)
    retrieve_after: Mapped[bool] = mapped_column(Boolean, default=False)
    slices_total: Mapped[int] = mapped_column(Integer, default=0)
    slices_complete: Mapped[int] = mapped_column(Integer, default=0)
    slices_failed: Mapped[int] = mapped_column(Integer, default=0)
    studies_found: Mapped[int] = mapped_column(Integer, default=0)
    studies_examined: Mapped[int] = mapped_column(Integer, default=0)
    studies_kept: Mapped[int] = mapped_column(Integer, default=0)
    studies_missing: Mapped[int] = mapped_column(Integer, default=0)
    #: Objects to move as far as known: decided one by one, or announced by the series' own counts.
    objects_kept: Mapped[int] = mapped_column(Integer, default=0)
    finds: Mapped[int] = mapped_column(Integer, default=0)
    #: The schedule of which it is a run, and its name then; none: somebody ordered it.
    schedule_id: Mapped[int | None] = mapped_column(Integer)
    schedule_name: Mapped[str] = mapped_column(String(64), default="", server_default="")
    #: The round whose findings are added up in `node_days` and `node_studies`; -1: in part; none: nothing.
    tallied_round: Mapped[int | None] = mapped_column(Integer)
    #: Whether it is added up but for what it proves: it searches days without end, or too many.
    open_search: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    #: The claim of the task that finds out whether the node names any study at all, and what it found.
    probe_token: Mapped[str] = mapped_column(String(64), default="", server_default="")
    names_study: Mapped[bool | None] = mapped_column(Boolean)
    #: Whether retention removes it: empty, `begun` (its ledger is no longer whole), or `kept`: only what
    #: proves its days is left.
    folding: Mapped[str] = mapped_column(String(8), default="", server_default="")


class QueryTask(TaskRow):
    """A slice (one study-level C-FIND) or an examination (series and image level of some studies)."""

    __tablename__ = "query_tasks"
    __table_args__ = (
        Index("ix_query_tasks_job_state", "job_id", "state", "due_at"),
        Index("ix_query_tasks_state_due", "state", "due_at"),
    )

    job_id: Mapped[str] = mapped_column(ForeignKey("queries.id", ondelete="CASCADE"))
    #: The slice that this one is a part of, if it was cut.
    parent_id: Mapped[int | None] = mapped_column(Integer)


class QueryFind(Base):
    """One C-FIND: its identifier and how it ended. Keys hold no patient data."""

    __tablename__ = "query_finds"
    __table_args__ = (Index("ix_query_finds_job", "job_id", "task_id"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("queries.id", ondelete="CASCADE"))
    task_id: Mapped[int] = mapped_column(Integer)
    level: Mapped[str] = mapped_column(String(8))
    keys: Mapped[JsonDocument]
    #: Final DIMSE status; none if no final response came.
    status_code: Mapped[int | None] = mapped_column(Integer)
    matches: Mapped[int] = mapped_column(Integer)
    duration_ms: Mapped[int] = mapped_column(Integer)
    error: Mapped[str] = mapped_column(String(64), default="")
    asked_at: Mapped[datetime]
    #: Whether it was sent only to be compared with another one: does the node heed the keys?
    control: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())


class QueryStudy(Base):
    """A study that a slice returned; states: found, examining, decided, missing."""

    __tablename__ = "query_studies"
    __table_args__ = (
        Index("ix_query_studies_job_state", "job_id", "state"),
        Index("ix_query_studies_job_task", "job_id", "task_id"),
        Index("ix_query_studies_job_decision", "job_id", "decision", "type"),
        Index("ix_query_studies_uid", "study_instance_uid"),
    )

    job_id: Mapped[str] = mapped_column(ForeignKey("queries.id", ondelete="CASCADE"), primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    #: The slice that returned it first, and the examination that decided it.
    found_by: Mapped[int | None] = mapped_column(Integer)
    task_id: Mapped[int | None] = mapped_column(Integer)
    type: Mapped[str | None] = mapped_column(String(8))
    decision: Mapped[str] = mapped_column(String(8), default="")
    reason: Mapped[str] = mapped_column(String(64), default="")
    note: Mapped[str] = mapped_column(String(64), default="")
    #: What the PACS returned at study level; none where it did not return the attribute.
    modalities: Mapped[list[str] | None]
    description: Mapped[str | None]
    station_name: Mapped[str | None]
    study_date: Mapped[str | None] = mapped_column(String(16))
    study_time: Mapped[str | None] = mapped_column(String(32))
    accession_number: Mapped[str | None]
    series_count: Mapped[int | None] = mapped_column(Integer)
    instance_count: Mapped[int | None] = mapped_column(Integer)
    #: Why it is missing, in the PACS's words.
    detail: Mapped[str] = mapped_column(default="")


Index("ix_query_studies_date", QueryStudy.study_date)
#: A hash has no limit of length: a PACS may return more than an SH (PS3.5 6.2) holds.
Index("ix_query_studies_accession", QueryStudy.accession_number, postgresql_using="hash")


class QuerySeries(Base):
    """A series of an examined study and its decision."""

    __tablename__ = "query_series"

    job_id: Mapped[str] = mapped_column(ForeignKey("queries.id", ondelete="CASCADE"), primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    series_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    modality: Mapped[str | None] = mapped_column(String(64))
    description: Mapped[str | None]
    station_name: Mapped[str | None]
    series_number: Mapped[int | None] = mapped_column(Integer)
    instance_count: Mapped[int | None] = mapped_column(Integer)
    decision: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str] = mapped_column(String(64))
    note: Mapped[str] = mapped_column(String(64), default="")
    #: Whether all of the series is kept; otherwise its objects were decided one by one.
    whole: Mapped[bool] = mapped_column(Boolean, default=False)


class QueryObject(Base):
    """An object that was decided by itself."""

    __tablename__ = "query_objects"

    job_id: Mapped[str] = mapped_column(ForeignKey("queries.id", ondelete="CASCADE"), primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    series_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    sop_class_uid: Mapped[str | None] = mapped_column(UID)
    decision: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str] = mapped_column(String(64))


class NodeProfile(Base):
    """What was learned of a remote node (shared/querying/profile.py); careful defaults where nothing was."""

    __tablename__ = "node_profiles"

    node_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    #: Host, port and AE titles for which it holds: another address is another archive.
    address: Mapped[str]
    data: Mapped[JsonDocument]
    updated_at: Mapped[datetime]


# What all ended queries of a node found, added up by study and by day. It holds nothing that the tables
# above do not: whatever is not yet added up is read from there.


class Tally(Base):
    """The state of the numbers of a node, `node 1`, or of what reports name, `reports`."""

    __tablename__ = "tallies"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    #: Raised by each change, so that whoever reads in several statements notices one in between.
    version: Mapped[int] = mapped_column(Integer, default=0)
    #: Reports read until then are added.
    read_until: Mapped[datetime | None]


class NodeDay(Base):
    """A day of a node (shared/evidence/day_tally.py)."""

    __tablename__ = "node_days"

    remote_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    numbers: Mapped[JsonDocument]
    proofs: Mapped[JsonDocument]
    #: Type, station and version of each software that reports of the day name.
    versions: Mapped[JsonDocument]
    #: Those of the proofs that queries gave which retention has removed.
    folded_proofs: Mapped[JsonDocument | None]


class NodeStudy(Base):
    """A study of a node (shared/evidence/study_tally.py)."""

    __tablename__ = "node_studies"
    __table_args__ = (
        Index("ix_node_studies_day", "remote_id", "day"),
        Index(
            "ix_node_studies_folded_accession",
            "accession_number",
            postgresql_using="hash",
            sqlite_where=text("folded IS NOT NULL"),
            postgresql_where=text("folded IS NOT NULL"),
        ),
    )

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    remote_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    #: The query with the best finding (empty: retention has removed it), and what that is.
    job_id: Mapped[str] = mapped_column(String(64))
    requested_at: Mapped[datetime]
    settled: Mapped[bool] = mapped_column(Boolean)
    type: Mapped[str | None] = mapped_column(String(8))
    reason: Mapped[str] = mapped_column(String(64))
    day: Mapped[date | None] = mapped_column(Date)
    study_time: Mapped[str] = mapped_column(String(32))
    station: Mapped[str]
    accession_number: Mapped[str]
    source: Mapped[str] = mapped_column(String(16))
    #: Separated by spaces.
    settled_types: Mapped[str] = mapped_column(String(32))
    open_types: Mapped[JsonDocument | None]
    #: What is left of removed queries (shared/evidence/folded_study.py); none: nothing was removed.
    folded: Mapped[str | None]


# What retention leaves of removed queries, and its own runs.


class FoldedIdentifier(Base):
    """An identifier that a completed query named and the PACS did not know; the query itself is removed."""

    __tablename__ = "folded_identifiers"

    remote_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    #: accession_numbers or study_instance_uids.
    field: Mapped[str] = mapped_column(String(32), primary_key=True)
    identifier: Mapped[str] = mapped_column(primary_key=True)


class RetentionRun(Base):
    """The removal of `jobs` or of `files`: who does it now, the last run, and all that was removed."""

    __tablename__ = "retention_runs"

    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    #: Of the worker that holds the lease.
    token: Mapped[str] = mapped_column(String(64), default="")
    lease_until: Mapped[datetime | None]
    #: Somebody wants a run now; none once it has begun.
    requested_at: Mapped[datetime | None]
    requested_by: Mapped[str] = mapped_column(String(128), default="")
    began_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    #: Numbers of what was removed, by what it is: in the last run, and ever.
    last_run: Mapped[JsonDocument] = mapped_column(default=dict)
    totals: Mapped[JsonDocument] = mapped_column(default=dict)
    #: Why the last run ended early; empty if it did not.
    detail: Mapped[str] = mapped_column(default="")
