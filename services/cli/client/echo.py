"""Tests nodes through the echo service."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from services.cli.client.events import listening, refuse_rejected
from services.cli.client.session import deserted, require_workers
from services.cli.output.exit_codes import away, unreachable
from shared.broker.port import Broker
from shared.contract.envelope import new_id
from shared.contract.messages import EchoCompleted, EchoNodes, NodeStatus
from shared.database.models.web import Node
from shared.dicom.errors import Outcome
from shared.messaging.publisher import Publisher
from shared.settings import Settings

#: Seconds that a busy echo service may need beyond the time-outs of the nodes.
SLACK_S = 30.0
#: Seconds between two checks whether an echo worker still listens.
CHECK_S = 2.0


def echo(
    broker: Broker,
    settings: Settings,
    nodes: Sequence[Node],
    on_result: Callable[[NodeStatus], None] = lambda _: None,
) -> list[NodeStatus]:
    """Test nodes side by side; `on_result` is called with each result as it comes.

    Raises:
        CommandError: no echo worker listens, or it went away.
        BrokerAwayError: the broker cannot be reached.
        InvalidInputError: the service rejected the command.
    """
    require_workers(broker, ["echo"])
    if not nodes:
        return []
    echo_id = new_id()
    deadline = time.monotonic() + settings.connect_timeout + settings.dimse_timeout + SLACK_S
    with listening(broker, ["echo.#", f"command.rejected.{echo_id}"]) as event_queue:
        Publisher(broker, "cli").command(EchoNodes(nodes=[node.id for node in nodes]), command_id=echo_id)
        while time.monotonic() < deadline:
            for event in event_queue.until(min(deadline, time.monotonic() + CHECK_S)):
                refuse_rejected(event, [echo_id])
                if isinstance(event, NodeStatus) and event.echo_id == echo_id:
                    on_result(event)
                if isinstance(event, EchoCompleted) and event.echo_id == echo_id:
                    return event.results
            require_workers(broker, ["echo"])
    raise away(
        "The echo worker did not respond in time. Look at its log, or start another: doseqr serve echo"
    )


def is_there(status: NodeStatus) -> bool:
    """Return whether a node speaks DICOM, whatever it thinks of C-ECHO."""
    has_status = status.outcome.startswith(Outcome.STATUS)
    return has_status or status.outcome in (Outcome.RESPONDS, Outcome.NOT_SUPPORTED)


def require_echo(
    broker: Broker, settings: Settings, nodes: Sequence[Node], notice: Callable[[str], None] | None = None
) -> None:
    """Make sure that nodes respond; with `notice`, an absent echo service is reported there and is no error.

    A node that speaks DICOM and does not take C-ECHO may well take the service that is wanted.

    Raises:
        CommandError: a node does not respond, or no echo worker listens.
        BrokerAwayError: the broker cannot be reached.
    """
    if notice is not None and deserted(broker, ["echo"]):
        notice("No echo worker listens (doseqr serve echo): the nodes are not tested first.")
        return
    for status in echo(broker, settings, nodes):
        if not is_there(status):
            raise unreachable(f"{status.kind}_unreachable", status.node, status.outcome, status.detail)
