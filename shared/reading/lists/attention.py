"""What needs somebody: nodes for which jobs wait, jobs that ended incomplete, and what came in lately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.contract.messages import ENDED
from shared.database.models import Node, NodeCheck, Query, Retrieve
from shared.reading.jobs import Job
from shared.reading.lists.job_search import JobEntry, with_queries

#: Rows of each list.
SHOWN = 10


@dataclass(frozen=True, slots=True)
class WaitingNode:
    """A node that does not respond, and the jobs that wait for it."""

    name: str
    jobs: int


def waiting_nodes(session: Session) -> list[WaitingNode]:
    """Return the nodes whose jobs wait for another try; paused ones wait for somebody instead."""
    found: dict[str, int] = {}
    for model in (Query, Retrieve):
        waiting = select(model.remote_name, func.count()).where(
            model.status == "running", model.next_try_at.is_not(None), model.paused.is_(None)
        )
        for name, number in session.execute(waiting.group_by(model.remote_name)):
            found[name] = found.get(name, 0) + number
    return [WaitingNode(name, number) for name, number in sorted(found.items())]


def dead_nodes(session: Session) -> list[tuple[Node, NodeCheck]]:
    """Return the nodes that did not respond to their last C-ECHO."""
    failed = (
        select(Node, NodeCheck)
        .join(NodeCheck, NodeCheck.node_id == Node.id)
        .where(Node.removed_at.is_(None), NodeCheck.ok.is_(False))
        .order_by(Node.name)
        .limit(SHOWN)
    )
    return [(node, check) for node, check in session.execute(failed)]


def running_jobs(session: Session) -> list[JobEntry]:
    """Return the jobs that have not ended, the newest first; a retrieve with its query."""
    return with_queries(session, _newest(session, ("queued", "running"), None))


def incomplete_jobs(session: Session, since: datetime) -> list[JobEntry]:
    """Return the jobs that ended since then and lack something, the newest first."""
    return with_queries(session, _newest(session, ("incomplete", "failed"), since))


def _newest(session: Session, statuses: Sequence[str], ended_since: datetime | None) -> Sequence[Job]:
    found: list[Job] = []
    for model in (Query, Retrieve):
        wanted = select(model).where(model.status.in_(statuses))
        if ended_since is not None:
            wanted = wanted.where(model.ended_at >= ended_since)
        found += session.scalars(wanted.order_by(model.requested_at.desc(), model.id).limit(SHOWN))
    return sorted(found, key=lambda job: job.requested_at, reverse=True)[:SHOWN]


@dataclass(frozen=True, slots=True)
class PeriodSummary:
    """What jobs that ended in a time brought."""

    begin: datetime
    end: datetime
    queries: int
    found: int
    kept: int
    retrieves: int
    arrived: int
    not_complete: int


def period(session: Session, begin: datetime, end: datetime) -> PeriodSummary:
    """Return what the jobs brought that ended between two moments."""
    bad = ENDED - {"completed", "cancelled"}
    queries = session.execute(
        select(
            func.count(),
            func.coalesce(func.sum(Query.studies_found), 0),
            func.coalesce(func.sum(Query.studies_kept), 0),
            func.count().filter(Query.status.in_(bad)),
        ).where(Query.ended_at >= begin, Query.ended_at < end)
    ).one()
    retrieves = session.execute(
        select(
            func.count(),
            func.coalesce(func.sum(Retrieve.arrived), 0),
            func.count().filter(Retrieve.status.in_(bad)),
        ).where(Retrieve.ended_at >= begin, Retrieve.ended_at < end)
    ).one()
    number, found, kept, bad_queries = queries
    return PeriodSummary(
        begin, end, number, found, kept, retrieves[0], retrieves[1], bad_queries + retrieves[2]
    )
