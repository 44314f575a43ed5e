"""What needs somebody: nodes for which jobs wait, jobs that ended incomplete, and what came in lately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from shared.contract.messages import BACKGROUND, ENDED
from shared.database.models import Node, NodeBudget, NodeCheck, Query, Retrieve
from shared.reading.jobs import Job
from shared.reading.lists.job_search import JobEntry, with_queries

#: Rows of each list.
SHOWN = 10

#: Jobs of a node that are read of each kind for the place of one of them, and those before it that are shown.
QUEUE_READ, BEFORE_SHOWN = 100, 3


@dataclass(frozen=True, slots=True)
class WaitingNode:
    """A node that does not respond, and the jobs that wait for it."""

    name: str
    jobs: int


def waiting_nodes(session: Session) -> list[WaitingNode]:
    """Return the nodes whose jobs wait for another try; paused ones wait for somebody instead."""
    found: dict[str, int] = {}
    for model in (Query, Retrieve):
        # The note begins with the name of the node that is waited for.
        at_store = model.store_name + " — "
        waits_for_store = func.substr(model.note, 1, func.length(at_store)) == at_store
        name_of_node = case((waits_for_store, model.store_name), else_=model.remote_name)
        waiting = select(name_of_node, func.count()).where(
            model.status == "running", model.next_try_at.is_not(None), model.paused.is_(None)
        )
        for name, number in session.execute(waiting.group_by(name_of_node)):
            found[name] = found.get(name, 0) + number
    return [WaitingNode(name, number) for name, number in sorted(found.items())]


@dataclass(frozen=True, slots=True)
class BlownFuse:
    """A node to which nothing is sent, since too many associations were attempted."""

    node_id: int
    name: str
    note: str


def blown_fuses(session: Session, now: datetime) -> list[BlownFuse]:
    """Return the nodes whose fuse has blown."""
    blown = (
        select(Node.id, Node.name, NodeBudget.fuse_note)
        .join(NodeBudget, NodeBudget.node_id == Node.id)
        .where(NodeBudget.fuse_blown_until > now, Node.removed_at.is_(None))
    )
    return [BlownFuse(*row) for row in session.execute(blown.order_by(Node.name))]


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
class QueuePlace:
    """The place of a job among those of its node that have not ended, and the first of those before it."""

    place: int
    jobs: int
    before: Sequence[Job]


def queue_place(session: Session, job: Job) -> QueuePlace | None:
    """Return the place of a job that has not ended: raised jobs come first, then the older ones.

    They share the node, so a later place means a smaller share, not a wait. None if it has the node alone.
    """
    if job.status in ENDED:
        return None
    found: list[Job] = []
    for model in (Query, Retrieve):
        at_node = select(model).where(
            model.remote_id == job.remote_id, model.status.in_(("queued", "running"))
        )
        found += session.scalars(at_node.order_by(model.requested_at).limit(QUEUE_READ))
    if len(found) < 2:  # noqa: PLR2004 - itself, and another one
        return None
    ordered = sorted(
        found,
        key=lambda other: (other.raised is None, other.priority == BACKGROUND, other.requested_at, other.id),
    )
    place = next((place for place, other in enumerate(ordered) if other.id == job.id), len(ordered))
    return QueuePlace(place + 1, len(ordered), ordered[max(0, place - BEFORE_SHOWN) : place])


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
