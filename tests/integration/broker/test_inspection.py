"""What a check finds out about a RabbitMQ, and that it leaves nothing there."""

from __future__ import annotations

import pytest

from shared.broker.definitions import ROLES, Role
from shared.broker.rabbitmq.broker import RabbitBroker
from shared.broker.rabbitmq.connection import close_quietly, connect, parse_address
from shared.broker.rabbitmq.inspection import Inspected, inspect_broker
from shared.broker.topology import Names
from shared.configuration.values import with_login
from tests.support.servers.rabbitmq import Inbox, a_message

PASSWORD = "limited"
ROLE = {role.name: role for role in ROLES}


def inspected(url: str, prefix: str, role: Role | None = None) -> dict[str, Inspected]:
    entries = inspect_broker(parse_address(url), Names(prefix), role)
    return {entry.subject: entry for entry in entries}


@pytest.fixture
def declared(own_node, own_prefix):
    """A broker with the topology, and its URL."""
    broker = RabbitBroker(own_node.url, own_prefix)
    broker.declare()
    yield broker, own_node.url
    broker.close()


@pytest.fixture
def limited(own_node, own_prefix):
    """Makes a user with these permissions; gives its URL."""

    def limited(configure: str, write: str, read: str) -> str:
        own_node.ctl("add_user", own_prefix, PASSWORD)
        own_node.ctl("set_permissions", own_prefix, configure, write, read)
        return with_login(own_node.url, own_prefix, PASSWORD)

    return limited


def test_a_user_with_all_rights_has_no_problem(declared, own_prefix):
    # Given
    broker, url = declared
    events = Inbox()
    subscription = broker.subscribe(["#"], events)
    # When
    found = inspected(url, own_prefix)
    # Then
    assert not [entry for entry in found.values() if entry.problem]
    assert f"read on {own_prefix}.query-tasks" in found
    assert {broker.queue_state(queue).ready for queue in ("query-tasks", "dead-letters")} == {0}
    subscription.close()
    assert not events.deliveries


def test_a_message_that_waits_is_left_alone(declared, own_prefix):
    # Given
    broker, url = declared
    broker.command(a_message("m1"))
    # When
    found = inspected(url, own_prefix)
    # Then
    assert found[f"read on {own_prefix}.echo"].detail == "not tried: 1 messages wait"
    inbox = Inbox(lambda delivery: delivery.ack())
    broker.consume("echo", inbox, workers=1)
    inbox.wait_for(1)
    assert not inbox.deliveries[0].redelivered


def test_missing_rights_are_found_each(declared, own_prefix, limited):
    # Given
    url = limited("^$", f"^{own_prefix}.dead$", f"^{own_prefix}.query$")
    # When
    found = inspected(url, own_prefix, ROLE["query"])
    # Then
    problems = {entry.subject for entry in found.values() if entry.problem}
    assert problems == {
        f"write on {own_prefix}.events",
        f"write on {own_prefix}.commands",
        f"read on {own_prefix}.query-tasks",
        f"read on {own_prefix}.query-profile",
    }
    assert "need not" in found["topology"].detail


def test_a_queue_with_other_properties_is_named(own_node, own_prefix):
    # Given
    connection = connect(parse_address(own_node.url), "test")
    names = Names(own_prefix)
    channel = connection.channel()
    for exchange in names.exchanges:
        channel.exchange_declare(exchange, exchange_type="topic", durable=True)
    for queue in names.queues:
        channel.queue_declare(queue, durable=True)
    close_quietly(connection)
    # When
    found = inspected(own_node.url, own_prefix)
    # Then
    assert "x-queue-type" in found["topology"].problem


def test_a_topology_that_is_not_there_is_not_made(own_node, own_prefix):
    # When
    found = inspected(own_node.url, own_prefix)
    # Then
    assert "not there yet" in found["topology"].detail
    assert own_prefix not in own_node.ctl("list_queues", "name")
