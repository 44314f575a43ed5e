"""Statements on the requests of a retrieve, how each ended, what was given up, and its counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import and_, case, func, select, update
from sqlalchemy.orm import Session

from services.retrieve.context import RetrieveContext
from services.retrieve.ledger.conditions import LOST, execute, is_open, rows_of, weight_of_row
from services.retrieve.planning.attempts import FinalResponse
from services.retrieve.planning.fruitless import LEAST_SINGLE, MOST, PastRequest, Streak, streak_of
from services.retrieve.planning.moves import SeriesPart
from shared.contract.messages import ENDED
from shared.contract.reasons import Reason
from shared.database.models import Retrieve, RetrieveMove, RetrieveObject, StoredObject

#: From the weakest to the strongest proof that something arrived.
PROOFS = ("reported", "find", "commitment", "receipts")

#: What is read of a request that may have brought nothing.
_OF_REQUESTS = (
    RetrieveMove.asked_at,
    RetrieveMove.duration_ms,
    RetrieveMove.status_code,
    RetrieveMove.completed,
    RetrieveMove.warning,
    RetrieveMove.failed,
    RetrieveMove.error,
)


def save_requested(session: Session, job_id: str, parts: Iterable[SeriesPart]) -> None:
    """Write that these were requested once more."""
    for which in rows_of(job_id, parts):
        execute(
            session,
            update(RetrieveObject)
            .where(which)
            .values(
                asked=RetrieveObject.asked + 1, state=case((is_open(), "asked"), else_=RetrieveObject.state)
            ),
        )


def save_lost(
    session: Session, job_id: str, parts: Iterable[SeriesPart], *, state: str, reason: Reason, detail: str
) -> None:
    """Write that these are given up."""
    for which in rows_of(job_id, parts):
        values = {"state": state, "reason": reason.value, "detail": detail[:1000]}
        execute(session, update(RetrieveObject).where(which, is_open()).values(values))


def lose_the_rest(session: Session, job_id: str, *, state: str, reason: Reason, detail: str) -> None:
    """Write that everything that is still to come is given up."""
    which = and_(RetrieveObject.job_id == job_id, is_open())
    values = {"state": state, "reason": reason.value, "detail": detail[:1000]}
    execute(session, update(RetrieveObject).where(which).values(values))


def save_move(session: Session, job_id: str, task_id: int, move: RetrieveMove) -> None:
    """Write how one C-MOVE ended."""
    move.job_id, move.task_id = job_id, task_id
    session.add(move)


def move_row(
    level: str, keys: Mapping[str, object], response: FinalResponse, duration_ms: int, requested_at: datetime
) -> RetrieveMove:
    """Return the row of one C-MOVE; its keys are UIDs only."""
    return RetrieveMove(
        level=level,
        keys=keys,
        status_code=response.status_code,
        completed=response.completed,
        warning=response.warning,
        failed=response.failed,
        duration_ms=duration_ms,
        error=response.error.code if response.error else "",
        asked_at=requested_at,
    )


def counts_of(session: Session, job_id: str) -> dict[str, int]:
    """Return the counts of a retrieve for events."""
    names = ("asked", "arrived", "reported_completed", "reported_warning", "reported_failed")
    row = session.execute(
        select(*(getattr(Retrieve, name) for name in names)).where(Retrieve.id == job_id)
    ).one()
    lost = {
        state: int(number)
        for state, number in session.execute(
            select(RetrieveObject.state, func.sum(weight_of_row()))
            .where(RetrieveObject.job_id == job_id, RetrieveObject.state.in_(LOST))
            .group_by(RetrieveObject.state)
        )
    }
    counts = dict(zip(names, row, strict=True)) | {state: lost.get(state, 0) for state in LOST}
    counts["left"] = max(0, counts["asked"] - counts["arrived"] - counts["failed"] - counts["missing"])
    return counts


def weaken_proof(session: Session, job_id: str, proof: str) -> None:
    """Remember the weakest proof that any arrival of a retrieve rests on."""
    stronger = ["", *PROOFS[PROOFS.index(proof) + 1 :]]
    which = and_(Retrieve.id == job_id, Retrieve.verification.in_(stronger))
    execute(session, update(Retrieve).where(which).values(verification=proof))


def has_ended(session: Session, job_id: str) -> bool:
    """Return whether a retrieve has ended."""
    return session.scalar(select(Retrieve.status).where(Retrieve.id == job_id)) in ENDED


def main_loss(session: Session, job_id: str) -> tuple[str, str]:
    """Return the most frequent reason of what was given up, and one of its details."""
    row = session.execute(
        select(RetrieveObject.reason, func.max(RetrieveObject.detail))
        .where(RetrieveObject.job_id == job_id, RetrieveObject.state.in_(LOST))
        .group_by(RetrieveObject.reason)
        .order_by(func.count().desc(), RetrieveObject.reason)
        .limit(1)
    ).first()
    return (row[0], row[1]) if row else ("", "")


def anything_since(session: Session, context: RetrieveContext, moment: datetime) -> bool:
    """Return whether anything arrived since then for this retrieve or at the store, or was sent."""
    row = select(RetrieveObject.job_id).where(
        RetrieveObject.job_id == context.job_id, RetrieveObject.arrived_at >= moment
    )
    stored = select(StoredObject.sop_instance_uid).where(StoredObject.last_received_at >= moment)
    sent = select(RetrieveMove.id).where(
        RetrieveMove.job_id == context.job_id, RetrieveMove.asked_at >= moment, RetrieveMove.completed > 0
    )
    return any(session.execute(statement.limit(1)).first() for statement in (row, stored, sent))


def read_streak(session: Session, job_id: str) -> Streak:
    """Return the last requests of a retrieve that brought nothing; those before an arrival count if few."""
    newest = select(*_OF_REQUESTS).where(RetrieveMove.job_id == job_id).order_by(RetrieveMove.id.desc())
    rows = session.execute(newest.limit(MOST + LEAST_SINGLE))
    arrived = session.scalar(select(Retrieve.arrived).where(Retrieve.id == job_id)) or 0
    streak = streak_of([PastRequest(*row) for row in rows], anything_arrived=arrived > 0)
    if streak.is_long and _arrived_since(session, job_id, streak.requests[streak.most - 1].asked_at):
        return Streak((), streak.most)
    return streak


def _arrived_since(session: Session, job_id: str, moment: datetime) -> bool:
    arrived = select(RetrieveObject.job_id).where(
        RetrieveObject.job_id == job_id, RetrieveObject.arrived_at >= moment
    )
    return session.execute(arrived.limit(1)).first() is not None


def streak_began_at(session: Session, job_id: str) -> datetime | None:
    """Return when the first request after the last arrival was sent."""
    last = select(func.max(RetrieveObject.arrived_at)).where(RetrieveObject.job_id == job_id)
    which = [RetrieveMove.job_id == job_id]
    if (arrived_at := session.scalar(last)) is not None:
        which.append(RetrieveMove.asked_at >= arrived_at)
    return session.scalar(select(func.min(RetrieveMove.asked_at)).where(*which))
