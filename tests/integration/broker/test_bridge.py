"""The in-memory broker reached from other processes, over a Unix domain socket."""

from __future__ import annotations

import socket
import stat

import pytest

from shared.broker.bridge.client import BridgeClient
from shared.broker.bridge.protocol import LINE_BYTES, decode_message, encode_message
from shared.broker.bridge.server import BridgeServer
from shared.broker.factory import open_broker
from shared.broker.memory.broker import MemoryBroker
from shared.broker.rabbitmq.broker import RabbitBroker
from shared.broker.tls_files import TlsFiles
from shared.errors import BrokerAwayError, InvalidInputError, PermanentError, UnroutableError
from tests.support.servers.rabbitmq import Inbox, a_message, acked
from tests.support.waiting import wait_until


@pytest.fixture
def served():
    broker = MemoryBroker()
    broker.declare()
    yield broker
    broker.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "broker.sock"


@pytest.fixture
def server(served, path):
    server = BridgeServer(served, path)
    yield server
    server.close()


@pytest.fixture
def client(server, path):
    client = BridgeClient(path)
    yield client
    client.close()


def test_command_reaches_the_serving_process_as_it_was_sent(served, client):
    # Given
    inbox = Inbox(acked)
    served.consume("echo", inbox, workers=1)
    sent = a_message(body=b"\x00\xff", correlation_id="job", headers={"traceparent": "00-1"})
    # When
    client.command(sent)
    # Then
    inbox.wait_for(1)
    assert inbox.deliveries[0].message == sent


def test_unroutable_command_is_refused_over_the_bridge(client):
    # When / Then
    with pytest.raises(UnroutableError):
        client.command(a_message(routing_key="nobody.knows"))
    client.command(a_message())


def test_client_sees_events_in_order_and_its_own(served, client):
    # Given
    received = []
    client.subscribe(["query.#"], lambda message: received.append(message.message_id))
    # When
    for number in range(20):
        served.event(a_message(f"e{number}", "query.progress"))
    client.event(a_message("last", "query.completed"))
    # Then
    wait_until(lambda: "last" in received)
    assert received == [*(f"e{number}" for number in range(20)), "last"]


def test_closed_subscription_is_gone_from_the_serving_process(served, client):
    # Given
    subscription = client.subscribe(["#"], lambda message: None)
    assert len(served._subscriptions) == 1
    # When
    subscription.close()
    subscription.close()
    # Then
    wait_until(lambda: not served._subscriptions)


def test_queue_state_is_that_of_the_serving_process(served, client):
    # Given
    client.command(a_message())
    # When
    state = client.queue_state("echo")
    # Then
    assert (state.ready, state.consumers) == (1, 0)


def test_client_cannot_consume(client):
    # When / Then
    with pytest.raises(PermanentError):
        client.consume("echo", acked, workers=1)


def test_nobody_serving_means_the_broker_is_away(path):
    # Given
    client = BridgeClient(path)
    # When / Then
    with pytest.raises(BrokerAwayError):
        client.command(a_message())
    with pytest.raises(BrokerAwayError):
        client.subscribe(["#"], lambda message: None)


def test_client_survives_a_restart_of_the_serving_process(served, path):
    # Given
    received = []
    first = BridgeServer(served, path)
    client = BridgeClient(path)
    client.command(a_message("before"))
    client.subscribe(["#"], lambda message: received.append(message.message_id))
    # When
    first.close()
    with pytest.raises(BrokerAwayError):
        client.command(a_message("refused"))
    second = BridgeServer(served, path)
    # Then
    client.command(a_message("after"))

    def published():
        served.event(a_message("again", "query.completed"))
        return "again" in received

    wait_until(published)
    client.close()
    second.close()


def test_socket_is_for_its_user_only_and_goes_with_the_server(served, path):
    # Given
    server = BridgeServer(served, path)
    # When
    mode = stat.S_IMODE(path.stat().st_mode)
    server.close()
    server.close()
    # Then
    assert mode == 0o600
    assert list(path.parent.iterdir()) == []


def test_socket_of_a_dead_server_is_replaced(served, path):
    # Given
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    # When
    server = BridgeServer(served, path)
    # Then
    client = BridgeClient(path)
    assert client.queue_state("echo").ready == 0
    client.close()
    server.close()


def test_socket_of_a_living_server_is_left_alone(served, server, client, path):
    # When
    with pytest.raises(PermanentError):
        BridgeServer(served, path)
    # Then
    assert client.queue_state("echo").ready == 0


def test_path_longer_than_a_socket_address_works(served, tmp_path):
    # Given
    path = tmp_path / ("long" * 30) / "broker.sock"
    # When
    server = BridgeServer(served, path)
    # Then
    client = BridgeClient(path)
    client.command(a_message())
    assert served.queue_state("echo").ready == 1
    client.close()
    server.close()


@pytest.mark.parametrize(
    "line",
    [b"no json\n", b"[1]\n", b"x" * (LINE_BYTES + 2), b'{"cut": ', b"[" * 100_000 + b"\n", b"\xff\xfe\n"],
)
def test_hostile_line_ends_only_its_own_connection(server, client, path, line):
    # Given
    with socket.socket(socket.AF_UNIX) as hostile:
        hostile.settimeout(30)
        hostile.connect(str(path))
        # When
        try:
            hostile.sendall(line)
            hostile.shutdown(socket.SHUT_WR)
            response = hostile.recv(100)
        except (BrokenPipeError, ConnectionResetError):
            response = b""
    # Then
    assert response == b""
    assert client.queue_state("echo").ready == 0


@pytest.mark.parametrize(
    "request_line",
    [
        b"{}\n",
        b'{"do": "consume"}\n',
        b'{"do": "command"}\n',
        b'{"do": "command", "message": {"routing_key": 1}}\n',
        b'{"do": "subscribe", "binding_keys": "x"}\n',
    ],
)
def test_wrong_request_gets_an_error(server, path, request_line):
    # Given
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(path))
        # When
        client.sendall(request_line)
        response = client.recv(1000)
    # Then
    assert b'"error":"PermanentError"' in response


def test_message_comes_through_the_wire_unchanged():
    # Given
    sent = a_message(body=bytes(range(256)), headers={"a": "ä"}, content_type="x/y")
    # When / Then
    assert decode_message(encode_message(sent)) == sent


@pytest.mark.parametrize("broken", [{"body": "%"}, {"headers": {"a": 1}}, {"message_id": None}])
def test_message_with_a_wrong_field_is_refused(broken):
    # When / Then
    with pytest.raises(InvalidInputError):
        decode_message({**encode_message(a_message()), **broken})


def test_url_decides_the_kind_of_broker(path):
    # When / Then
    assert isinstance(open_broker("memory://", "doseqr", path, TlsFiles()), BridgeClient)
    assert isinstance(open_broker("amqp://127.0.0.1/", "doseqr", path, TlsFiles()), RabbitBroker)
