"""A RabbitMQ whose administrator lets no service configure anything."""

from __future__ import annotations

import json
import uuid
from urllib.parse import urlsplit

import pytest

from services.cli.commands.operation.topology import password_hash
from services.cli.local.private_rabbitmq import PrivateNode
from shared.broker.definitions import ROLES, definitions, user_of
from shared.broker.port import Broker, Message
from shared.broker.rabbitmq.broker import RabbitBroker
from shared.broker.rabbitmq.connection import NO_TLS_FILES
from shared.broker.topology import Names
from shared.configuration.values import with_login
from shared.errors import PermanentError
from tests.support.servers.rabbitmq import Inbox, a_message, acked
from tests.support.waiting import wait_until

PASSWORD = "p@ss/w:rd#1"


@pytest.fixture
def vhost(own_node: PrivateNode) -> str:
    """A virtual host of one test."""
    name = f"vhost-{uuid.uuid4().hex[:8]}"
    own_node.ctl("add_vhost", name)
    return name


@pytest.fixture
def log_in(own_node, vhost, own_prefix):
    """Opens a broker as a user; all are closed."""
    opened: list[Broker] = []
    netloc = urlsplit(own_node.url).netloc.rpartition("@")[2]

    def log_in(user: str) -> RabbitBroker:
        url = with_login(f"amqp://{netloc}/{vhost}", user, PASSWORD)
        broker = RabbitBroker(url, own_prefix, NO_TLS_FILES)
        opened.append(broker)
        return broker

    yield log_in
    for broker in opened:
        broker.close()


def import_topology(node: PrivateNode, vhost: str, prefix: str, folder) -> Names:
    names = Names(prefix)
    hashes = {user_of(names, role): password_hash(PASSWORD, b"salt") for role in ROLES}
    file = folder / "definitions.json"
    file.write_text(json.dumps(definitions(names, vhost, hashes)))
    node.ctl("import_definitions", str(file))
    return names


def test_services_work_with_imported_definitions_and_least_rights(
    own_node, vhost, own_prefix, log_in, tmp_path
):
    # Given
    names = import_topology(own_node, vhost, own_prefix, tmp_path)
    brokers = {role.name: log_in(user_of(names, role)) for role in ROLES}
    inbox = Inbox(acked)
    events: list[Message] = []
    # When
    for broker in brokers.values():
        broker.declare()
    brokers["echo"].consume("echo", inbox, workers=1)
    subscription = brokers["web"].subscribe(["echo.#"], events.append)
    brokers["web"].command(a_message("m1"))
    inbox.wait_for(1)
    brokers["echo"].event(a_message("e1", "echo.completed.m1"))
    wait_until(lambda: len(events) == 1)
    subscription.close()
    orders: list[Message] = []
    for name in ("echo", "query", "retrieve", "store"):
        brokers[name].subscribe(["control.*"], orders.append)
    brokers["operator"].event(a_message("c1", "control.ping"))
    wait_until(lambda: len(orders) == 4)
    # Then
    assert inbox.ids == ["m1"]
    with pytest.raises(PermanentError, match="control"):
        brokers["query"].event(a_message("c2", "control.drain"))
    brokers["query"].command(a_message("t1", "task.query"))
    with pytest.raises(PermanentError, match="access to topic 'query'"):
        brokers["query"].command(a_message("q1", "query"))
    with pytest.raises(PermanentError, match=f"missing is the permission write on {own_prefix}.commands"):
        brokers["echo"].command(a_message("m2"))


def test_what_was_declared_by_a_service_is_what_is_imported(own_node, vhost, own_prefix, tmp_path):
    # Given
    netloc = urlsplit(own_node.url).netloc
    own_node.ctl("set_permissions", "-p", vhost, "doseqr", ".*", ".*", ".*")
    broker = RabbitBroker(f"amqp://{netloc}/{vhost}", own_prefix, NO_TLS_FILES)
    import_topology(own_node, vhost, own_prefix, tmp_path)
    # When
    broker.declare()
    broker.close()
    # Then: RabbitMQ refuses other properties
    listed = own_node.ctl("list_policies", "-p", vhost)
    assert f"{own_prefix}-dead-letters" in listed


def test_a_missing_topology_and_the_missing_permission_are_named(own_node, vhost, own_prefix, log_in):
    # Given
    own_node.ctl("add_user", f"{own_prefix}-nobody", PASSWORD)
    own_node.ctl("set_permissions", "-p", vhost, f"{own_prefix}-nobody", "^$", ".*", ".*")
    # When
    with pytest.raises(PermanentError) as refused:
        log_in(f"{own_prefix}-nobody").declare()
    # Then
    text = str(refused.value)
    assert f"exchange {own_prefix}.commands" in text
    assert f"queue {own_prefix}.query-tasks" in text
    assert "the permission configure on" in text
    assert "doseqr topology --json" in text
    assert PASSWORD not in text


def test_a_consumer_goes_on_once_it_may_read(own_node, vhost, own_prefix, log_in, tmp_path, capfd):
    # Given
    names = import_topology(own_node, vhost, own_prefix, tmp_path)
    web, inbox = log_in(user_of(names, ROLES[4])), Inbox(acked)
    assert ROLES[4].name == "web"
    # When
    web.consume("echo", inbox, workers=1)
    web.command(a_message("m1"))
    # Then
    wait_until(lambda: "missing is the permission read" in capfd.readouterr().err)
    own_node.ctl("set_permissions", "-p", vhost, user_of(names, ROLES[4]), "^$", ".*", ".*")
    inbox.wait_for(1)
