"""The load of each node: what each of its jobs has in flight and could begin, and the share that follows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, exists, func, literal, null, or_, select
from sqlalchemy.orm import Session, aliased

from shared.contract.messages import BACKGROUND, INTERACTIVE
from shared.database.models import JobRow, Node, Query, QueryTask, Retrieve, RetrieveTask, TaskRow
from shared.jobs.shares.fair_share import Standing, credits_of, shares, short
from shared.node_access.limits import MAX_ASSOCIATIONS_DEFAULT, MAX_ASSOCIATIONS_MOST

#: The jobs of all services that send requests to nodes, with their tasks.
_ALL: tuple[tuple[type[JobRow], type[TaskRow]], ...] = ((Query, QueryTask), (Retrieve, RetrieveTask))

#: Columns of one standing (see `Standing`), and the associations that its node allows.
_StandingRow = tuple[str, int, str, datetime, int, int, bool, bool, int | None]

RUNS = ("queued", "running")
IN_FLIGHT = ("queued", "running")
OPEN = ("pending", *IN_FLIGHT)


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


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """The nodes with work of other services: whose priority was raised, and for which somebody waits."""

    raised: frozenset[int]
    waited_for: frozenset[int]


class Standings:
    """Reads how the jobs of one service stand, within the caller's transaction."""

    def __init__(self, job: type[JobRow], task: type[TaskRow]) -> None:
        self._job = job
        # Built once: building it takes longer than executing it, and each task that ends executes it.
        of_all = _statement(job, task)
        self._of_node = of_all.where(job.remote_id == bindparam("of_node"))
        self._of_due = of_all.where(_has_due_or_idle_job(job, task))
        others = [(other, tasks) for other, tasks in _ALL if other is not job]
        self._raised = [_nodes_with_work(*other, other[0].raised.is_not(null())) for other in others]
        self._waited_for = [_nodes_with_work(*other, other[0].priority == INTERACTIVE) for other in others]

    def of_node(self, session: Session, node_id: int, now: datetime) -> Shared:
        """Return how the jobs of a node share it."""
        rows = session.execute(self._of_node, {"now": now, "of_node": node_id}).all()
        return _shared(rows, self._elsewhere(session, rows, now, [node_id]))

    def of_due(self, session: Session, now: datetime) -> list[Shared]:
        """Return how the jobs of nodes share them of which one may begin a task, or has none open.

        The number of nodes changes no number of statements.
        """
        rows = session.execute(self._of_due, {"now": now}).all()
        elsewhere = self._elsewhere(session, rows, now, list({row.remote_id for row in rows}))
        return [
            _shared(list(of_node), elsewhere) for _, of_node in groupby(rows, key=lambda row: row.remote_id)
        ]

    def _elsewhere(
        self, session: Session, rows: Sequence[Row[*_StandingRow]], now: datetime, node_ids: list[int]
    ) -> _Elsewhere:
        at_nodes = {"now": now, "of_nodes": node_ids}

        def nodes(statements: Iterable[Select[int]]) -> frozenset[int]:
            return frozenset(
                node_id for statement in statements for node_id in session.scalars(statement, at_nodes)
            )

        has_background = any(row.priority == BACKGROUND for row in rows)
        return _Elsewhere(
            raised=nodes(self._raised) if rows else frozenset(),
            waited_for=nodes(self._waited_for) if has_background else frozenset(),
        )


def _shared(rows: Sequence[Row[*_StandingRow]], elsewhere: _Elsewhere) -> Shared:
    """Return how the jobs of one node share it."""
    if not rows:
        return Shared((), {})
    node_id, limit = rows[0].remote_id, rows[0].max_associations
    standings = _standings(rows)
    given = shares(
        standings,
        credits_of(limit or MAX_ASSOCIATIONS_DEFAULT),
        waited_for=node_id in elsewhere.waited_for,
        raised_elsewhere=node_id in elsewhere.raised,
    )
    return Shared(standings, given)


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
            Node.max_associations,
        )
        .join(Node, Node.id == job.remote_id, isouter=True)
        .where(job.status.in_(RUNS), ~is_held(job))
        .order_by(job.remote_id, job.requested_at, job.id)
    )


def _has_due_or_idle_job(job: type[JobRow], task: type[TaskRow]) -> ColumnElement[bool]:
    """Return the condition that a job of the node has a task that is due, or that the job has none open.

    Hundreds of jobs that wait for the next try of their node are not read, only looked up in an index.
    """
    now, other = bindparam("now", type_=task.due_at.type), aliased(job)
    due = select(literal(1)).where(task.job_id == other.id, task.state == "pending", task.due_at <= now)
    runs = (other.status.in_(RUNS), due.correlate(other).limit(1).scalar_subquery().is_not(null()))
    open_task = select(literal(1)).where(task.job_id == job.id, task.state.in_(OPEN))
    is_idle = open_task.correlate(job).limit(1).scalar_subquery().is_(null())
    return or_(job.remote_id.in_(select(other.remote_id).where(*runs)), is_idle)


def _nodes_with_work(job: type[JobRow], task: type[TaskRow], which: ColumnElement[bool]) -> Select[int]:
    """Return at which nodes such jobs of one service have work that is due or under way."""
    now = bindparam("now", type_=task.due_at.type)
    due = and_(task.state == "pending", task.due_at <= now)
    work = exists().where(task.job_id == job.id, or_(task.state.in_(IN_FLIGHT), due)).correlate(job)
    at_nodes = job.remote_id.in_(bindparam("of_nodes", expanding=True))
    return select(job.remote_id).distinct().where(at_nodes, job.status.in_(RUNS), which, ~is_held(job), work)


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
        for job_id, node_id, priority, requested_at, flying, ready, waits, raised, _ in rows
    ]
