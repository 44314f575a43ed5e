"""A node that hangs keeps no other node from being tested."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.echo.handler import EchoHandler, SharedPings
from services.echo.main import WORKERS
from services.echo.ping import EchoResult
from shared.broker.memory.broker import MemoryBroker
from shared.broker.port import Message
from shared.broker.worker import Worker
from shared.clock import utc_now
from shared.contract.messages import EchoNodes
from shared.database.models import Node, NodeCheck
from shared.messaging.command_router import CommandRouter
from shared.messaging.publisher import Publisher
from tests.support.services.web import a_node
from tests.support.waiting import wait_until

GOOD = EchoResult(ok=True, outcome="answers", detail="", rtt_ms=1.0)


class HangingPeers:
    """Pings that end only when the test lets them, for nodes whose name begins with `hanging`."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.go_on = threading.Event()

    def __call__(self, node: Node) -> EchoResult:
        self.names.append(node.name)
        if node.name.startswith("hanging"):
            assert self.go_on.wait(30)
        return GOOD


def node(name: str, port: int = 104) -> Node:
    return Node(id=1, name=name, host="h", port=port, ae_title="A", calling_ae_title="")


def test_commands_that_test_a_node_at_the_same_time_share_one_ping():
    # Given
    peers = HangingPeers()
    pings = SharedPings(peers)
    # When
    with ThreadPoolExecutor(8) as pool:
        results = [pool.submit(pings, node("hanging")) for _ in range(8)]
        wait_until(lambda: bool(peers.names))
        peers.go_on.set()
        ended = [result.result() for result in results[:1]]
    # Then
    assert ended == [GOOD]
    assert all(result.result() == GOOD for result in results)
    assert len(peers.names) <= len(results)


def test_a_node_with_another_address_is_pinged_by_itself():
    # Given
    peers = HangingPeers()
    pings = SharedPings(peers)
    # When
    with ThreadPoolExecutor(2) as pool:
        for port in (104, 105):
            pool.submit(pings, node("hanging", port))
        wait_until(lambda: len(peers.names) == 2)
        peers.go_on.set()


def test_an_error_reaches_every_command_that_waits():
    # Given
    def fail(_node: Node) -> EchoResult:
        raise RuntimeError("defect")

    # When / Then
    with pytest.raises(RuntimeError, match="defect"):
        SharedPings(fail)(node("any"))


def test_twelve_echoes_of_a_hanging_node_leave_another_node_its_own(database):
    # Given
    a_node(database, "remote", "hanging")
    a_node(database, "remote", "healthy")
    broker, peers = MemoryBroker(), HangingPeers()
    broker.declare()
    ended: list[Message] = []
    broker.subscribe(["echo.completed.*"], ended.append)
    publisher = Publisher(broker, "echo")
    handler = EchoHandler(database, publisher, SharedPings(peers), utc_now)
    worker = Worker(broker, "echo", CommandRouter({EchoNodes: handler}, publisher), workers=WORKERS)
    worker.start()
    for _ in range(12):
        publisher.command(EchoNodes(nodes=["hanging"]))
    wait_until(lambda: bool(peers.names))
    # When
    publisher.command(EchoNodes(nodes=["healthy"]), command_id="healthy-1")
    # Then
    wait_until(lambda: [message.correlation_id for message in ended] == ["healthy-1"], 10.0)
    assert peers.names.count("hanging") == 1
    peers.go_on.set()
    wait_until(lambda: len(ended) == 13)
    worker.stop(10)
    broker.close()
    with database.read() as session:
        assert {check.node_id: check.ok for check in session.query(NodeCheck)} == {1: True, 2: True}
