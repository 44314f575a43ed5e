"""Publishes queries and retrieves and waits for them, for `query`, `qr`, `retrieve` and the demo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from services.cli.client.events import listening
from services.cli.client.follower import Follower
from services.cli.client.session import JOB_QUEUES, require_workers, who
from services.cli.output.exit_codes import OK, of_job
from services.cli.output.progress import reporting
from shared.broker.port import Broker
from shared.contract.criteria import Criteria
from shared.contract.envelope import new_id, retrieve_id_after
from shared.contract.messages import INTERACTIVE, JobPriority, RunQuery, RunRetrieve
from shared.database.models.query import Query
from shared.database.models.retrieve import Retrieve
from shared.database.models.web import Node
from shared.database.session import Database
from shared.messaging.publisher import Publisher

#: With --no-wait: seconds to wait until the services accept or reject the command.
ACCEPT_S = 5.0


@dataclass(frozen=True, slots=True)
class QueryOrder:
    """A query to be published."""

    remote: Node
    store: Node
    criteria: Criteria
    retrieve: bool
    priority: JobPriority = INTERACTIVE


@dataclass(frozen=True, slots=True)
class RetrieveOrder:
    """The part of a query to be retrieved; empty: everything it kept."""

    query_id: str
    types: tuple[str, ...] = ()
    study_instance_uids: tuple[str, ...] = ()
    priority: JobPriority = INTERACTIVE


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """How an order ended: the jobs by their ids, and the exit code."""

    query_id: str
    retrieve_id: str | None
    exit_code: int


@contextmanager
def _following(database: Database, broker: Broker, job_ids: Sequence[str]) -> Iterator[Follower]:
    with listening(broker, [f"*.*.{job_id}" for job_id in job_ids]) as event_queue, reporting() as reporter:
        yield Follower(database, broker, event_queue, reporter)


def _order_query(broker: Broker, order: QueryOrder, query_id: str) -> None:
    command = RunQuery(
        remote=order.remote.id,
        store=order.store.id,
        criteria=order.criteria.to_json(),
        requested_by=who(),
        retrieve=order.retrieve,
        priority=order.priority,
    )
    Publisher(broker, "cli").command(command, command_id=query_id)


def require_query_workers(broker: Broker, order: QueryOrder) -> None:
    """Require workers for every part of an order.

    Raises:
        CommandError: nobody listens.
        BrokerAwayError: the broker cannot be reached.
    """
    require_workers(broker, JOB_QUEUES["query"] + (JOB_QUEUES["retrieve"] if order.retrieve else ()))


def query_and_wait(database: Database, broker: Broker, order: QueryOrder) -> JobOutcome:
    """Order a query and wait for its end, and for that of its retrieve.

    Raises:
        CommandError: what is needed is or went away, or the wait was interrupted.
        InvalidInputError: the services rejected it.
    """
    query_id = new_id()
    retrieve_id = retrieve_id_after(query_id)
    with _following(database, broker, [query_id, retrieve_id]) as follower:
        _order_query(broker, order, query_id)
        query = follower.until_ended("query", query_id)
        code = of_job(query.status, query.failure)
        if not order.retrieve or not isinstance(query, Query) or not retrieves(query):
            return JobOutcome(query_id, None, code)
        retrieve = follower.until_ended("retrieve", retrieve_id)
        return JobOutcome(query_id, retrieve_id, max(code, of_job(retrieve.status, retrieve.failure)))


def retrieves(query: Query) -> bool:
    """Return whether an ended query that was ordered with a retrieve is followed by one."""
    return query.status in ("completed", "incomplete") and query.studies_kept > 0


def query_without_waiting(database: Database, broker: Broker, order: QueryOrder) -> tuple[str, bool]:
    """Order a query; returns its id, and whether the services took it within some seconds.

    Raises:
        InvalidInputError: the services rejected it.
        BrokerAwayError: the broker cannot be reached.
    """
    query_id = new_id()
    with _following(database, broker, [query_id]) as follower:
        _order_query(broker, order, query_id)
        return query_id, follower.until_accepted("query", query_id, ACCEPT_S) is not None


def _order_retrieve(broker: Broker, order: RetrieveOrder, retrieve_id: str) -> None:
    command = RunRetrieve(
        query_id=order.query_id,
        types=list(order.types),
        study_instance_uids=list(order.study_instance_uids),
        requested_by=who(),
        priority=order.priority,
    )
    Publisher(broker, "cli").command(command, command_id=retrieve_id)


def retrieve_and_wait(database: Database, broker: Broker, order: RetrieveOrder) -> JobOutcome:
    """Order a retrieve and wait for its end.

    Raises:
        CommandError: what is needed is or went away, or the wait was interrupted.
        InvalidInputError: the services rejected it.
    """
    retrieve_id = new_id()
    with _following(database, broker, [retrieve_id]) as follower:
        _order_retrieve(broker, order, retrieve_id)
        job = follower.until_ended("retrieve", retrieve_id)
        code = of_job(job.status, job.failure) if isinstance(job, Retrieve) else OK
        return JobOutcome(order.query_id, retrieve_id, code)


def retrieve_without_waiting(database: Database, broker: Broker, order: RetrieveOrder) -> tuple[str, bool]:
    """Order a retrieve; returns its id, and whether the services took it within some seconds.

    Raises:
        InvalidInputError: the services rejected it.
        BrokerAwayError: the broker cannot be reached.
    """
    retrieve_id = new_id()
    with _following(database, broker, [retrieve_id]) as follower:
        _order_retrieve(broker, order, retrieve_id)
        return retrieve_id, follower.until_accepted("retrieve", retrieve_id, ACCEPT_S) is not None
