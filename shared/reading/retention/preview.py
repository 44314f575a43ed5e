"""What retention would remove now: how much, of which time, and what it leaves because something needs it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pydantic import ConfigDict, with_config
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session
from typing_extensions import TypedDict

from shared.clock import iso
from shared.contract.messages import ENDED
from shared.database.models import AuditEntry, Query, RetentionRun, Retrieve, StoredObject
from shared.disk.free_space import free_space
from shared.reading.retention.due_files import is_delivered, is_free, old_enough
from shared.reading.retention.due_jobs import KEPT, may_go
from shared.retention.policy import AUDIT, FILES, JOBS, RetentionPolicy
from shared.retention.runs import runs

#: Rows that are counted at most, on a page and elsewhere: of more, the result says so.
COUNTED, COUNTED_ALL = 10_000, 1_000_000


@with_config(ConfigDict(extra="forbid"))
class RunResult(TypedDict):
    """The last run, and what was removed ever."""

    requested_at: str | None
    began_at: str | None
    ended_at: str | None
    removed: dict[str, int]
    removed_ever: dict[str, int]
    detail: str


@with_config(ConfigDict(extra="forbid"))
class JobPreview(TypedDict):
    """Jobs that would be removed: those that ended before `before`; null: jobs stay for ever."""

    days: int
    before: str | None
    queries: int
    retrieves: int
    studies: int
    #: Whether there are more than were counted.
    more: bool
    oldest: str | None
    newest: str | None
    #: Old enough, and needed by something.
    kept_back: int
    run: RunResult | None


@with_config(ConfigDict(extra="forbid"))
class FilePreview(TypedDict):
    """Files that would be removed: those that came before `before`; null: files stay for ever."""

    days: int
    before: str | None
    files: int
    bytes: int
    #: Of them, those that the importer has taken: they go first.
    delivered: int
    more: bool
    oldest: str | None
    newest: str | None
    kept_back: int
    #: Files go until so many bytes are free; 0: all that are old enough go.
    free_goal_bytes: int
    #: Bytes that are free where the files lie; null where that is not known.
    free_bytes: int | None
    run: RunResult | None


@with_config(ConfigDict(extra="forbid"))
class AuditPreview(TypedDict):
    """Entries of the audit trail that would be removed: those from before `before`; null: all stay."""

    days: int
    before: str | None
    entries: int
    more: bool
    oldest: str | None
    run: RunResult | None


@with_config(ConfigDict(extra="forbid"))
class RetentionResult(TypedDict):
    """What retention would remove now, by the settings."""

    at: str
    jobs: JobPreview
    files: FilePreview
    audit: AuditPreview


def retention_preview(
    session: Session, policy: RetentionPolicy, objects: Path, now: datetime, most: int = COUNTED
) -> RetentionResult:
    """Return what would be removed now; `objects`: the folder of the files, if it lies on this machine.

    `most`: rows that are counted at most; each takes some ten microseconds.
    """
    last = runs(session)
    return {
        "at": iso(now),
        "jobs": _jobs(session, policy, now, last.get(JOBS), most),
        "files": _files(session, policy, objects, now, last.get(FILES), most),
        "audit": _audit(session, policy, now, last.get(AUDIT), most),
    }


def _jobs(
    session: Session, policy: RetentionPolicy, now: datetime, last: RetentionRun | None, most: int
) -> JobPreview:
    before = policy.jobs_before(now)
    queries = retrieves = studies = old = 0
    oldest = newest = None
    if before is not None:
        which = (Query.folding != KEPT, Query.status.in_(ENDED), Query.ended_at < before)
        old = _count(session, which, most)
        ids = select(Query.id).where(*may_go(before)).limit(most)
        numbers = select(
            func.count(), func.sum(Query.studies_found), func.min(Query.ended_at), func.max(Query.ended_at)
        )
        queries, studies, oldest, newest = session.execute(numbers.where(Query.id.in_(ids))).one()
        counted = select(func.count()).select_from(Retrieve).where(Retrieve.query_id.in_(ids))
        retrieves = session.scalar(counted) or 0
    return {
        "days": policy.job_days,
        "before": iso(before),
        "queries": queries,
        "retrieves": retrieves,
        "studies": int(studies or 0),
        "more": queries >= most,
        "oldest": iso(oldest),
        "newest": iso(newest),
        "kept_back": max(0, old - queries),
        "run": _run(last),
    }


def _count(session: Session, which: Sequence[ColumnElement[bool]], most: int) -> int:
    some = select(Query.id).where(*which).limit(most).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def _files(
    session: Session,
    policy: RetentionPolicy,
    objects: Path,
    now: datetime,
    last: RetentionRun | None,
    most: int,
) -> FilePreview:
    before = policy.files_before(now)
    files = size = delivered = old = 0
    oldest = newest = None
    if before is not None:
        columns = (StoredObject.sop_instance_uid, StoredObject.last_received_at, StoredObject.size_bytes)
        aged = select(*columns).where(*old_enough(before)).order_by(StoredObject.last_received_at)
        old = session.scalar(select(func.count()).select_from(aged.limit(most).subquery())) or 0
        free = aged.where(*is_free(session)).limit(most).subquery()
        at = free.c.last_received_at
        numbers = select(func.count(), func.sum(free.c.size_bytes), func.min(at), func.max(at))
        files, size, oldest, newest = session.execute(numbers).one()
        taken = aged.where(*is_free(session), is_delivered()).limit(most).subquery()
        delivered = session.scalar(select(func.count()).select_from(taken)) or 0
    space = free_space(objects, 0)
    return {
        "days": policy.file_days,
        "before": iso(before),
        "files": files,
        "bytes": int(size or 0),
        "delivered": delivered,
        "more": files >= most,
        "oldest": iso(oldest),
        "newest": iso(newest),
        "kept_back": max(0, old - files),
        "free_goal_bytes": policy.free_goal_bytes,
        "free_bytes": space.free_bytes if space is not None else None,
        "run": _run(last),
    }


def _audit(
    session: Session, policy: RetentionPolicy, now: datetime, last: RetentionRun | None, most: int
) -> AuditPreview:
    before = policy.audit_before(now)
    entries, oldest = 0, None
    if before is not None:
        old = select(AuditEntry.at).where(AuditEntry.at < before).order_by(AuditEntry.at).limit(most)
        at = old.subquery().c.at
        entries, oldest = session.execute(select(func.count(), func.min(at))).one()
    return {
        "days": policy.audit_days,
        "before": iso(before),
        "entries": entries,
        "more": entries >= most,
        "oldest": iso(oldest),
        "run": _run(last),
    }


def _run(row: RetentionRun | None) -> RunResult | None:
    if row is None:
        return None
    return {
        "requested_at": iso(row.requested_at),
        "began_at": iso(row.began_at),
        "ended_at": iso(row.ended_at),
        "removed": dict(row.last_run),
        "removed_ever": dict(row.totals),
        "detail": row.detail,
    }
