"""Commands that read a job, over a real RabbitMQ, by a client that knows AMQP and nothing of ours."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pika
import pytest

from services.query.read_commands import ReadHandler
from shared.broker.rabbitmq.broker import RabbitBroker
from shared.broker.topology import DEAD_LETTERS
from shared.broker.worker import Worker
from shared.contract.messages import Command, RequestResult, RequestStatus
from shared.messaging.command_router import CommandHandler, CommandRouter
from shared.messaging.publisher import Publisher
from tests.support.jobs.rows import a_query, a_series, a_study
from tests.support.waiting import wait_until

STUDIES = 5


@pytest.fixture
def broker(rabbitmq_url, amqp_prefix, sqlite_database):
    """A broker with a service that reads jobs, and a query of five studies."""
    with sqlite_database.write() as session:
        session.add(a_query("query-1", studies_kept=STUDIES))
        session.flush()
        for number in range(STUDIES):
            session.add(a_study(f"1.2.{number}", "query-1"))
            session.add(a_series(f"1.2.{number}", f"1.2.{number}.1", "query-1"))
    broker = RabbitBroker(rabbitmq_url, amqp_prefix)
    handler = ReadHandler(sqlite_database)
    handlers: dict[type[Command], CommandHandler] = {
        RequestStatus: handler.status,
        RequestResult: handler.result,
    }
    worker = Worker(broker, "query", CommandRouter(handlers, Publisher(broker, "query")), workers=1)
    broker.declare()
    worker.start()
    yield broker
    worker.stop(5)
    broker.close()


class Client:
    """Another system: publishes commands and takes what comes to its queues."""

    def __init__(self, url: str, prefix: str, reply_to: str = "amq.rabbitmq.reply-to") -> None:
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self._channel = self._connection.channel()
        self._prefix = prefix
        self.reply_to = reply_to
        self.replies: list[tuple[str, dict[str, Any]]] = []
        self.events: list[str] = []
        events = self._channel.queue_declare("", exclusive=True).method.queue
        self._channel.queue_bind(events, f"{prefix}.events", "#")
        self._channel.basic_consume(events, self._event, auto_ack=True)

    def listen(self) -> None:
        if not self.reply_to.startswith("amq.rabbitmq"):
            self._channel.queue_declare(self.reply_to, exclusive=True)
        self._channel.basic_consume(self.reply_to, self._reply, auto_ack=True)

    def request(self, name: str, correlation_id: str = "mine-7", **data: object) -> str:
        command_id = uuid.uuid4().hex
        command = {"specversion": "1.0", "id": command_id, "source": "/stranger", "data": data}
        command["type"] = f"doseqr.command.{name}.v1"
        properties = pika.BasicProperties(reply_to=self.reply_to, correlation_id=correlation_id)
        self._channel.basic_publish(f"{self._prefix}.commands", name, json.dumps(command), properties)
        return command_id

    def wait(self, replies: int, events: int) -> None:
        def came() -> bool:
            self._connection.process_data_events(0.02)
            return len(self.replies) >= replies and len(self.events) >= events

        wait_until(came)

    def close(self) -> None:
        self._connection.close()

    def _reply(self, _channel: object, _method: object, properties: Any, body: bytes) -> None:
        self.replies.append((properties.correlation_id, json.loads(body)))

    def _event(self, _channel: object, method: Any, _properties: object, _body: bytes) -> None:
        self.events.append(method.routing_key)


@pytest.fixture
def client(request, rabbitmq_url, amqp_prefix):
    """A client whose reply queue is the one of the parameter."""
    client = Client(rabbitmq_url, amqp_prefix, getattr(request, "param", "amq.rabbitmq.reply-to"))
    yield client
    client.close()


@pytest.mark.parametrize("client", ["amq.rabbitmq.reply-to", "stranger.replies"], indirect=True)
def test_the_state_of_a_job_comes_as_an_event_and_as_a_reply(broker, client):
    # Given
    client.listen()
    # When
    command_id = client.request("status", job_id="query-1")
    client.wait(1, 1)
    # Then
    ((correlation_id, reply),) = client.replies
    assert (correlation_id, reply["id"]) == ("mine-7", f"{command_id}-status")
    assert reply["data"]["job"]["counts"]["kept"] == STUDIES
    assert client.events == ["query.status.query-1"]


def test_a_result_is_read_page_by_page_to_its_end(broker, client):
    # Given
    client.listen()
    found: list[str] = []
    after = ""
    # When
    for number in range(1, STUDIES + 2):
        client.request("result", job_id="query-1", after=after, limit=2)
        client.wait(number, number)
        page = client.replies[-1][1]["data"]
        found += [study["study_instance_uid"] for study in page["studies"]]
        after = page["next"]
        if not after:
            break
    # Then
    assert found == [f"1.2.{number}" for number in range(STUDIES)]
    assert len(client.replies) == 3


def test_an_unknown_job_is_rejected_to_the_reply_queue_as_well(broker, client):
    # Given
    client.listen()
    # When
    command_id = client.request("status", job_id="nothing")
    client.wait(1, 1)
    # Then
    assert client.replies[0][1]["data"]["field"] == "data.job_id"
    assert client.events == [f"command.rejected.{command_id}"]


@pytest.mark.parametrize(
    "client", ["{prefix}.query", "{prefix}.dead-letters", "amq.topic", "a b"], indirect=True
)
def test_a_reply_queue_of_the_services_is_refused(broker, client, amqp_prefix):
    # Given
    client.reply_to = client.reply_to.format(prefix=amqp_prefix)
    # When
    command_id = client.request("status", job_id="query-1")
    client.wait(0, 1)
    # Then
    assert client.events == [f"command.rejected.{command_id}"]
    assert broker.queue_state(DEAD_LETTERS).ready == 0
    assert broker.queue_state("query").ready == 0


def test_a_reply_queue_that_is_gone_loses_the_reply_alone(broker, client):
    # Given
    client.reply_to = "stranger.gone"
    # When
    client.request("status", job_id="query-1")
    client.wait(0, 1)
    # Then
    assert client.events == ["query.status.query-1"]
