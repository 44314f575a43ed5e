"""What only a real RabbitMQ can do to us: go away, come back, cut connections, wait for heartbeats."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time

import pytest

from services.web.live.event_stream import Live
from shared.broker.port import Broker
from shared.broker.rabbitmq.broker import RabbitBroker
from shared.broker.rabbitmq.connection import can_open, remove_topology
from shared.broker.topology import DEAD_LETTERS
from shared.broker.worker import Worker
from shared.errors import BrokerAwayError, PermanentError, SettingsError, UnroutableError
from tests.support.servers.rabbitmq import Inbox, a_message, acked
from tests.support.waiting import wait_until

#: Longer than RabbitMQ takes to end a connection of heartbeat 2 (two missed heartbeats, then a look).
SILENCE_S = 8.0


@contextlib.contextmanager
def open_rabbit(url: str, prefix: str):
    broker = RabbitBroker(url, prefix)
    try:
        broker.declare()
        yield broker
    finally:
        broker.close()


def publish_until_confirmed(broker: Broker, message_id: str) -> None:
    """Publish although the broker is away for longer than one bounded publication tries."""
    deadline = time.monotonic() + 60
    while True:
        try:
            broker.command(a_message(message_id))
        except BrokerAwayError:
            assert time.monotonic() < deadline
        else:
            return


def test_broker_killed_in_mid_work_redelivers_what_was_not_acked(own_node, own_prefix):
    """One restart for three: it takes the node seconds of a processor."""
    # Given work that was not acked, a message that waits, and an event that its worker could not publish
    may_end, may_publish, published = threading.Event(), threading.Event(), threading.Event()

    def slow_at_first(delivery):
        if not delivery.redelivered:
            may_end.wait(90)
        delivery.ack()

    def announce(message, redelivered):
        may_publish.wait(60)
        outgoing.event(a_message("done", "store.completed"))
        published.set()

    inbox = Inbox(slow_at_first)
    with (
        open_rabbit(own_node.url, own_prefix) as broker,
        open_rabbit(own_node.url, f"{own_prefix}-other") as outgoing,
    ):
        broker.consume("echo", inbox, workers=2)
        broker.command(a_message("in-hand"))
        inbox.wait_for(1)
        outgoing.command(a_message("waiting"))
        worker = Worker(broker, "store", announce, workers=1)
        worker.start()
        broker.command(a_message("announced", "objects.register"))
        # When
        own_node.kill()
        may_publish.set()
        own_node.start()
        # Then the state of a queue is known
        wait_until(lambda: outgoing.queue_state("echo").ready == 1)
        # And what was in hand comes again
        inbox.wait_for(2)
        may_end.set()
        publish_until_confirmed(broker, "after")
        wait_until(lambda: "after" in inbox.ids)
        wait_until(lambda: broker.queue_state("echo").ready == 0)
        assert inbox.ids == ["in-hand", "in-hand", "after"]
        assert inbox.deliveries[0].lost
        assert inbox.deliveries[1].redelivered
        # And the worker has waited the outage out
        assert published.wait(60)
        wait_until(lambda: broker.queue_state("store").consumers == 1)
        worker.stop(30.0)
        assert broker.queue_state(DEAD_LETTERS).ready == 0


def test_broker_stopped_and_started_keeps_messages_and_subscriptions_come_back(own_node, own_prefix):
    # Given
    received = []
    with open_rabbit(own_node.url, own_prefix) as broker:
        broker.subscribe(["#"], lambda message: received.append(message.message_id))
        broker.command(a_message("kept"))
        # When
        own_node.stop()
        with pytest.raises(BrokerAwayError):
            broker.command(a_message("refused"))
        own_node.start()
        # Then
        inbox = Inbox(acked)
        broker.consume("echo", inbox, workers=1)
        inbox.wait_for(1)
        assert inbox.ids[0] == "kept"

        def published():
            broker.event(a_message("again", "query.completed"))
            return "again" in received

        wait_until(published)


def test_topology_that_vanished_is_declared_again(own_node, own_prefix):
    # Given
    inbox = Inbox(acked)
    with open_rabbit(own_node.url, own_prefix) as broker:
        broker.consume("echo", inbox, workers=1)
        broker.command(a_message("before"))
        inbox.wait_for(1)
        # When
        # (a node whose data were lost looks like this: no queues, no exchanges)
        remove_topology(own_node.url, own_prefix)
        own_node.ctl("close_all_connections", "a test cuts the line")
        # Then
        publish_until_confirmed(broker, "after")
        wait_until(lambda: "after" in inbox.ids)


def test_closed_connections_are_made_again(own_node, own_prefix):
    # Given
    may_end = threading.Event()

    def slow_at_first(delivery):
        if delivery.message.message_id == "in-hand" and not delivery.redelivered:
            may_end.wait(60)
        delivery.ack()

    inbox = Inbox(slow_at_first)
    with open_rabbit(own_node.url, own_prefix) as broker:
        broker.consume("echo", inbox, workers=2)
        broker.command(a_message("in-hand"))
        inbox.wait_for(1)
        # When
        own_node.ctl("close_all_connections", "a test cuts the line")
        # Then
        inbox.wait_for(2)
        may_end.set()
        broker.command(a_message("after"))
        wait_until(lambda: "after" in inbox.ids)
        assert inbox.ids == ["in-hand", "in-hand", "after"]


def test_queue_deleted_under_a_consumer_is_noticed(own_node, own_prefix):
    # Given
    inbox = Inbox(acked)
    with open_rabbit(own_node.url, own_prefix) as broker:
        broker.consume("echo", inbox, workers=1)
        wait_until(lambda: broker.queue_state("echo").consumers == 1)
        # When
        own_node.ctl("delete_queue", f"{own_prefix}.echo")
        # Then
        wait_until(lambda: broker.queue_state("echo").consumers == 1)
        broker.command(a_message())
        inbox.wait_for(1)


def delete_events_exchange(node, prefix: str) -> None:
    delete_exchange(node, f"{prefix}.events")


def delete_commands_exchange(node, prefix: str) -> None:
    delete_exchange(node, f"{prefix}.commands")


def delete_exchange(node, name: str) -> None:
    resource = f'rabbit_misc:r(<<"/">>, exchange, <<"{name}">>)'
    node.ctl("eval", f'rabbit_exchange:delete({resource}, false, <<"a test">>).')


def delete_private_queues(node, prefix: str) -> None:
    names = node.ctl("list_queues", "--silent", "name").split()
    for name in names:
        if name.startswith("amq.gen-"):
            node.ctl("delete_queue", name)


def delete_everything(node, prefix: str) -> None:
    remove_topology(node.url, prefix)
    delete_private_queues(node, prefix)


def forbid_and_allow(node, prefix: str) -> None:
    policy = '{"max-length": 1, "message-ttl": 100}'
    # Only its own: what earlier tests left on a node that was killed since makes RabbitMQ wait for a minute.
    own = f"^({re.escape(prefix)}|amq\\.gen-)"
    node.ctl("set_policy", "short", own, policy, "--apply-to", "queues")
    node.ctl("clear_policy", "short")


@pytest.mark.parametrize(
    "delete",
    [
        delete_events_exchange,
        delete_commands_exchange,
        delete_private_queues,
        delete_everything,
        forbid_and_allow,
    ],
)
def test_what_is_deleted_under_subscribers_is_made_again(own_node, own_prefix, delete, monkeypatch):
    # Given
    monkeypatch.setattr("shared.broker.rabbitmq.consumer.RESTORE_INTERVAL_S", 0.5)
    inbox = Inbox(acked)
    with (
        open_rabbit(own_node.url, own_prefix) as broker,
        open_rabbit(own_node.url, own_prefix) as publisher,
        contextlib.closing(Live(broker, max_streams=1)) as live,
    ):
        live.start()
        page = live.open(["job-1"])
        assert page is not None
        broker.consume("store", inbox, workers=1)
        wait_until(lambda: broker.queue_state("store").consumers == 1)
        # When
        delete(own_node, own_prefix)

        # Then events reach the page, commands and events the queue
        received: list[str] = []

        def published() -> bool:
            with contextlib.suppress(BrokerAwayError, UnroutableError):
                publisher.event(a_message("event", "query.completed.job-1"))
                publisher.event(a_message("stored", "objects.stored.1"))
                publisher.command(a_message("command", "objects.register"))
            received.extend(page.wait(0.1) or ())
            return "job-1" in received and {"stored", "command"} <= set(inbox.ids)

        wait_until(published)


def test_heartbeats_are_sent_back_while_a_handler_runs(rabbitmq_url, amqp_prefix):
    # Given
    silence = threading.Event()

    def slow(delivery):
        silence.wait(SILENCE_S)
        delivery.ack()

    inbox = Inbox(slow)
    with open_rabbit(f"{rabbitmq_url}?heartbeat=2", amqp_prefix) as broker:
        consumer = broker.consume("echo", inbox, workers=1)
        # When
        broker.command(a_message())
        inbox.wait_for(1)
        consumer.stop(30.0)
        # Then
        assert not broker._publisher._connection.is_closed
        wait_until(lambda: broker.queue_state("echo").consumers == 0)
        assert broker.queue_state("echo").ready == 0
        assert inbox.ids == ["m1"]


def test_queue_of_other_properties_is_a_permanent_error(own_node, own_prefix):
    # Given
    declare = (
        f'rabbit_amqqueue:declare(rabbit_misc:r(<<"/">>, queue, <<"{own_prefix}.echo">>),'
        ' true, false, [], none, <<"test">>).'
    )
    own_node.ctl("eval", declare)
    broker = RabbitBroker(own_node.url, own_prefix)
    # When / Then
    with pytest.raises(PermanentError):
        broker.declare()
    broker.close()


def test_stop_while_the_broker_is_away_ends_within_its_grace(own_node, own_prefix):
    # Given
    may_end = threading.Event()

    def stuck(delivery):
        may_end.wait(60)

    inbox = Inbox(stuck)
    broker = RabbitBroker(own_node.url, own_prefix)
    broker.declare()
    consumer = broker.consume("echo", inbox, workers=1)
    broker.command(a_message())
    inbox.wait_for(1)
    own_node.kill()
    wait_until(lambda: inbox.deliveries[0].lost)
    # When
    stopping = threading.Thread(target=consumer.stop, args=(0.5,))
    stopping.start()
    stopping.join(30)
    # Then
    assert not stopping.is_alive()
    may_end.set()
    broker.close()


def test_broker_that_is_not_there_is_away():
    # Given
    broker = RabbitBroker("amqp://guest:secret@127.0.0.1:1/%2f", "doseqr")
    # When / Then
    with pytest.raises(BrokerAwayError):
        broker.declare()
    with pytest.raises(BrokerAwayError):
        broker.subscribe(["#"], lambda message: None)
    broker.close()


def test_wrong_password_is_away_and_not_shown(rabbitmq_url, amqp_prefix):
    # Given
    host = rabbitmq_url.rpartition("@")[2]
    broker = RabbitBroker(f"amqp://doseqr:wrong-secret@{host}", amqp_prefix)
    # When
    with pytest.raises(BrokerAwayError) as refused:
        broker.declare()
    # Then
    assert "wrong-secret" not in f"{refused.value} {broker.description}"
    broker.close()


@pytest.mark.parametrize("url", ["http://h/", "amqp://h:port/", "amqp://u:secret@h:1:2/", "amqp://[::1", "x"])
def test_malformed_url_is_refused_without_being_shown(url):
    # When
    with pytest.raises(SettingsError) as refused:
        RabbitBroker(url, "doseqr")
    # Then
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("garbage", [b"", b"HTTP/1.0 400 Bad Request\r\n\r\n"])
def test_something_that_is_no_broker_is_away_within_a_bounded_time(garbage):
    # Given
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        may_hang_up = threading.Event()

        def be_strange():
            with stranger.accept()[0] as client:
                client.sendall(garbage)
                may_hang_up.wait(30)

        thread = threading.Thread(target=be_strange)
        thread.start()
        # When
        opened = can_open(f"amqp://guest:guest@127.0.0.1:{port}/%2f", timeout_s=0.5)
        # Then
        assert not opened
        may_hang_up.set()
        thread.join()
