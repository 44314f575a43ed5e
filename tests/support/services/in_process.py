"""DoseQR's services in this process: over any broker and database, against any PACS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from shared.backoff import Backoff
from shared.broker.memory.broker import MemoryBroker
from shared.broker.port import Broker, Message
from shared.clock import utc_now
from shared.contract.messages import ENDED, Command, Event, JobEnded, RunQuery, RunRetrieve
from shared.database.models import Node, Query, Retrieve
from shared.database.session import Database
from shared.lifecycle import Lifecycle
from shared.messaging.codec import decode_event
from shared.messaging.publisher import Publisher
from shared.nodes.nodes import add_node, parse_node
from shared.reading.query_json import QueryJson, query_json
from shared.reading.retrieve_json import RetrieveJson, retrieve_json
from shared.settings import Settings
from tests.support.ports import free_port
from tests.support.waiting import wait_until


class System:
    """Services over one broker and one database, and the events they published."""

    def __init__(self, settings: Settings, broker: Broker, database: Database) -> None:
        self.settings = settings
        self.broker = broker
        self.database = database
        self.events: list[tuple[str, Event]] = []
        #: By job: who waits looks here often, and a module of tests has thousands of events.
        self._endings: dict[str, list[JobEnded]] = {}
        self.publisher = Publisher(broker, "test")
        self._lifecycles: dict[str, Lifecycle] = {}
        self._subscription = broker.subscribe(["#"], self._record)

    def _record(self, message: Message) -> None:
        event = decode_event(message)[1]
        self.events.append((message.routing_key, event))
        if isinstance(event, JobEnded):
            self._endings.setdefault(event.job_id, []).append(event)

    def start(self, *services: str) -> None:
        """Start services in this process; a name may be given again for a second one."""
        for service in services:
            lifecycle = Lifecycle()
            import_module(f"services.{service}.main").start(
                self.settings, self.broker, self.database, lifecycle
            )
            self._lifecycles[f"{service} {len(self._lifecycles)}"] = lifecycle

    def stop(self) -> None:
        """Stop all services, the last started first."""
        while self._lifecycles:
            self.stop_newest()

    def stop_newest(self) -> None:
        """Stop the service that was started last."""
        _, lifecycle = self._lifecycles.popitem()
        lifecycle.__exit__(None, None, None)

    def close(self) -> None:
        """Stop everything and let go of the broker."""
        self.stop()
        self._subscription.close()

    def add_remote(self, name: str, host: str, port: int, ae_title: str, calling: str = "DOSEQR") -> Node:
        """Make a remote node known."""
        return self._add("remote", name, host, port, ae_title, calling)

    def add_dicomweb(self, name: str, url: str, **options: Any) -> Node:
        """Make a remote node known that speaks DICOMweb."""
        given = {"kind": "remote", "name": name, "protocol": "dicomweb", "web_url": url} | options
        with self.database.write() as session:
            return add_node(session, parse_node(given), utc_now())

    def add_store(self, name: str, host: str, port: int, ae_title: str) -> Node:
        """Make a store node known."""
        return self._add("store", name, host, port, ae_title, None)

    def add_own_store(self) -> Node:
        """Make our own store known under the name `doseqr`."""
        return self.add_store("doseqr", "127.0.0.1", self.settings.store_port, self.settings.store_ae_title)

    def _add(self, kind: str, name: str, host: str, port: int, ae_title: str, calling: str | None) -> Node:
        given: dict[str, Any] = {
            "kind": kind,
            "name": name,
            "host": host,
            "port": port,
            "ae_title": ae_title,
        }
        if calling:
            given["calling_ae_title"] = calling
        with self.database.write() as session:
            return add_node(session, parse_node(given), utc_now())

    def command(self, command: Command, command_id: str | None = None) -> str:
        """Publish a command; return its id."""
        return self.publisher.command(command, command_id=command_id)

    def query(
        self,
        criteria: Mapping[str, Any],
        *,
        remote: int | str = "pacs",
        store: int | str = "doseqr",
        job_id: str | None = None,
        retrieve: bool = False,
    ) -> str:
        """Order a query; return its id."""
        order = RunQuery(remote=remote, store=store, criteria=dict(criteria), retrieve=retrieve)
        return self.command(order, job_id)

    def finished_query(
        self, criteria: Mapping[str, Any], *, timeout_s: float = 60.0, **options: Any
    ) -> QueryJson:
        """Run a query to its end; return its JSON."""
        job_id = self.query(criteria, **options)
        self.wait_for_end(job_id, timeout_s)
        return self.query_json(job_id)

    def finished_retrieve(self, query_id: str, **options: Any) -> RetrieveJson:
        """Retrieve what a query kept; return the JSON of the ended retrieve."""
        job_id = self.command(RunRetrieve(query_id=query_id, **options))
        self.wait_for_end(job_id)
        return self.retrieve_json(job_id)

    def query_json(self, job_id: str) -> QueryJson:
        """Return the JSON of a query."""
        with self.database.read() as session:
            return query_json(session, job_id)

    def retrieve_json(self, job_id: str) -> RetrieveJson:
        """Return the JSON of a retrieve."""
        with self.database.read() as session:
            return retrieve_json(session, job_id)

    def status(self, job_id: str) -> str:
        """Return the status of a job; empty if there is none."""
        with self.database.read() as session:
            job = session.get(Query, job_id) or session.get(Retrieve, job_id)
            return job.status if job is not None else ""

    def wait_for_status(self, job_id: str, *statuses: str, timeout_s: float = 60.0) -> None:
        """Wait until a job stands like this."""
        wait_until(lambda: self.status(job_id) in statuses, timeout_s)

    def wait_for_end(self, job_id: str, timeout_s: float = 60.0) -> None:
        """Wait until a job has ended and its end was announced."""
        # Events cost less than polling the database; a job that runs again has ended before.
        wait_until(lambda: bool(self.endings(job_id)), timeout_s)
        self.wait_for_status(job_id, *ENDED, timeout_s=timeout_s)

    def endings(self, job_id: str) -> list[JobEnded]:
        """Return the ending events of a job."""
        return list(self._endings.get(job_id, ()))

    def published(self, kind: type[Event]) -> list[Any]:
        """Return all events of one kind."""
        return [event for _, event in self.events if isinstance(event, kind)]

    def wait_for_event(self, kind: type[Event], timeout_s: float = 30.0) -> Any:
        """Wait for the first event of one kind."""
        wait_until(lambda: bool(self.published(kind)), timeout_s)
        return self.published(kind)[0]


def kept_objects(query: Mapping[str, Any]) -> set[str]:
    """Return the SOP Instance UIDs that a query's JSON keeps one by one."""
    return {
        entry["sop_instance_uid"]
        for study in query["studies"]
        for series in study["series"]
        for entry in series["objects"]
        if entry["decision"] == "keep"
    }


def kept_series(query: Mapping[str, Any]) -> set[str]:
    """Return the Series Instance UIDs that a query's JSON keeps as a whole."""
    return {
        series["series_instance_uid"]
        for study in query["studies"]
        for series in study["series"]
        if series["decision"] == "keep" and series["whole"]
    }


@pytest.fixture
def test_settings(tmp_path: Path) -> Settings:
    """Settings with free ports, short time-outs and a data folder of the test."""
    return Settings(
        data_dir=tmp_path / "data",
        store_port=free_port(),
        web_port=free_port(),
        dimse_timeout=5.0,
        connect_timeout=3.0,
        grace=5.0,
        retry_pauses=(0.1, 0.2),
    )


def shorten_waits(patch: pytest.MonkeyPatch) -> None:
    """Let the services of this process wait for a moment only between two tries or searches for due work."""
    # Each sweep costs milliseconds, in every system that a test runs or waits for.
    patch.setattr("shared.jobs.runner.SWEEP_S", 0.3)
    patch.setattr("shared.jobs.retry.AWAY", Backoff(0.1, 30.0))
    patch.setattr("services.query.search.window_task.AGAIN_AFTER_S", 0.1)


@pytest.fixture
def make_system(test_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., System]]:
    """Make a system over a given broker and database; all are stopped at the end."""
    shorten_waits(monkeypatch)
    made: list[System] = []

    def make(broker: Broker, database: Database, settings: Settings | None = None) -> System:
        made.append(System(settings or test_settings, broker, database))
        return made[-1]

    yield make
    for system in made:
        system.close()


@pytest.fixture
def system(make_system: Callable[..., System], sqlite_database: Database) -> System:
    """A system over the in-memory broker and SQLite; a test starts the services that it needs."""
    broker = MemoryBroker()
    broker.declare()
    made: System = make_system(broker, sqlite_database)
    return made
