"""How fast a node responded, over all its queries, and how many requests it got: reads of bounded cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.database.models import Query, QueryFind

#: How far back, queries that are read at most, and C-FINDs of which the duration is read at most.
PERIOD, MAX_QUERIES, MAX_FINDS = timedelta(days=30), 5000, 20_000


@dataclass(frozen=True, slots=True)
class Find:
    """One C-FIND: when it was sent, at which level, and how long it took."""

    at: datetime
    level: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class NodePace:
    """The C-FINDs of a node: numbers by the day on which their query was requested, and the newest ones."""

    requests: list[tuple[datetime, int]]
    finds: list[Find]


def node_pace(session: Session, node_id: int, now: datetime) -> NodePace:
    """Return what is known of the last thirty days."""
    queries = session.execute(
        select(Query.id, Query.requested_at, Query.finds)
        .where(Query.remote_id == node_id, Query.requested_at >= now - PERIOD)
        .order_by(Query.requested_at.desc(), Query.id.desc())
        .limit(MAX_QUERIES)
    ).all()
    read: list[str] = []
    number = 0
    for query in queries:
        if read and number + query.finds > MAX_FINDS:
            break
        read.append(query.id)
        number += query.finds
    rows = session.execute(
        select(QueryFind.asked_at, QueryFind.level, QueryFind.duration_ms)
        .where(QueryFind.job_id.in_(read))
        .limit(MAX_FINDS)
    )
    finds = [Find(row.asked_at, row.level, row.duration_ms) for row in rows]
    return NodePace([(query.requested_at, query.finds) for query in queries], finds)


def by_day(moments: Iterable[tuple[date, int]]) -> dict[date, list[int]]:
    """Return the values of each day, in the order of days."""
    days: dict[date, list[int]] = {}
    for day, value in moments:
        days.setdefault(day, []).append(value)
    return dict(sorted(days.items()))
