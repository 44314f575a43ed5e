"""How fast the objects of a running retrieve arrive, and when the rest may be there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from shared.database.models.retrieve import Retrieve, RetrieveObject, RetrieveTask

#: Seconds over which the rate is taken: long enough to be steady, short enough to follow the PACS.
PACE_WINDOW_S = 30.0

_MINUTE_S, _HOUR_S = 60, 3600

#: States of tasks that are still to be done.
_OPEN = ("pending", "queued", "running")
#: Tasks looked at: one first request among them is enough to expect more.
_TASKS = 200


@dataclass(frozen=True, slots=True)
class Pace:
    """The rate of the last half minute; `left_s` is None where no time can be told."""

    per_s: float
    left_s: float | None
    #: Whether everything was requested once, and only what has not arrived is waited for or requested again.
    waits_for_rest: bool

    def __str__(self) -> str:
        """Return it in words for people; empty where nothing can be said."""
        if self.waits_for_rest:
            return "waiting for the rest"
        if not self.per_s:
            return ""
        rate = (
            f"{self.per_s:.1f} objects a second"
            if self.per_s >= 1
            else f"{self.per_s * 60:.1f} objects a minute"
        )
        return rate if self.left_s is None else f"{rate}, about {_in_words(self.left_s)} left"


def _in_words(seconds: float) -> str:
    """Return a duration, rounded up to seconds, minutes or tenths of an hour."""
    whole = int(seconds) + 1
    if whole < _MINUTE_S:
        return f"{whole} s"
    return f"{-(-whole // _MINUTE_S)} min" if whole < _HOUR_S else f"{whole / _HOUR_S:.1f} h"


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
