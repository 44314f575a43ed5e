"""When a notification is sent: at once, with the next daily digest, or again after a failure. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.node_access.limits import parse_zone
from shared.schedules.recurrence import next_due, parse_recurrence


def due_at(digest_at: str, time_zone: str, now: datetime) -> datetime:
    """Return when an event is sent: now, or at the next time of the digest in its time zone.

    A time that the clocks skip is the next that exists, one that they show twice is the first of the two.
    """
    if not digest_at:
        return now
    return next_due(parse_recurrence(f"daily {digest_at}"), parse_zone(time_zone), now)


def retry_at(attempts: int, pauses: Sequence[float], now: datetime) -> datetime | None:
    """Return when the next attempt is due after so many; None: it is given up."""
    if attempts > len(pauses):
        return None
    return now + timedelta(seconds=pauses[attempts - 1])
