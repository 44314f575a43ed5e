"""What makes no sense: by message, with pika alone as another system would, and by command line."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from shared.broker.rabbitmq.connection import remove_topology
from tests.e2e.archive import CRITERIA, mixed_archive
from tests.support.ports import free_port
from tests.support.processes.installation import Installation, installed
from tests.support.waiting import wait_until

QUERY = "doseqr.command.query.v1"
GOOD: dict[str, Any] = {"remote": "pacs", "store": "doseqr", "criteria": CRITERIA}
REVERSED = {"types": ["CT"], "date_from": "2024-03-02", "date_until": "2024-03-01"}
#: Commands that can be read and not be done, by id, and the field that is wrong.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "reversed": ({**GOOD, "criteria": REVERSED}, "data.criteria.date_from"),
    "unknown-node": ({**GOOD, "remote": "nobody"}, "data.remote"),
    "no-modality": ({**GOOD, "criteria": {"types": []}}, "data.criteria.types"),
}
#: Messages that are no valid commands, by id, with the wrong field.
DEAD: dict[str, tuple[bytes, str]] = {
    "no-json": (b"\xff\x00 no JSON", ""),
    "unknown-type": (
        json.dumps(
            {"specversion": "1.0", "id": "unknown-type", "source": "/test", "type": "dance.v1"}
        ).encode(),
        "type",
    ),
    "no-remote": (
        json.dumps(
            {"specversion": "1.0", "id": "no-remote", "source": "/test", "type": QUERY, "data": {"store": 1}}
        ).encode(),
        "data.remote",
    ),
}


class Client:
    """Another system: pika, a queue for its events, and nothing of ours."""

    def __init__(self, channel: BlockingChannel, prefix: str) -> None:
        self._channel, self._prefix = channel, prefix
        self._inbox = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(self._inbox, f"{prefix}.events", "command.rejected.#")
        channel.queue_bind(self._inbox, f"{prefix}.events", "query.completed.*")

    def send(self, command_id: str, body: bytes) -> None:
        properties = pika.BasicProperties(message_id=command_id)
        self._channel.basic_publish(f"{self._prefix}.commands", "query", body, properties, mandatory=True)

    def order(self, command_id: str, data: dict[str, Any]) -> None:
        envelope = {"specversion": "1.0", "id": command_id, "source": "/test", "type": QUERY, "data": data}
        self.send(command_id, json.dumps(envelope).encode())

    def replies(self, number: int) -> dict[str, dict[str, Any]]:
        """Return the next events by the ids that end their routing keys."""
        found: dict[str, Any] = {}
        for method, _, body in self._channel.consume(self._inbox, auto_ack=True, inactivity_timeout=60):
            assert method is not None, f"only {len(found)} answers came"
            found[method.routing_key.rpartition(".")[2]] = json.loads(body)["data"]
            if len(found) == number:
                break
        self._channel.cancel()
        return found

    def dead_letters(self) -> dict[str, tuple[bytes, str]]:
        """Return body and reason of each dead letter by the id of its message."""
        found: dict[str, Any] = {}
        while (taken := self._channel.basic_get(f"{self._prefix}.dead-letters", auto_ack=True))[
            0
        ] is not None:
            _, properties, body = taken
            found[properties.message_id] = body, properties.headers["x-doseqr-reason"]
        return found

    def waiting(self, queue: str) -> int:
        declared = self._channel.queue_declare(f"{self._prefix}.{queue}", passive=True)
        return int(declared.method.message_count)


@contextmanager
def client(installation: Installation) -> Iterator[Client]:
    """Connect another system to the broker of an installation."""
    settings = installation.settings
    connection = pika.BlockingConnection(pika.URLParameters(settings.amqp_url))
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        yield Client(channel, settings.amqp_prefix)
    finally:
        connection.close()


def test_what_cannot_be_done_is_refused_by_field_and_what_cannot_be_read_is_kept_dead(
    installation, serving, scripted_pacs
):
    # Given
    pacs = scripted_pacs(mixed_archive(10))
    _, observer = serving("query")
    observer.add_pacs(pacs)
    with client(installation) as other:
        # When
        for command_id, (data, _) in REFUSED.items():
            other.order(command_id, data)
        for message_id, (body, _) in DEAD.items():
            other.send(message_id, body)
        replies = other.replies(len(REFUSED) + len(DEAD))
        # Then
        fields = {command_id: field for command_id, (_, field) in (*REFUSED.items(), *DEAD.items())}
        assert {command_id: reply["field"] for command_id, reply in replies.items()} == fields
        assert all(reply["command_id"] == command_id for command_id, reply in replies.items())
        assert all(reply["problem"] for reply in replies.values())
        # And
        wait_until(lambda: other.waiting("dead-letters") == len(DEAD))
        letters = other.dead_letters()
        assert {message_id: body for message_id, (body, _) in letters.items()} == {
            message_id: body for message_id, (body, _) in DEAD.items()
        }
        assert all(reason for _, reason in letters.values())
        # And
        other.order("good", GOOD)
        assert other.replies(1)["good"]["status"] == "completed"
        assert observer.query_json("good")["counts"]["found"] == 9
        assert other.waiting("query") == other.waiting("query-tasks") == other.waiting("dead-letters") == 0


@pytest.fixture(scope="module")
def idle(tmp_path_factory, rabbitmq_url) -> Iterator[Installation]:
    """An installation with the remote node `dead`, whose port is closed; no service runs."""
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    with installed(tmp_path_factory.mktemp("idle"), rabbitmq_url, prefix) as made:
        where = ("--host", "127.0.0.1", "--port", str(free_port()), "--ae-title", "DEAD")
        assert made.doseqr("nodes", "add", "remote", "dead", *where).code == 0
        yield made
    remove_topology(rabbitmq_url, prefix)


NODE = ("nodes", "add", "remote", "pacs", "--host", "127.0.0.1")
COMMAND = ("query", "--store", "doseqr", "--json")


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        pytest.param((*NODE, "--port", "70000", "--ae-title", "PACS", "--json"), "port", id="port"),
        pytest.param((*NODE, "--port", "104", "--ae-title", "A" * 17, "--json"), "ae_title", id="AE title"),
        pytest.param(
            (*COMMAND, "--remote", "dead", "--ct", "--from", "2024-03-02", "--until", "2024-03-01"),
            "date_from",
            id="from after until",
        ),
        pytest.param((*COMMAND, "--remote", "nobody", "--ct"), "remote", id="unknown node"),
        pytest.param((*COMMAND, "--remote", "dead"), "types", id="no modality"),
    ],
)
def test_wrong_usage_ends_with_2_and_names_the_field(idle, arguments, field):
    # When
    done = idle.doseqr(*arguments)
    # Then
    assert done.code == 2, done.err
    assert done.json["error"]["code"] == "wrong_usage"
    assert done.json["error"]["field"] == field
    assert done.err


def test_a_query_that_nobody_would_do_ends_at_once_with_4(idle):
    # When
    done = idle.doseqr(*COMMAND, "--remote", "dead", "--ct")
    # Then
    assert done.code == 4
    assert "doseqr serve query" in done.err


def test_a_query_without_its_broker_ends_with_4(idle):
    # When
    away = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    done = idle.doseqr(*COMMAND, "--remote", "dead", "--ct", DOSEQR_AMQP_URL=away)
    # Then
    assert done.code == 4
    assert "broker" in done.err


def test_a_query_of_a_dead_remote_node_ends_with_3(installation, serving):
    # Given
    serving("echo", "query")
    where = ("--host", "127.0.0.1", "--port", str(free_port()), "--ae-title", "DEAD")
    assert installation.doseqr("nodes", "add", "remote", "dead", *where).code == 0
    # When
    done = installation.doseqr(*COMMAND, "--remote", "dead", "--ct")
    # Then
    assert done.code == 3
    assert done.json["error"]["outcome"] == "connection refused"
    # And
    assert installation.doseqr("jobs", "--json").json == []
