"""A service without DICOM, whose tasks do what a test wants, on the tables of the query service."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy.orm import Session

from shared.broker.memory.broker import MemoryBroker
from shared.broker.port import Message
from shared.clock import utc_now
from shared.contract.messages import Event, JobEnded, JobKind, RunTask
from shared.control.job_control import JobControl
from shared.database.models import Query, QueryTask
from shared.database.session import Database
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import PeerError
from shared.jobs.engine import Engine
from shared.jobs.model import Claim, Ending, Result
from shared.jobs.new_task import NewTask
from shared.jobs.retry import Policy
from shared.messaging.codec import command_message, decode_event
from shared.messaging.publisher import Publisher
from tests.support.jobs.rows import a_query
from tests.support.waiting import wait_until

Act = Callable[[Claim, Cancellation], Sequence[NewTask]]


def task_message(task_id: int, job_id: str = "query-1") -> Message:
    """Return the message of a task."""
    task = RunTask(job_id=job_id, task_id=task_id)
    return command_message(task, source="/test", now=utc_now(), routing_key="task.query")


class FakeWork:
    """Implements the port of the engine; counts what was performed."""

    kind: JobKind = "query"
    job_table = Query
    task_table = QueryTask

    def __init__(self) -> None:
        self.act: Act = lambda _claim, _cancellation: []
        self.performed: list[int] = []
        self.given_up: list[tuple[int, str]] = []
        self.lock = threading.Lock()

    def perform(self, claim: Claim, cancellation: Cancellation) -> Result:
        with self.lock:
            self.performed.append(claim.task_id)
        follows = self.act(claim, cancellation)
        return Result(write=lambda _session: follows)

    def give_up(self, claim: Claim, error: PeerError) -> Result:
        self.given_up.append((claim.task_id, error.code))
        return Result(lambda _session: [], state="failed", error=error.code, detail=str(error))

    def drained(self, session: Session, job_id: str) -> Sequence[NewTask] | Ending:
        failed = session.query(QueryTask).filter_by(job_id=job_id, state="failed").count()
        return Ending("incomplete" if failed else "completed")

    def counts(self, session: Session, job_id: str) -> dict[str, Any]:
        return {"done": session.query(QueryTask).filter_by(job_id=job_id, state="done").count()}

    def ending_fields(self, session: Session, job_id: str) -> dict[str, Any]:
        return {}

    def before_announcing(self, session: Session, job_id: str) -> None:
        pass


class Bench:
    """Engines over one database and one broker, and everything that was published."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.broker = MemoryBroker()
        self.broker.declare()
        self.work = FakeWork()
        self.events: list[Event] = []
        self.broker.subscribe(["#"], lambda message: self.events.append(decode_event(message)[1]))
        self.publisher = Publisher(self.broker, "test")
        self.engine = self.new_engine("first")
        self.control = JobControl(self.engine)

    def new_engine(self, worker: str) -> Engine[Query]:
        return Engine(self.work, self.database, self.publisher, worker, Policy())

    def begin(self, tasks: int, job_id: str = "query-1", **columns: Any) -> None:
        with self.database.write() as session:
            job = a_query(job_id, status="queued", **columns)
            self.engine.start_job(session, job, [NewTask("slice", {"number": n}) for n in range(tasks)])

    def tasks(self) -> list[QueryTask]:
        with self.database.read() as session:
            return session.query(QueryTask).order_by(QueryTask.id).all()

    def in_flight(self, job_id: str) -> int:
        flying = [task for task in self.tasks() if task.state in ("queued", "running")]
        return sum(task.job_id == job_id for task in flying)

    def perform(self, job_id: str, number: int = 1) -> None:
        """Work on the oldest tasks of a job, as a worker would."""
        for _ in range(number):
            task = next(task for task in self.tasks() if task.job_id == job_id and task.state == "queued")
            self.engine.handle(task_message(task.id, job_id), False)

    def job(self, job_id: str = "query-1") -> Query:
        with self.database.read() as session:
            return session.get_one(Query, job_id)

    @property
    def endings(self) -> list[JobEnded]:
        return [event for event in self.events if isinstance(event, JobEnded)]

    def wait_for_end(self, times: int = 1) -> None:
        wait_until(lambda: len(self.endings) >= times)


@pytest.fixture
def bench(database: Database) -> Iterator[Bench]:
    bench = Bench(database)
    yield bench
    bench.broker.close()
