"""A RabbitMQ for the tests: the one that DOSEQR_TEST_AMQP_URL names, or a private node for the session."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator

import pytest

from services.cli.local.private_rabbitmq import PrivateNode, find_server_script, private_node
from shared.broker.memory.broker import MemoryBroker
from shared.broker.port import Broker, Delivery, Message
from shared.broker.rabbitmq.broker import RabbitBroker
from shared.broker.rabbitmq.connection import remove_topology
from tests.support.waiting import wait_until

MISSING = "no RabbitMQ: install the package rabbitmq-server or set DOSEQR_TEST_AMQP_URL"


def skip_or_fail(reason: str) -> None:
    """Skip on a developer's machine; in the build a missing broker is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def rabbitmq_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a broker that all tests of the session share; see `amqp_prefix`."""
    given = os.environ.get("DOSEQR_TEST_AMQP_URL")
    if given:
        yield given
        return
    script = find_server_script()
    if script is None:
        skip_or_fail(MISSING)
    assert script is not None
    with private_node(tmp_path_factory.mktemp("node"), script) as node:
        yield node.url


@pytest.fixture(scope="session")
def mortal_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateNode]:
    """A second node; see `own_node`."""
    script = find_server_script()
    if script is None:
        skip_or_fail(MISSING)
    assert script is not None
    with private_node(tmp_path_factory.mktemp("mortal"), script) as node:
        yield node


@pytest.fixture
def own_node(mortal_node) -> PrivateNode:
    """A running node that a test may stop, kill and start; use names of your own on it (`own_prefix`)."""
    if not mortal_node.running:
        mortal_node.start()
    node: PrivateNode = mortal_node
    return node


@pytest.fixture
def own_prefix() -> str:
    """A prefix for names on `own_node`, which forgets them at its end."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def amqp_prefix(rabbitmq_url) -> Iterator[str]:
    """Names of exchanges and queues of one test; they are taken away afterwards."""
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    yield prefix
    remove_topology(rabbitmq_url, prefix)


@pytest.fixture(params=["memory", "rabbitmq"])
def make_broker(request) -> Iterator[Callable[[], Broker]]:
    """Makes brokers that see the same queues: one broker in memory, or connections to one RabbitMQ."""
    made: list[Broker] = []
    if request.param == "memory":
        shared = MemoryBroker()
        made.append(shared)
        yield lambda: shared
    else:
        url = request.getfixturevalue("rabbitmq_url")
        prefix = request.getfixturevalue("amqp_prefix")

        def make() -> Broker:
            made.append(RabbitBroker(url, prefix))
            return made[-1]

        yield make
    for broker in made:
        broker.close()


@pytest.fixture
def broker(make_broker) -> Broker:
    """A broker with its topology declared."""
    broker: Broker = make_broker()
    broker.declare()
    return broker


class Inbox:
    """Records deliveries in order; ends each as configured (None leaves it unacknowledged)."""

    def __init__(self, end: Callable[[Delivery], None] | None = None) -> None:
        self.deliveries: list[Delivery] = []
        self._end = end

    def __call__(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        if self._end is not None:
            self._end(delivery)

    @property
    def ids(self) -> list[str]:
        return [delivery.message.message_id for delivery in self.deliveries]

    def wait_for(self, count: int) -> None:
        wait_until(lambda: len(self.deliveries) >= count)


def acked(delivery: Delivery) -> None:
    delivery.ack()


def a_message(message_id: str = "m1", routing_key: str = "echo", **fields: object) -> Message:
    return Message(**{"body": b"{}", **fields, "routing_key": routing_key, "message_id": message_id})  # type: ignore[arg-type]
