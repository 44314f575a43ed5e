"""The echo command: all nodes side by side, each result published as it comes, all of them at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

import structlog
from sqlalchemy.orm import Session

from services.echo.ping import EchoResult
from shared.clock import Clock
from shared.contract.envelope import Envelope, derived_id
from shared.contract.messages import EchoCompleted, EchoNodes, NodeStatus
from shared.database.models import Node, NodeCheck
from shared.database.session import Database
from shared.database.upsert import insert_missing
from shared.errors import DatabaseAwayError
from shared.messaging.publisher import Publisher
from shared.node_access.leases import forget_outages
from shared.nodes.nodes import TLS, find_node, list_nodes
from shared.nodes.web_access import WEB

log = structlog.get_logger(__name__)

#: Nodes that one command tests side by side; dead ones take no longer than the slowest time-out.
SIDE_BY_SIDE = 100

Ping = Callable[[Node], EchoResult]

#: What an association is opened with: another address is another peer.
_ADDRESS = ("host", "port", "ae_title", "calling_ae_title", *TLS, *WEB)
_Address = tuple[object, ...]


class SharedPings:
    """Pings nodes; a node that hangs costs one association and one wait, however many commands test it."""

    def __init__(self, ping: Ping) -> None:
        self._ping = ping
        self._running: dict[_Address, Future[EchoResult]] = {}
        self._lock = threading.Lock()

    def __call__(self, node: Node) -> EchoResult:
        """Return the result of a C-ECHO to the node, our own or the one that is under way."""
        address = (node.id, *(getattr(node, name) for name in _ADDRESS))
        with self._lock:
            running = self._running.get(address)
            if running is None:
                own = self._running[address] = Future[EchoResult]()
        if running is not None:
            return running.result()
        try:
            result = self._ping(node)
        except BaseException as error:
            own.set_exception(error)
            raise
        else:
            own.set_result(result)
            return result
        finally:
            with self._lock:
                del self._running[address]


class EchoHandler:
    """Handles `EchoNodes`."""

    def __init__(self, database: Database, publisher: Publisher, ping: Ping, clock: Clock) -> None:
        self._database = database
        self._publisher = publisher
        self._ping = ping
        self._clock = clock

    def __call__(self, envelope: Envelope, command: EchoNodes) -> None:
        """Test the nodes that the command names, or all.

        Raises:
            InvalidInputError: a node is not known.
            RetriableError: broker or database away.
        """
        with self._database.read() as session:
            nodes = _nodes(session, command)
        log.info("echo", echo_id=envelope.id, nodes=len(nodes))
        results: dict[int, NodeStatus] = {}
        with ThreadPoolExecutor(max_workers=max(1, min(len(nodes), SIDE_BY_SIDE))) as pool:
            futures = {pool.submit(self._ping, node): node for node in nodes}
            for future in as_completed(futures):
                node = futures[future]
                status = _status(envelope.id, node, future.result())
                results[node.id] = status
                self._publisher.event(status, "echo", envelope.id)
        self._remember([results[node_id] for node_id in sorted(results)])
        ordered = [results[node.id] for node in nodes]
        event = EchoCompleted(echo_id=envelope.id, results=ordered)
        self._publisher.event(event, "echo", envelope.id, event_id=derived_id(envelope.id, "-completed"))

    def _remember(self, results: Sequence[NodeStatus]) -> None:
        try:
            with self._database.write() as session:
                checks = [
                    self._check(status) for status in sorted(results, key=lambda status: status.node_id)
                ]
                # Other commands may write the same rows at this moment.
                insert_missing(session, NodeCheck, checks)
                for check in checks:
                    session.merge(NodeCheck(**check))
                forget_outages(session, (status.node_id for status in results if status.ok))
        except DatabaseAwayError as error:
            # The results were requested; the last known state is a convenience.
            log.warning("node checks not remembered", error=str(error))

    def _check(self, status: NodeStatus) -> dict[str, object]:
        return {
            "node_id": status.node_id,
            "ok": status.ok,
            "outcome": status.outcome,
            "detail": status.detail,
            "rtt_ms": status.rtt_ms,
            "checked_at": self._clock(),
        }


def _nodes(session: Session, command: EchoNodes) -> list[Node]:
    if not command.nodes:
        return list(list_nodes(session))
    found = [
        find_node(session, reference, None, f"data.nodes.{number}")
        for number, reference in enumerate(command.nodes)
    ]
    return list({node.id: node for node in found}.values())


def _status(echo_id: str, node: Node, result: EchoResult) -> NodeStatus:
    return NodeStatus(
        echo_id=echo_id,
        node_id=node.id,
        node=node.name,
        kind="remote" if node.kind == "remote" else "store",
        ok=result.ok,
        rtt_ms=result.rtt_ms,
        outcome=result.outcome,
        detail=result.detail[:1000],
    )
