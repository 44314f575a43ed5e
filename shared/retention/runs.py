"""Who removes now, and what was removed: one worker at a time holds the lease of `jobs` or of `files`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shared.database.models import AuditEntry, RetentionRun
from shared.database.upsert import insert_missing

#: A worker that did nothing for so long is dead.
LEASE = timedelta(minutes=2)
#: Time between the beginnings of two runs that nobody requested.
EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class RunLease:
    """The right of a worker to remove; each step renews it, so that of two workers one alone goes on."""

    name: str
    token: str

    def renew(self, session: Session, now: datetime) -> bool:
        """Renew it within the transaction of a step; False: another worker has it, and the step must not be.

        The row stays locked until the transaction ends.
        """
        held = (RetentionRun.name == self.name, RetentionRun.token == self.token)
        taken = select(RetentionRun.name).where(*held, RetentionRun.ended_at.is_(None)).with_for_update()
        if session.scalar(taken) is None:
            return False
        session.execute(update(RetentionRun).where(*held).values(lease_until=now + LEASE))
        return True


def begin(session: Session, name: str, token: str, now: datetime) -> RunLease | None:
    """Begin the run that is due, or go on with one whose worker died; None if there is nothing to do."""
    insert_missing(session, RetentionRun, [_new(name)])
    row = _locked(session, name)
    if row.lease_until is not None and row.lease_until > now and row.token != token:
        return None
    is_interrupted = row.began_at is not None and row.ended_at is None
    is_due = row.began_at is None or row.began_at <= now - EVERY
    if not (is_interrupted or is_due or row.requested_at is not None):
        return None
    if not is_interrupted:
        row.began_at, row.ended_at, row.last_run, row.detail = now, None, {}, ""
    row.requested_at = None
    row.token, row.lease_until = token, now + LEASE
    return RunLease(name, token)


def add_removed(session: Session, name: str, removed: Mapping[str, int]) -> None:
    """Count what a step removed, in its transaction."""
    if any(removed.values()):
        row = _locked(session, name)
        row.last_run = dict(Counter(row.last_run) + Counter(removed))
        row.totals = dict(Counter(row.totals) + Counter(removed))


def end(session: Session, lease: RunLease, detail: str, now: datetime) -> dict[str, int]:
    """End a run and note it in the audit trail; return what it removed."""
    row = _locked(session, lease.name)
    if row.token != lease.token:
        return {}
    row.ended_at, row.lease_until, row.detail = now, None, detail
    removed: dict[str, int] = dict(row.last_run)
    if removed:
        user = row.requested_by or "retention"
        entry = AuditEntry(at=now, action=f"retention of {lease.name}", user=user[:64], details=removed)
        session.add(entry)
    row.requested_by = ""
    return removed


def request(session: Session, name: str, requested_by: str, now: datetime) -> None:
    """Let a run begin now; the worker looks for it within a minute."""
    insert_missing(session, RetentionRun, [_new(name)])
    wanted = {"requested_at": now, "requested_by": requested_by}
    session.execute(update(RetentionRun).where(RetentionRun.name == name).values(wanted))


def is_wanted(session: Session, name: str, now: datetime) -> bool:
    """Return whether a run is due, requested, or was interrupted; `begin` decides."""
    row = session.get(RetentionRun, name)
    if row is None:
        return True
    free = row.lease_until is None or row.lease_until <= now
    due = row.began_at is None or row.began_at <= now - EVERY
    return free and (due or row.ended_at is None or row.requested_at is not None)


def runs(session: Session) -> dict[str, RetentionRun]:
    """Return the rows of all kinds, by name."""
    return {row.name: row for row in session.scalars(select(RetentionRun))}


def _locked(session: Session, name: str) -> RetentionRun:
    which = select(RetentionRun).where(RetentionRun.name == name).with_for_update()
    return session.scalars(which.execution_options(populate_existing=True)).one()


def _new(name: str) -> dict[str, object]:
    return {"name": name, "token": "", "requested_by": "", "last_run": {}, "totals": {}, "detail": ""}
