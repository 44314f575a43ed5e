"""The load of each node: what each of its jobs has in flight and could begin, and the share that follows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, exists, func, literal, null, or_, select
from sqlalchemy.orm import Session

from shared.contract.messages import INTERACTIVE
from shared.database.models import JobRow, Node, Query, QueryTask, Retrieve, RetrieveTask, TaskRow
from shared.jobs.fair_share import Standing, credits_of, shares, short
from shared.node_access.limits import MAX_ASSOCIATIONS_DEFAULT, MAX_ASSOCIATIONS_MOST

#: The jobs of all services that send requests to nodes, with their tasks.
_ALL: tuple[tuple[type[JobRow], type[TaskRow]], ...] = ((Query, QueryTask), (Retrieve, RetrieveTask))

#: Columns of one standing: see `Standing`.
_StandingRow = tuple[str, int, str, datetime, int, int, bool, bool]

RUNS = ("queued", "running")
IN_FLIGHT = ("queued", "running")


def nodes_of(job: type[JobRow]) -> Sequence[ColumnElement[int]]:
    """Return the columns with the nodes that jobs of this kind need."""
    remote, store = job.remote_id.expression, job.store_id.expression
    return (remote, store) if issubclass(job, Retrieve) else (remote,)


def is_held(job: type[JobRow]) -> ColumnElement[bool]:
    """Return the condition that a job is paused, or a node that it needs."""
    paused_node = exists().where(
        or_(*(Node.id == node_id for node_id in nodes_of(job))), Node.paused.is_not(null())
    )
    return or_(job.paused.is_not(null()), paused_node.correlate(job))


@dataclass(frozen=True, slots=True)
class Shared:
    """The jobs of one node, and what each may have in flight."""

    standings: Sequence[Standing]
    shares: dict[str, int]

    def free(self, job_id: str) -> int:
        """Return how many tasks a job may begin now."""
        in_flight = next((standing.in_flight for standing in self.standings if standing.job_id == job_id), 0)
        return max(0, self.shares.get(job_id, 0) - in_flight)

    def short(self) -> list[str]:
        """Return the jobs that have less in flight than their share, and something to begin."""
        return short(self.standings, self.shares)


_MAX_ASSOCIATIONS = select(Node.max_associations).where(Node.id == bindparam("of_node"))


class Standings:
    """Reads how the jobs of one service stand, within the caller's transaction."""

    def __init__(self, job: type[JobRow], task: type[TaskRow]) -> None:
        self._job = job
        # Built once: building it takes longer than executing it, and each task that ends executes it.
        self._of_all = _statement(job, task)
        self._of_node = self._of_all.where(job.remote_id == bindparam("of_node"))
        self._raised = [_raised_at_node(other, tasks) for other, tasks in _ALL if other is not job]

    def of_node(self, session: Session, node_id: int, now: datetime) -> Shared:
        """Return how the jobs of a node share it."""
        read = _standings(session.execute(self._of_node, {"now": now, "of_node": node_id}))
        return self._shared(session, node_id, read, now)

    def of_all(self, session: Session, now: datetime) -> list[Shared]:
        """Return how the jobs of each node share it."""
        read = _standings(session.execute(self._of_all, {"now": now}))
        return [
            self._shared(session, node_id, list(jobs), now)
            for node_id, jobs in groupby(read, key=lambda standing: standing.node_id)
        ]

    def _shared(self, session: Session, node_id: int, standings: Sequence[Standing], now: datetime) -> Shared:
        limit = session.scalar(_MAX_ASSOCIATIONS, {"of_node": node_id})
        waited_for = any(standing.background for standing in standings) and self._waited_for(
            session, node_id, now
        )
        given = shares(
            standings,
            credits_of(limit or MAX_ASSOCIATIONS_DEFAULT),
            waited_for=waited_for,
            raised_elsewhere=self._raised_elsewhere(session, node_id, now),
        )
        return Shared(standings, given)

    def _raised_elsewhere(self, session: Session, node_id: int, now: datetime) -> bool:
        """Return whether a job of another service that was raised has work at the node."""
        return any(session.scalar(raised, {"now": now, "of_node": node_id}) for raised in self._raised)

    def _waited_for(self, session: Session, node_id: int, now: datetime) -> bool:
        """Return whether another service has work at the node for which somebody waits."""
        return any(
            session.scalar(
                select(exists().where(job.priority == INTERACTIVE, *_busy(job, task, node_id, now)))
            )
            for job, task in _ALL
            if job is not self._job
        )


def _statement(job: type[JobRow], task: type[TaskRow]) -> Select[*_StandingRow]:
    own, now = task.job_id == job.id, bindparam("now", type_=task.due_at.type)
    in_flight = select(func.count()).select_from(task).where(own, task.state.in_(IN_FLIGHT))
    due = select(literal(1)).where(own, task.state == "pending", task.due_at <= now)
    # No job may begin more than that: thousands that wait are not counted each time.
    some = due.correlate(job).limit(credits_of(MAX_ASSOCIATIONS_MOST)).subquery()
    later = exists().where(own, task.state == "pending", task.due_at > now)
    return (
        select(
            job.id,
            job.remote_id,
            job.priority,
            job.requested_at,
            in_flight.correlate(job).scalar_subquery(),
            select(func.count()).select_from(some).correlate(job).scalar_subquery(),
            later.correlate(job),
            job.raised.is_not(null()),
        )
        .where(job.status.in_(RUNS), ~is_held(job))
        .order_by(job.remote_id, job.requested_at, job.id)
    )


def _raised_at_node(job: type[JobRow], task: type[TaskRow]) -> Select[bool]:
    """Return whether raised jobs of one service have work at a node."""
    now = bindparam("now", type_=task.due_at.type)
    due = and_(task.state == "pending", task.due_at <= now)
    work = exists().where(task.job_id == job.id, or_(task.state.in_(IN_FLIGHT), due)).correlate(job)
    at_node = (job.remote_id == bindparam("of_node"), job.status.in_(RUNS), job.raised.is_not(null()))
    return select(exists().where(*at_node, ~is_held(job), work))


def _standings(rows: Iterable[Row[*_StandingRow]]) -> list[Standing]:
    return [
        Standing(
            job_id,
            node_id,
            priority,
            requested_at,
            flying,
            ready,
            bool(flying or ready or waits),
            bool(raised),
        )
        for job_id, node_id, priority, requested_at, flying, ready, waits, raised in rows
    ]


def _busy(
    job: type[JobRow], task: type[TaskRow], node_id: int, now: datetime
) -> Sequence[ColumnElement[bool]]:
    due = and_(task.state == "pending", task.due_at <= now)
    return (
        job.remote_id == node_id,
        job.status.in_(RUNS),
        ~is_held(job),
        task.job_id == job.id,
        task.state.in_(IN_FLIGHT) | due,
    )
