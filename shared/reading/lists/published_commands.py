"""Which commands were published lately, by any replica of the page: their jobs may have no row yet."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.contract.messages import JobKind
from shared.database.models import AuditEntry

#: How far back, and how many commands.
LATELY, MOST = timedelta(days=1), 500

#: The actions of the audit trail whose command becomes a job.
_KINDS: dict[str, JobKind] = {"query": "query", "retrieve": "retrieve"}


def published_kind(session: Session, job_id: str, now: datetime) -> JobKind | None:
    """Return what the job of a command will be that was published lately; none: there was no such command."""
    recent = (
        select(AuditEntry.action, AuditEntry.details)
        .where(AuditEntry.action.in_(_KINDS), AuditEntry.at >= now - LATELY)
        .order_by(AuditEntry.at.desc())
        .limit(MOST)
    )
    for action, details in session.execute(recent):
        if details.get("command_id") == job_id and details.get("outcome", "published") == "published":
            return _KINDS[action]
    return None
