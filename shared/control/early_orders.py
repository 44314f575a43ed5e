"""Orders that came before the job they are about: kept until its own command is taken, then done.

The broker keeps no order between two commands, so a cancellation may overtake what it cancels. Who keeps an
order checks afterwards whether the job has come meanwhile, and who makes a job reads its orders after the
commit: one of the two always finds the other's row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from shared.contract.messages import JobKind
from shared.database.models import EarlyOrder
from shared.database.upsert import insert_missing

Action = Literal["cancel", "pause", "resume", "raise"]

#: How long an order waits for its job, and most orders kept; the oldest go first.
KEPT_FOR = timedelta(days=1)
MAX_ORDERS = 10_000


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done with a job."""

    action: Action
    job_id: str
    command_id: str
    requested_by: str


def keep(session: Session, service: JobKind, order: Order, now: datetime) -> None:
    """Keep an order for a job that is not there; the same command twice is one order."""
    session.execute(delete(EarlyOrder).where(EarlyOrder.received_at < now - KEPT_FOR))
    surplus = (session.scalar(select(func.count()).select_from(EarlyOrder)) or 0) - MAX_ORDERS + 1
    if surplus > 0:
        oldest = select(EarlyOrder.id).order_by(EarlyOrder.id).limit(surplus)
        session.execute(delete(EarlyOrder).where(EarlyOrder.id.in_(oldest.scalar_subquery())))
    known = select(EarlyOrder.id).where(
        EarlyOrder.command_id == order.command_id, EarlyOrder.service == service
    )
    if session.scalar(known) is not None:
        return
    row = {
        "job_id": order.job_id,
        "service": service,
        "command_id": order.command_id,
        "action": order.action,
        "requested_by": order.requested_by,
        "received_at": now,
    }
    insert_missing(session, EarlyOrder, [row])


def kept_for(session: Session, service: JobKind, job_id: str) -> Sequence[EarlyOrder]:
    """Return the orders of a service for a job, in the order in which they came."""
    mine = select(EarlyOrder).where(EarlyOrder.job_id == job_id, EarlyOrder.service == service)
    return session.scalars(mine.order_by(EarlyOrder.id)).all()


def forget(session: Session, rows: Sequence[EarlyOrder]) -> None:
    """Drop orders that were done."""
    session.execute(delete(EarlyOrder).where(EarlyOrder.id.in_([row.id for row in rows])))
