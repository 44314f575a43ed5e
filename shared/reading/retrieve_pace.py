"""How fast the objects of a running retrieve arrive, and when the rest may be there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from shared.database.models.retrieve import Retrieve, RetrieveObject, RetrieveTask
from shared.reading.rate_text import rate_text

#: Seconds over which the rate is taken: long enough to be steady, short enough to follow the PACS.
PACE_WINDOW_S = 30.0

#: States of tasks that are still to be done.
_OPEN = ("pending", "queued", "running")
#: Tasks that are read: one first request among them is enough to expect more.
_TASKS = 200


@dataclass(frozen=True, slots=True)
class Pace:
    """The rate of the last half minute; `left_s` is None where it is not known."""

    per_s: float
    left_s: float | None
    #: Whether everything was requested once, and only what has not arrived is waited for or requested again.
    waits_for_rest: bool

    def __str__(self) -> str:
        """Return it as text for people; empty where nothing arrives."""
        if self.waits_for_rest:
            return "waiting for the rest"
        return rate_text(self.per_s, self.left_s, "object", "objects") if self.per_s else ""


def pace_of(session: Session, retrieve: Retrieve, now: datetime) -> Pace | None:
    """Return the pace of a running retrieve; None before its first task and once it has nothing open."""
    if retrieve.started_at is None:
        return None
    row = RetrieveObject
    weight = case((row.sop_instance_uid == "", func.coalesce(func.nullif(row.announced, 0), 1)), else_=1)
    still_open = row.state.in_(("expected", "asked"))
    left = session.scalar(select(func.sum(weight)).where(row.job_id == retrieve.id, still_open)) or 0
    if not left:
        return None
    window_s = min(PACE_WINDOW_S, max(1.0, (now - retrieve.started_at).total_seconds()))
    recent = row.arrived_at >= now - timedelta(seconds=window_s)
    arrived = session.scalar(
        select(func.sum(weight)).where(row.job_id == retrieve.id, row.state == "arrived", recent)
    )
    per_s = float(arrived or 0) / window_s
    waits = not _requests_left(session, retrieve.id)
    return Pace(per_s, None if waits or not per_s else left / per_s, waits)


def _requests_left(session: Session, job_id: str) -> bool:
    """Return whether something has yet to be requested for the first time."""
    tasks = session.execute(
        select(RetrieveTask.kind, RetrieveTask.payload)
        .where(RetrieveTask.job_id == job_id, RetrieveTask.state.in_(_OPEN))
        .limit(_TASKS)
    ).all()
    return any(
        kind in ("plan", "expect") or (kind == "move" and payload.get("round", 1) == 1)
        for kind, payload in tasks
    )
