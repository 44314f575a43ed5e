"""Where answers are sparse, the windows that wait are put together: fewer requests for the same days."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.query.ledger import add_counts
from shared.database.models import QueryTask
from shared.jobs.model import Claim
from shared.querying.payloads import SLICE, slice_of, slice_payload
from shared.querying.profile import WIDEST_DAYS
from shared.querying.slices import Slice

#: A window with fewer answers is sparse.
SPARSE = 20

#: Waiting slices that are looked at: those of the same code lie a few codes apart.
_LOOK_AHEAD = 40


def widen(session: Session, claim: Claim, answers: int, believable_days: int) -> None:
    """Put the next two waiting windows of the same code together, if this one was sparse.

    After a window with nothing in it, no wider than the node is believed when it answers with nothing again.
    """
    done = slice_of(claim.payload)
    if answers >= SPARSE or done.days is None or done.time_from or done.time_until:
        return
    waiting = session.scalars(
        select(QueryTask)
        .where(QueryTask.job_id == claim.job_id, QueryTask.state == "pending", QueryTask.kind == SLICE)
        .order_by(QueryTask.id)
        .limit(_LOOK_AHEAD)
    ).all()
    same = [task for task in waiting if task.payload.get("code") == done.code and not task.failures]
    if len(same) < 2:  # noqa: PLR2004 - a pair
        return
    newer, older = same[0], same[1]
    joined = _joined(slice_of(newer.payload), slice_of(older.payload))
    widest = 4 * done.days if answers else believable_days
    plain = "verifies" not in newer.payload and "verifies" not in older.payload
    if plain and joined is not None and (joined.days or 0) <= min(widest, WIDEST_DAYS):
        newer.payload = slice_payload(joined)
        session.delete(older)
        add_counts(session, claim.job_id, slices_total=-1)


def _joined(newer: Slice, older: Slice) -> Slice | None:
    """Return the window of both, if they lie side by side and are whole days."""
    if None in (newer.date_from, newer.date_until, older.date_from, older.date_until):
        return None
    if newer.time_from or newer.time_until or older.time_from or older.time_until:
        return None
    if newer.date_from is None or older.date_until is None:
        return None
    if older.date_until + timedelta(days=1) != newer.date_from:
        return None
    return Slice(older.date_from, newer.date_until, code=newer.code)
