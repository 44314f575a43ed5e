"""Removes old entries of the audit trail, in a thread of each replica of the page; one at a time does it."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from sqlalchemy import delete, select

from shared.clock import Clock
from shared.database.models import AuditEntry
from shared.database.session import Database, Session
from shared.retention import runs
from shared.retention.policy import AUDIT, RetentionPolicy
from shared.retention.removal import STEPS, Removal, RemovalSteps

#: Entries of one step, at most.
ENTRIES_AT_ONCE = 1000


class AuditRetention(Removal):
    """Removes entries that are older than the policy keeps them."""

    def __init__(self, database: Database, policy: RetentionPolicy, clock: Clock) -> None:
        super().__init__(database, AUDIT, policy.audit_before, self._remove_all, clock)

    def _remove_all(self, steps: RemovalSteps, before: datetime) -> str:
        for _ in range(STEPS):
            if steps.stopping:
                break
            most = steps.part_of(ENTRIES_AT_ONCE)
            if steps.step(partial(remove_entries, before=before, most=most)) == 0:
                break
        return ""


def remove_entries(session: Session, before: datetime, most: int) -> int:
    """Remove the oldest entries from before a moment, and count them; return how many there were."""
    oldest = select(AuditEntry.id).where(AuditEntry.at < before).order_by(AuditEntry.at).limit(most)
    ids = session.scalars(oldest).all()
    if ids:
        which = delete(AuditEntry).where(AuditEntry.id.in_(ids))
        session.execute(which, execution_options={"synchronize_session": False})
        runs.add_removed(session, AUDIT, {"entries": len(ids)})
    return len(ids)
