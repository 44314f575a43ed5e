"""`doseqr serve`: run one service, or all of them, in the foreground."""

from __future__ import annotations

import os
import signal
import sys
import threading
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import own_store
from services.cli.output.exit_codes import usage

if TYPE_CHECKING:
    from shared.broker.port import Broker
    from shared.database.session import Database
    from shared.lifecycle import Lifecycle
    from shared.service import Start
    from shared.settings import Settings

#: Seconds between two checks whether the parent process lives.
PARENT_CHECK_S = 1.0

#: Seconds that a service may need to end beyond its grace period.
STOP_SLACK_S = 10.0

#: What the embedded mode leaves out, for the log.
LEAVES_OUT = (
    "embedded: messages live in memory and are lost when this process ends (the ledger brings unfinished "
    "work back at the next start); no worker in another process or on another machine can take part"
)


class Service(StrEnum):
    """The services that can be run."""

    ECHO = "echo"
    QUERY = "query"
    RETRIEVE = "retrieve"
    STORE = "store"
    WEB = "web"


class Served(StrEnum):
    """What can be served."""

    ALL = "all"
    ECHO = "echo"
    QUERY = "query"
    RETRIEVE = "retrieve"
    STORE = "store"
    WEB = "web"


def serve(
    service: Annotated[Served, typer.Argument(help="The service; several of one kind share the work.")],
    parent_pid: Annotated[int | None, typer.Option(hidden=True, help="End when this process ends.")] = None,
) -> None:
    """Run a service until SIGTERM or Ctrl-C; the database is created or migrated first.

    Examples: doseqr serve all; doseqr serve query
    """
    from shared.service import run_service
    from shared.settings import load

    settings = load()
    if parent_pid is not None:
        end_with(parent_pid)
    if service is not Served.ALL:
        if settings.embedded:
            raise usage(
                "DOSEQR_AMQP_URL=memory:// has all services in one process; run them with: doseqr serve all",
                "service",
            )
        start, needs_broker = start_of(Service(service.value)), service is not Served.WEB
        raise typer.Exit(run_service(service.value, start, settings, needs_broker=needs_broker))
    raise typer.Exit(serve_embedded(settings) if settings.embedded else serve_all(settings))


def serve_all(settings: Settings) -> int:
    """Run each service in its own process; returns the exit code."""
    from shared.lifecycle import Lifecycle
    from shared.logs import configure
    from shared.process.supervisor import Supervisor, children_of

    configure("supervisor", settings.log_level)
    with Lifecycle() as lifecycle:
        lifecycle.install_signals()
        Supervisor(children_of(commands()), settings.grace + STOP_SLACK_S).run(lifecycle.stopping)
    return 0


def start_of(service: Service) -> Start:
    """Return how a service is started in this process, on a database that has been migrated.

    A service is imported only when it is run, so that no other command pays for it.
    """
    main = import_module(f"services.{service.value}.main")
    start: Start = main.start

    def started(settings: Settings, broker: Broker, database: Database, lifecycle: Lifecycle) -> None:
        own_store(database, settings)
        start(settings, broker, database, lifecycle)

    return started


def serve_embedded(settings: Settings) -> int:
    """Run all services in this process over the in-memory broker; returns the exit code.

    Raises:
        PermanentError: another process serves this data folder, or a port is taken.
    """
    import structlog

    from shared.broker.bridge.server import BridgeServer
    from shared.broker.memory.broker import MemoryBroker
    from shared.database.migrate import migrate
    from shared.database.session import open_database
    from shared.lifecycle import Lifecycle
    from shared.logs import configure
    from shared.service import patiently, start_control, start_heartbeat, start_spans

    configure("embedded", settings.log_level)
    with Lifecycle() as lifecycle:
        lifecycle.install_signals()
        start_spans("embedded", lifecycle)
        database = open_database(settings.data_dir, settings.database)
        lifecycle.on_stop(database.close)
        if not patiently(lambda: migrate(database), "database", lifecycle.stopping):
            return 0
        broker = MemoryBroker()
        lifecycle.on_stop(broker.close)
        broker.declare()
        for service in Service:
            start_of(service)(settings, broker, database, lifecycle)
            start_heartbeat(service.value, broker, lifecycle)
            start_control(service.value, broker, lifecycle)
        # Last: whoever reaches the broker finds all services there.
        bridge = BridgeServer(broker, settings.bridge_socket)
        lifecycle.on_stop(bridge.close)
        log = structlog.get_logger(__name__)
        log.warning(LEAVES_OUT)
        log.info("ready", broker=broker.description, database=database.description)
        lifecycle.wait()
    return 0


def commands() -> dict[str, list[str]]:
    """Return the command of each service's process."""
    return {service.value: command_line("serve", service.value) for service in Service}


def command_line(*arguments: str) -> list[str]:
    """Return a `doseqr` command of this very installation; a service started so ends with this process."""
    command = [sys.executable, "-m", "services.cli.main", *arguments]
    return [*command, "--parent-pid", str(os.getpid())] if arguments[0] == "serve" else command


def end_with(parent_pid: int) -> None:
    """Begin to stop when the parent is gone, so that a killed parent leaves no services behind."""

    def watch() -> None:
        gone = threading.Event()
        while os.getppid() == parent_pid:
            gone.wait(PARENT_CHECK_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()
