"""How all jobs, tasks, nodes and hand-overs stand, for Prometheus; the same whichever process is asked."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.broker.port import Broker
from shared.broker.topology import QUEUE_NAMES
from shared.clock import Clock
from shared.database.models import (
    HandoverBatch,
    JobRow,
    Node,
    NodeBudget,
    NodeLease,
    Query,
    QueryTask,
    Retrieve,
    RetrieveTask,
    TaskRow,
)
from shared.database.session import Database
from shared.errors import DoseQRError
from shared.jobs.shares.fair_share import credits_of
from shared.jobs.shares.node_load import is_held
from shared.notifications.outbox import count_by_state
from shared.retention.runs import runs

#: Seconds for which what was read is served again: many may scrape, and each reading counts rows.
MAX_AGE_S = 10.0
#: The time over which jobs that ended are counted with their duration.
RECENT = timedelta(hours=1)

_OPEN = ("pending", "queued", "running")
_IN_FLIGHT = ("queued", "running")
_KINDS: Mapping[str, tuple[type[JobRow], type[TaskRow]]] = {
    "query": (Query, QueryTask),
    "retrieve": (Retrieve, RetrieveTask),
}


class LedgerMetrics:
    """Reads the ledger and the queues at most every ten seconds; used by any number of threads."""

    def __init__(
        self,
        database: Database,
        broker: Broker,
        clock: Clock,
        tasks_of_worker: Mapping[str, int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`tasks_of_worker`: tasks of one node that a process works on at once, by kind of job."""
        self._database = database
        self._broker = broker
        self._clock = clock
        self._tasks_of_worker = tasks_of_worker
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._read: Sequence[Metric] = ()
        self._read_at = -math.inf

    def __call__(self) -> Sequence[Metric]:
        """Return the metrics; of a database or broker that is away, none."""
        with self._lock:
            if self._monotonic() - self._read_at >= MAX_AGE_S:
                self._read = [*self._of_database(), *self._of_queues()]
                self._read_at = self._monotonic()
            return self._read

    def _of_database(self) -> list[Metric]:
        try:
            with self._database.read() as session:
                return list(ledger_metrics(session, self._clock(), self._tasks_of_worker))
        except DoseQRError:
            return []

    def _of_queues(self) -> list[Metric]:
        ready = GaugeMetricFamily("doseqr_queue_messages_ready", "Messages that wait", labels=["queue"])
        consumers = GaugeMetricFamily("doseqr_queue_consumers", "Workers that listen", labels=["queue"])
        try:
            for queue in sorted(QUEUE_NAMES):
                state = self._broker.queue_state(queue)
                ready.add_metric([queue], state.ready)
                consumers.add_metric([queue], state.consumers)
        except DoseQRError:
            return []
        return [ready, consumers]


def ledger_metrics(session: Session, now: datetime, tasks_of_worker: Mapping[str, int]) -> Iterator[Metric]:
    """Yield the numbers of the ledger."""
    yield from _jobs(session, now)
    yield from _tasks(session, now, tasks_of_worker)
    yield from _nodes(session, now)
    batches = GaugeMetricFamily("doseqr_handover_batches", "Batches for the importer", labels=["state"])
    counted = select(HandoverBatch.state, func.count()).group_by(HandoverBatch.state)
    for state, number in session.execute(counted):
        batches.add_metric([state], number)
    yield batches
    yield from _retention(session, now)
    deliveries = GaugeMetricFamily(
        "doseqr_notification_deliveries", "Events on their way to addresses", labels=["state"]
    )
    for state, number in count_by_state(session).items():
        deliveries.add_metric([state], number)
    yield deliveries


def _jobs(session: Session, now: datetime) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("doseqr_jobs", "Jobs in the database", labels=["kind", "status"])
    ended = GaugeMetricFamily(
        "doseqr_jobs_ended_last_hour", "Jobs that ended in the last hour", labels=["kind", "status"]
    )
    longest = GaugeMetricFamily(
        "doseqr_job_longest_running_seconds", "Seconds since the oldest open job began", labels=["kind"]
    )
    for kind, (job, _) in _KINDS.items():
        for status, number in session.execute(select(job.status, func.count()).group_by(job.status)):
            jobs.add_metric([kind, status], number)
        recent = select(job.status, func.count()).where(job.ended_at > now - RECENT).group_by(job.status)
        for status, number in session.execute(recent):
            ended.add_metric([kind, status], number)
        began = session.scalar(
            select(func.min(job.requested_at)).where(job.status.in_(("queued", "running")))
        )
        longest.add_metric([kind], _age_s(began, now))
    yield from (jobs, ended, longest)


def _tasks(session: Session, now: datetime, tasks_of_worker: Mapping[str, int]) -> Iterator[Metric]:
    tasks = GaugeMetricFamily("doseqr_tasks", "Tasks that are not done", labels=["kind", "state"])
    due = GaugeMetricFamily("doseqr_tasks_due", "Tasks that could be begun now", labels=["kind"])
    oldest = GaugeMetricFamily(
        "doseqr_task_oldest_due_seconds", "Seconds for which the oldest of them is due", labels=["kind"]
    )
    workers = GaugeMetricFamily(
        "doseqr_useful_workers", "Worker processes that would have work that the nodes allow", labels=["kind"]
    )
    for kind, (job, task) in _KINDS.items():
        is_due = (task.state == "pending") & (task.due_at <= now)
        counted = select(task.state, func.count()).where(task.state.in_(_OPEN)).group_by(task.state)
        for state, number in session.execute(counted):
            tasks.add_metric([kind, state], number)
        number, since = session.execute(select(func.count(), func.min(task.due_at)).where(is_due)).one()
        due.add_metric([kind], number)
        oldest.add_metric([kind], _age_s(since, now))
        useful = _useful_tasks(session, job, task, now) / tasks_of_worker[kind]
        workers.add_metric([kind], math.ceil(useful))
    yield from (tasks, due, oldest, workers)


def _useful_tasks(session: Session, job: type[JobRow], task: type[TaskRow], now: datetime) -> int:
    """Return how many tasks could be in hand: those that are, and as many due ones as the nodes allow.

    The view `doseqr_useful_workers` of the database has the same number, for whoever reads no metrics.
    """
    in_flight = func.count().filter(task.state.in_(_IN_FLIGHT))
    due = func.count().filter((task.state == "pending") & (task.due_at <= now) & ~is_held(job))
    by_node = (
        select(Node.max_associations, in_flight, due)
        .join_from(task, job, task.job_id == job.id)
        .join(Node, Node.id == job.remote_id)
        .where(task.state.in_(_OPEN), job.status.in_(("queued", "running")))
        .group_by(job.remote_id, Node.max_associations)
    )
    return sum(
        flying + min(waiting, max(0, credits_of(allowed) - flying))
        for allowed, flying, waiting in session.execute(by_node)
    )


def _nodes(session: Session, now: datetime) -> Iterator[Metric]:
    held = GaugeMetricFamily("doseqr_node_associations", "Associations that stand", labels=["node"])
    waiting = GaugeMetricFamily(
        "doseqr_node_associations_waiting", "Requests that wait for an association", labels=["node"]
    )
    allowed = GaugeMetricFamily(
        "doseqr_node_associations_allowed", "Associations that the node allows or stands", labels=["node"]
    )
    tries = GaugeMetricFamily(
        "doseqr_node_failed_tries", "Tries in a row that did not reach the node", labels=["node"]
    )
    fuses = GaugeMetricFamily(
        "doseqr_node_fuse_blown", "Whether nothing is sent to the node for too many attempts", labels=["node"]
    )
    leases = {
        (node_id, is_held): number
        for node_id, is_held, number in session.execute(
            select(NodeLease.node_id, NodeLease.held, func.count())
            .where(NodeLease.until > now)
            .group_by(NodeLease.node_id, NodeLease.held)
        )
    }
    budgets = {budget.node_id: budget for budget in session.scalars(select(NodeBudget))}
    nodes = select(Node.id, Node.name, Node.max_associations).where(Node.kind == "remote")
    for node_id, name, most in session.execute(nodes):
        held.add_metric([name], leases.get((node_id, True), 0))
        waiting.add_metric([name], leases.get((node_id, False), 0))
        budget = budgets.get(node_id)
        blown_until = budget.fuse_blown_until if budget is not None else None
        allowed.add_metric([name], min(most, (budget.slowed_to if budget is not None else None) or most))
        tries.add_metric([name], budget.away_failures if budget is not None else 0)
        fuses.add_metric([name], blown_until is not None and now < blown_until)
    yield from (held, waiting, allowed, tries, fuses)


def _retention(session: Session, now: datetime) -> Iterator[Metric]:
    removed = GaugeMetricFamily(
        "doseqr_retention_removed", "What retention has removed ever", labels=["kind", "what"]
    )
    last = GaugeMetricFamily(
        "doseqr_retention_last_run_seconds", "Seconds since its last run ended", labels=["kind"]
    )
    for kind, run in runs(session).items():
        for what, number in run.totals.items():
            removed.add_metric([kind, what], number)
        if run.ended_at is not None:
            last.add_metric([kind], _age_s(run.ended_at, now))
    yield from (removed, last)


def _age_s(since: datetime | None, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds()) if since is not None else 0.0
