"""Wires the echo service and runs it."""

from __future__ import annotations

import sys

from services.echo.handler import EchoHandler, SharedPings
from services.echo.ping import EchoResult, ping
from shared.broker.port import Broker
from shared.broker.worker import Consumption, Worker
from shared.clock import utc_now
from shared.contract.messages import EchoNodes
from shared.database.models import Node
from shared.database.session import Database
from shared.lifecycle import Lifecycle
from shared.messaging.command_router import CommandRouter
from shared.messaging.publisher import Publisher
from shared.nodes.peers import peer_of, timeouts_of
from shared.service import run_service
from shared.settings import Settings, load

#: Echo commands that one process handles at the same time; each waits for the slowest of its nodes.
WORKERS = 16


def start(settings: Settings, broker: Broker, database: Database, lifecycle: Lifecycle) -> None:
    """Start to handle echo commands; the lifecycle ends it."""
    publisher = Publisher(broker, "echo")
    timeouts = timeouts_of(settings)

    def ping_node(node: Node) -> EchoResult:
        return ping(peer_of(node, settings), timeouts)

    handler = EchoHandler(database, publisher, SharedPings(ping_node), utc_now)
    router = CommandRouter({EchoNodes: handler}, publisher)
    consumption = Consumption(lambda: Worker(broker, "echo", router, workers=WORKERS))
    consumption.begin()
    lifecycle.duty_of("echo").consists_of(consumption.drain, consumption.begin)
    lifecycle.on_stop(lambda: consumption.stop(settings.grace))


def main() -> int:
    """Run the service in the foreground."""
    return run_service("echo", start, load())


if __name__ == "__main__":
    sys.exit(main())
