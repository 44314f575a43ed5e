"""Orders queries and retrieves, requests again what is missing of them, cancels them, and waits for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from services.cli.client.events import listening
from services.cli.client.follower import Follower
from services.cli.client.session import JOB_QUEUES, require_space, require_workers, who
from services.cli.output.console import notice
from services.cli.output.exit_codes import OK, of_job
from services.cli.output.progress import reporting
from shared.broker.port import Broker
from shared.contract.criteria import Criteria
from shared.contract.envelope import new_id, retrieve_id_after
from shared.contract.messages import (
    ENDED,
    INTERACTIVE,
    AskAgain,
    CancelJob,
    JobPriority,
    RunQuery,
    RunRetrieve,
)
from shared.contract.text import Content
from shared.database.models.query import Query
from shared.database.models.retrieve import Retrieve
from shared.database.models.web import Node
from shared.database.session import Database
from shared.errors import InvalidInputError
from shared.messaging.publisher import Publisher
from shared.reading.jobs import Job, get_job, kind_of

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
    #: None: as the remote node is set up.
    content: Content | None = None


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """How an order ended: the jobs by their ids, and the exit code."""

    query_id: str
    retrieve_id: str | None
    exit_code: int


@contextmanager
def _following(database: Database, broker: Broker, job_ids: Sequence[str]) -> Iterator[Follower]:
    require_space(database)
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
        content=order.content,
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


def cancel_and_wait(database: Database, broker: Broker, job: Job) -> Job:
    """Cancel a job and wait for its end.

    Raises:
        CommandError: what is needed is or went away, or the wait was interrupted.
        InvalidInputError: the services rejected the command.
    """
    kind, command_id = kind_of(job), new_id()
    require_workers(broker, JOB_QUEUES[kind][:1])
    keys = [f"*.*.{job.id}", f"command.rejected.{command_id}"]
    with listening(broker, keys) as event_queue, reporting() as reporter:
        Publisher(broker, "cli").command(CancelJob(job_id=job.id, requested_by=who()), command_id=command_id)
        follower = Follower(database, broker, event_queue, reporter, command_ids=(command_id,))
        try:
            return follower.until_ended(kind, job.id)
        except InvalidInputError:
            # It may have ended by itself before the command arrived: then there was nothing left to cancel.
            with database.read() as session:
                now = get_job(session, job.id)
            if now is None or now.status not in ENDED:
                raise
            return now


def query_again(database: Database, broker: Broker, query: Query, *, no_wait: bool) -> JobOutcome:
    """Request what is missing of a query again, and wait for its end and that of its retrieve.

    Raises:
        CommandError: what is needed is or went away, or the wait was interrupted.
        InvalidInputError: the services rejected the command.
    """
    require_workers(broker, JOB_QUEUES["query"] + (JOB_QUEUES["retrieve"] if query.retrieve_after else ()))
    require_space(database)
    rounds = query.round + 1
    command_id, retrieve_id = new_id(), retrieve_id_after(query.id, rounds)
    keys = [f"*.*.{query.id}", f"*.*.{retrieve_id}", f"command.rejected.{command_id}"]
    with listening(broker, keys) as event_queue, reporting() as reporter:
        _order_again(broker, query.id, command_id)
        follower = Follower(database, broker, event_queue, reporter, command_ids=(command_id,))
        if not no_wait:
            return _rerun_ended(follower, query, rounds, retrieve_id)
        if follower.until_accepted("query", query.id, ACCEPT_S, rounds=rounds) is None:
            notice("No service has taken the command yet.")
    return JobOutcome(query.id, None, OK)


def _rerun_ended(follower: Follower, query: Query, rounds: int, retrieve_id: str) -> JobOutcome:
    ended = follower.until_ended("query", query.id, rounds=rounds)
    code = of_job(ended.status, ended.failure)
    if not isinstance(ended, Query) or not ended.retrieve_after or not retrieves(ended):
        return JobOutcome(query.id, None, code)
    retrieve = follower.until_ended("retrieve", retrieve_id)
    return JobOutcome(query.id, retrieve_id, max(code, of_job(retrieve.status, retrieve.failure)))


def retrieve_again(
    database: Database, broker: Broker, earlier: Retrieve, *, no_wait: bool
) -> tuple[JobOutcome, bool]:
    """Order a retrieve of what an earlier one has not brought; also, whether a service took the command.

    Raises:
        CommandError: what is needed is or went away, or the wait was interrupted.
        InvalidInputError: the services rejected the command.
    """
    require_workers(broker, JOB_QUEUES["retrieve"])
    require_space(database)
    retrieve_id = new_id()
    with listening(broker, [f"*.*.{retrieve_id}"]) as event_queue, reporting() as reporter:
        _order_again(broker, earlier.id, retrieve_id)
        follower = Follower(database, broker, event_queue, reporter)
        if no_wait:
            accepted = follower.until_accepted("retrieve", retrieve_id, ACCEPT_S) is not None
            return JobOutcome(earlier.query_id, retrieve_id, OK), accepted
        job = follower.until_ended("retrieve", retrieve_id)
        return JobOutcome(earlier.query_id, retrieve_id, of_job(job.status, job.failure)), True


def _order_again(broker: Broker, job_id: str, command_id: str) -> None:
    Publisher(broker, "cli").command(AskAgain(job_id=job_id, requested_by=who()), command_id=command_id)
