"""Events of hospitals reach a hub by shovel (docs/national-programme.md), also after the hub was away."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pika
import pytest

from services.cli.local.ports import free_ports
from services.cli.local.private_rabbitmq import PrivateNode, find_epmd, find_server_script
from shared.broker.rabbitmq.broker import RabbitBroker
from shared.contract.messages import Completed
from shared.messaging.publisher import Publisher
from tests.support.servers.rabbitmq import MISSING, skip_or_fail

HOSPITALS = ("st-mary", "st-john")
OUTBOX, ALL = "hub.outbox", "all"
EVENTS = 5
PATIENCE_S = 60.0


class ShovelNode(PrivateNode):
    """A node with the shovel plug-in."""

    def _write_configuration(self) -> None:
        super()._write_configuration()
        (self.folder / "plugins").write_text("[rabbitmq_shovel].\n", encoding="utf-8")


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[dict[str, ShovelNode]]:
    """The brokers of the hub and of each hospital."""
    script, epmd = find_server_script(), find_epmd()
    if script is None or epmd is None:
        skip_or_fail(MISSING)
    assert script is not None
    assert epmd is not None
    if not list(script.parent.parent.glob("plugins/rabbitmq_shovel-*")):
        pytest.skip("this RabbitMQ has no shovel plug-in")
    with ExitStack() as stack:
        made = {}
        for name in ("hub", *HOSPITALS):
            port, dist_port, epmd_port = free_ports(3)
            node = ShovelNode(tmp_path / name, script, epmd, port, dist_port, epmd_port)
            stack.callback(node.stop)
            node.start()
            made[name] = node
        yield made


@contextmanager
def channel_of(node: PrivateNode) -> Iterator[Any]:
    with pika.BlockingConnection(pika.URLParameters(node.url)) as connection:
        yield connection.channel()


def connect(hospital: str, node: PrivateNode, broker: RabbitBroker, hub: PrivateNode) -> Publisher:
    """Set up a hospital's side and its exchange at the hub; return what publishes there."""
    quorum = {"x-queue-type": "quorum"}
    with channel_of(hub) as at_hub:
        at_hub.exchange_declare(f"{hospital}.events", "topic", durable=True)
        at_hub.queue_declare(ALL, durable=True, arguments=quorum)
        at_hub.queue_bind(ALL, f"{hospital}.events", "#")
    broker.declare()
    with channel_of(node) as there:
        there.queue_declare(OUTBOX, durable=True, arguments=quorum)
        there.queue_bind(OUTBOX, "doseqr.events", "query.completed.#")
    shovel = {
        "src-protocol": "amqp091",
        "src-uri": node.url,
        "src-queue": OUTBOX,
        "dest-protocol": "amqp091",
        "dest-uri": hub.url,
        "dest-exchange": f"{hospital}.events",
        "dest-add-forward-headers": True,
        "ack-mode": "on-confirm",
        "reconnect-delay": 1,
    }
    node.ctl("set_parameter", "shovel", "to-hub", json.dumps(shovel))
    return Publisher(broker, "query")


def publish(publishers: dict[str, Publisher], numbers: range) -> set[tuple[str, str]]:
    sent = set()
    for hospital, publisher in publishers.items():
        for number in numbers:
            job_id = f"{hospital}-{number}"
            event = Completed(job_id=job_id, kind="query", status="completed", counts={})
            publisher.event(event, "query", job_id)
            sent.add((hospital, job_id))
    return sent


def arrived(hub: PrivateNode, wanted: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return hospital and job of the events at the hub: all that are wanted, or those of a minute."""
    found: set[tuple[str, str]] = set()
    deadline = time.monotonic() + PATIENCE_S
    with channel_of(hub) as channel:
        for _, properties, body in channel.consume(ALL, auto_ack=True, inactivity_timeout=1):
            if body is not None:
                came_by = properties.headers["x-shovelled"][0]["dest-exchange"]
                found.add((came_by.removesuffix(".events"), json.loads(body)["data"]["job_id"]))
            if found >= wanted or time.monotonic() > deadline:
                break
    return found


@pytest.mark.timeout(600)
def test_ends_of_all_hospitals_reach_a_hub_that_was_away(nodes):
    # Given
    hub = nodes["hub"]
    with ExitStack() as stack:
        publishers = {}
        for hospital in HOSPITALS:
            broker = RabbitBroker(nodes[hospital].url, "doseqr")
            stack.callback(broker.close)
            publishers[hospital] = connect(hospital, nodes[hospital], broker, hub)
        # When
        first = publish(publishers, range(EVENTS))
        # Then
        assert arrived(hub, first) == first
        # When
        hub.kill()
        second = publish(publishers, range(EVENTS, 2 * EVENTS))
        hub.start()
        # Then
        assert arrived(hub, second) == second
