"""All services in one process over the in-memory broker: the same code and the same ledger."""

from __future__ import annotations

import structlog

from services.cli.services import Service, start_of
from shared.broker.bridge.server import BridgeServer
from shared.broker.memory.broker import MemoryBroker
from shared.database.migrate import migrate
from shared.lifecycle import Lifecycle
from shared.logs import configure
from shared.service import open_database, patiently, start_heartbeat
from shared.settings import Settings

log = structlog.get_logger(__name__)

#: What this mode leaves out, for the log.
LEAVES_OUT = (
    "embedded: messages live in memory and are lost when this process ends (the ledger brings unfinished "
    "work back at the next start); no worker in another process or on another machine can take part"
)


def serve_embedded(settings: Settings) -> int:
    """Run all services in this process until SIGTERM or Ctrl-C; returns the exit code.

    Raises:
        PermanentError: another process serves this data folder, or a port is taken.
    """
    configure("embedded", settings.log_level)
    with Lifecycle() as lifecycle:
        lifecycle.install_signals()
        database = open_database(settings)
        lifecycle.on_stop(database.close)
        if not patiently(lambda: migrate(database), "database", lifecycle.stopping):
            return 0
        broker = MemoryBroker()
        lifecycle.on_stop(broker.close)
        broker.declare()
        for service in Service:
            start_of(service)(settings, broker, database, lifecycle)
            start_heartbeat(service.value, broker, lifecycle)
        # Last: who reaches the broker finds all services there.
        bridge = BridgeServer(broker, settings.bridge_socket)
        lifecycle.on_stop(bridge.close)
        log.warning(LEAVES_OUT)
        log.info("ready", broker=broker.description, database=database.description)
        lifecycle.wait()
    return 0
