"""A command that became a job leads to `accepted`, whatever fails between the commit and the event."""

from __future__ import annotations

import json
import os
import signal
import sys

import pytest

from services.query import main as query
from services.retrieve import main as retrieve
from shared.broker.memory.broker import MemoryBroker
from shared.broker.port import Message
from shared.clock import utc_now
from shared.contract.messages import AskAgain, CancelJob, Command, RunQuery, RunRetrieve
from shared.database.models import Query, Retrieve
from shared.database.session import Database
from shared.errors import BrokerAwayError
from shared.jobs.job_events import event_id
from shared.lifecycle import Lifecycle
from shared.messaging.codec import command_message
from shared.settings import Settings
from shared.tracing.trace_context import command_causation
from tests.support.jobs.rows import NOW, a_query, a_retrieve, a_series, a_study
from tests.support.processes.preloaded import preloaded
from tests.support.services.web import a_node
from tests.support.waiting import wait_until

QUERY = RunQuery(remote="pacs", store="doseqr", criteria={"types": ["CT"], "date_from": "2024-05-01"})
RETRIEVE = RunRetrieve(query_id="query-1")
COMMANDS: dict[str, tuple[Command, type[Query | Retrieve]]] = {
    "query": (QUERY, Query),
    "retrieve": (RETRIEVE, Retrieve),
}
SERVICES = {"query": query, "retrieve": retrieve}


class Outside(MemoryBroker):
    """A broker whose events are kept; the tasks of jobs go nowhere, so that no job gets on."""

    def __init__(self) -> None:
        super().__init__()
        self.declare()
        self.events: list[Message] = []
        self.away = 0

    def command(self, message: Message) -> None:
        if not message.routing_key.startswith("task."):
            super().command(message)

    def event(self, message: Message) -> None:
        if self.away and "heartbeat" not in message.routing_key:
            self.away -= 1
            raise BrokerAwayError("away")
        self.events.append(message)

    def ids(self, name: str) -> list[str]:
        return [message.message_id for message in self.events if f".{name}." in message.routing_key]


class DeadlyBroker(Outside):
    """The process dies as it publishes its first event."""

    def event(self, message: Message) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def settings_of(tmp_path) -> Settings:
    return Settings(data_dir=tmp_path, amqp_url="memory://", retry_pauses=())


def send(broker: MemoryBroker, command: Command, command_id: str) -> None:
    broker.command(command_message(command, source="/test", now=utc_now(), command_id=command_id))


def main() -> None:
    """Run in a process of its own: a service, the URL of its database, its folder and the id of a command."""
    die_after_the_commit(*sys.argv[1:])


def die_after_the_commit(service: str, url: str, folder: str, command_id: str) -> None:
    broker = DeadlyBroker()
    with Lifecycle() as lifecycle:
        SERVICES[service].start(settings_of(folder), broker, Database(url), lifecycle)
        send(broker, COMMANDS[service][0], command_id)
        lifecycle.stopping.wait(60)


@pytest.fixture
def world(database):
    """Two nodes and a completed query that kept one study."""
    a_node(database, "remote", "pacs")
    a_node(database, "store", "doseqr")
    with database.write() as session:
        session.add(a_query(studies_kept=1))
        session.flush()
        session.add_all([a_study("1.2.3"), a_series("1.2.3", "1.2.3.4")])
    return database


@pytest.fixture(params=["query", "retrieve"])
def running(request, world, tmp_path):
    """One service that runs, with its broker and its command."""
    broker = Outside()
    with Lifecycle() as lifecycle:
        SERVICES[request.param].start(settings_of(tmp_path), broker, world, lifecycle)
        yield request.param, broker
    broker.close()


@pytest.mark.parametrize("service", ["query", "retrieve"])
def test_accepted_is_published_after_a_kill_between_commit_and_event(service, world, tmp_path):
    # Given a worker that was killed after its commit
    arguments = (service, world.url.render_as_string(hide_password=False), str(tmp_path), "job-1")
    printed = (tmp_path / "worker.out", tmp_path / "worker.err")
    exit_code = preloaded().start(__name__, arguments, os.environ, *printed).wait(60)
    command, table = COMMANDS[service]
    with world.read() as session:
        committed = session.get(table, "job-1") is not None
    # When the broker delivers the command again, to another worker
    broker = Outside()
    with Lifecycle() as lifecycle:
        SERVICES[service].start(settings_of(tmp_path), broker, world, lifecycle)
        send(broker, command, "job-1")
        wait_until(lambda: bool(broker.ids("accepted")))
    broker.close()
    # Then
    assert (exit_code, committed) == (-signal.SIGKILL, True), printed[1].read_text()
    assert set(broker.ids("accepted")) == {"job-1-accepted"}


def test_accepted_is_published_after_the_broker_failed(running):
    # Given
    service, broker = running
    broker.away = 2
    # When
    send(broker, COMMANDS[service][0], "job-1")
    # Then
    wait_until(lambda: bool(broker.ids("accepted")))
    assert set(broker.ids("accepted")) == {"job-1-accepted"}


def test_the_same_command_after_the_end_repeats_accepted_and_end(running):
    # Given
    service, broker = running
    send(broker, COMMANDS[service][0], "job-1")
    wait_until(lambda: bool(broker.ids("accepted")))
    send(broker, CancelJob(job_id="job-1"), "cancel-1")
    wait_until(lambda: len(broker.ids("cancelled")) == 1)
    # When
    send(broker, COMMANDS[service][0], "job-1")
    # Then
    wait_until(lambda: len(broker.ids("cancelled")) == 2)
    assert set(broker.ids("accepted")) == {"job-1-accepted"}
    assert set(broker.ids("cancelled")) == {"job-1-cancelled"}


def test_a_cancel_of_an_ended_job_repeats_its_end(running):
    # Given
    service, broker = running
    send(broker, COMMANDS[service][0], "job-1")
    wait_until(lambda: bool(broker.ids("accepted")))
    send(broker, CancelJob(job_id="job-1"), "cancel-1")
    wait_until(lambda: len(broker.ids("cancelled")) == 1)
    # When
    send(broker, CancelJob(job_id="job-1"), "cancel-2")
    # Then
    wait_until(lambda: len(broker.ids("cancelled")) == 2)
    assert set(broker.ids("cancelled")) == {"job-1-cancelled"}


def test_a_used_id_with_other_content_is_rejected(running):
    # Given
    service, broker = running
    command, _ = COMMANDS[service]
    other = {"criteria": {"types": ["MG"]}} if service == "query" else {"types": ["CT"]}
    send(broker, command, "job-1")
    wait_until(lambda: bool(broker.ids("accepted")))
    # When
    send(broker, command.model_copy(update=other), "job-1")
    # Then
    wait_until(lambda: any(message.routing_key == "command.rejected.job-1" for message in broker.events))


@pytest.mark.parametrize("running", ["query"], indirect=True)
def test_a_rerun_is_accepted_again_when_its_command_is_repeated(running):
    # Given
    _, broker = running
    send(broker, QUERY, "job-1")
    wait_until(lambda: bool(broker.ids("accepted")))
    send(broker, CancelJob(job_id="job-1"), "cancel-1")
    wait_until(lambda: len(broker.ids("cancelled")) == 1)
    # When
    send(broker, AskAgain(job_id="job-1"), "again-1")
    send(broker, AskAgain(job_id="job-1"), "again-1")
    # Then
    wait_until(lambda: broker.ids("accepted").count(event_id("job-1", 1, "accepted")) == 2)


def test_long_ids_never_share_an_event_id():
    # Given
    first, second = "x" * 63 + "1", "x" * 63 + "2"
    # When
    ids = {event_id(job_id, 0, name) for job_id in (first, second) for name in ("accepted", "completed")}
    # Then
    assert len(ids) == 4
    assert all(len(text) <= 64 for text in ids)


def data_of(broker: Outside, name: str) -> dict[str, object]:
    message = next(message for message in broker.events if f".{name}." in message.routing_key)
    data = json.loads(message.body)["data"]
    assert isinstance(data, dict)
    return data


def test_an_event_of_a_cancelled_job_names_who_cancelled_it(running):
    # Given
    service, broker = running
    send(broker, COMMANDS[service][0], "job-1")
    wait_until(lambda: bool(broker.ids("accepted")))
    # When
    send(broker, CancelJob(job_id="job-1", requested_by="physicist"), "cancel-1")
    wait_until(lambda: bool(broker.ids("cancelled")))
    send(broker, CancelJob(job_id="job-1", requested_by="somebody else"), "cancel-2")
    wait_until(lambda: len(broker.ids("cancelled")) == 2)
    # Then
    bodies = [json.loads(message.body) for message in broker.events if ".cancelled." in message.routing_key]
    for body in bodies:
        assert (body["data"]["cancelled_by"], body["data"]["command_id"]) == ("physicist", "cancel-1")


@pytest.mark.parametrize("running", ["query"], indirect=True)
def test_a_rerun_forgets_who_cancelled_the_round_before(running, world):
    # Given
    _, broker = running
    send(broker, QUERY, "job-1")
    wait_until(lambda: bool(broker.ids("accepted")))
    send(broker, CancelJob(job_id="job-1", requested_by="physicist"), "cancel-1")
    wait_until(lambda: bool(broker.ids("cancelled")))
    # When
    send(broker, AskAgain(job_id="job-1"), "again-1")
    wait_until(lambda: len(broker.ids("accepted")) == 2)
    # Then
    with world.read() as session:
        assert session.get_one(Query, "job-1").cancelled_by is None


@pytest.mark.parametrize("running", ["query"], indirect=True)
def test_a_rerun_that_has_ended_ends_once_more_for_its_repeated_command(running):
    # Given
    _, broker = running
    send(broker, QUERY, "job-1")
    wait_until(lambda: bool(broker.ids("accepted")))
    send(broker, CancelJob(job_id="job-1"), "cancel-1")
    wait_until(lambda: bool(broker.ids("cancelled")))
    send(broker, AskAgain(job_id="job-1"), "again-1")
    wait_until(lambda: len(broker.ids("accepted")) == 2)
    send(broker, CancelJob(job_id="job-1"), "cancel-2")
    wait_until(lambda: len(broker.ids("cancelled")) == 2)
    # When
    send(broker, AskAgain(job_id="job-1"), "again-1")
    # Then
    wait_until(lambda: len(broker.ids("cancelled")) == 3)
    assert broker.ids("cancelled")[1] == broker.ids("cancelled")[2]


@pytest.mark.parametrize("running", ["query"], indirect=True)
def test_the_end_of_a_query_shows_that_no_retrieve_follows(running):
    # Given: a query with a retrieve, which is cancelled before it kept anything
    _, broker = running
    send(broker, QUERY.model_copy(update={"retrieve": True}), "job-1")
    wait_until(lambda: bool(broker.ids("accepted")))
    # When
    send(broker, CancelJob(job_id="job-1"), "cancel-1")
    wait_until(lambda: bool(broker.ids("cancelled")))
    # Then
    assert data_of(broker, "cancelled")["retrieve_id"] == ""


@pytest.mark.parametrize("running", ["query"], indirect=True)
@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"retrieve_after": True, "studies_kept": 1}, "ended-r"),
        ({"retrieve_after": True, "studies_kept": 0}, ""),
        ({"retrieve_after": True, "studies_kept": 1, "round": 2}, "ended-r2"),
        ({"retrieve_after": False, "studies_kept": 1}, None),
    ],
)
def test_the_end_of_a_query_names_the_retrieve_that_follows(running, world, columns, expected):
    # Given: a query whose end was not announced yet
    _, broker = running
    # When
    with world.write() as session:
        session.add(a_query("ended", ended_at=NOW, **columns))
    wait_until(lambda: bool(broker.ids("completed")))
    # Then
    assert data_of(broker, "completed").get("retrieve_id") == expected


@pytest.mark.parametrize("running", ["query"], indirect=True)
def test_the_retrieve_of_a_query_is_in_its_trace(running, world):
    # Given
    _, broker = running
    commands: list[Message] = []
    consumer = broker.consume("retrieve", lambda delivery: commands.append(delivery.message), workers=1)
    # When
    with world.write() as session:
        session.add(a_query("ended", ended_at=NOW, retrieve_after=True, studies_kept=1))
    wait_until(lambda: bool(commands))
    consumer.stop(1)
    # Then
    command = json.loads(commands[0].body)
    assert command["traceparent"] == command_causation("ended", None).context.traceparent
    assert command["causationid"] == "ended"


@pytest.mark.parametrize("running", ["retrieve"], indirect=True)
def test_the_end_of_a_retrieve_shows_how_arrival_is_known(running, world):
    # Given: a retrieve whose end was not announced yet
    _, broker = running
    # When
    with world.write() as session:
        session.add(a_retrieve("ended", status="completed", ended_at=NOW, verification="reported"))
    wait_until(lambda: bool(broker.ids("completed")))
    # Then
    assert data_of(broker, "completed")["verification"] == "reported"


def test_a_round_of_a_job_shares_no_event_id_with_another_job():
    # Given: the second round of one job, and a job that is named like it
    ids = [event_id("night", 1, "completed"), event_id("night-1", 0, "completed")]
    # Then
    assert len(set(ids)) == 2
    assert event_id("night-1", 0, "completed") == "night-1-completed"
