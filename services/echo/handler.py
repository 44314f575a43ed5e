"""The echo command: all nodes side by side, each result published as it comes, all of them at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

import structlog
from sqlalchemy.orm import Session

from services.echo.ping import EchoResult
from shared.clock import Clock
from shared.contract.envelope import Envelope, derived_id
from shared.contract.messages import EchoCompleted, EchoNodes, NodeStatus
from shared.database.models import Node, NodeCheck
from shared.database.session import Database
from shared.errors import DatabaseAwayError
from shared.messaging.publisher import Publisher
from shared.nodes.nodes import find_node, list_nodes

log = structlog.get_logger(__name__)

#: Nodes that one command tests side by side; dead ones take no longer than the slowest time-out.
SIDE_BY_SIDE = 100

Ping = Callable[[Node], EchoResult]


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
        self._remember(list(results.values()))
        ordered = [results[node.id] for node in nodes]
        event = EchoCompleted(echo_id=envelope.id, results=ordered)
        self._publisher.event(event, "echo", envelope.id, event_id=derived_id(envelope.id, "-completed"))

    def _remember(self, results: Sequence[NodeStatus]) -> None:
        try:
            with self._database.write() as session:
                for status in results:
                    session.merge(
                        NodeCheck(
                            node_id=status.node_id,
                            ok=status.ok,
                            outcome=status.outcome,
                            detail=status.detail,
                            rtt_ms=status.rtt_ms,
                            checked_at=self._clock(),
                        )
                    )
        except DatabaseAwayError as error:
            # The results were requested; the last known state is a convenience.
            log.warning("node checks not remembered", error=str(error))


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
