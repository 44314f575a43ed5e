"""`doseqr serve`: run one service, or all of them, in the foreground."""

from __future__ import annotations

import os
import signal
import sys
import threading
from enum import StrEnum
from typing import Annotated

import typer

from services.cli.embedded import serve_embedded
from services.cli.output.exit_codes import usage
from services.cli.services import Service, start_of
from shared.lifecycle import Lifecycle
from shared.logs import configure
from shared.process_supervisor import Supervisor, children_of
from shared.service import run_service
from shared.settings import Settings, load

#: How often a child looks whether its parent lives.
PARENT_CHECK_S = 1.0

#: What a service may need to end beyond its grace period.
STOP_SLACK_S = 10.0


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
    """Run a service until SIGTERM or Ctrl-C; the database is created or migrated first."""
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
    configure("supervisor", settings.log_level)
    with Lifecycle() as lifecycle:
        lifecycle.install_signals()
        Supervisor(children_of(commands()), settings.grace + STOP_SLACK_S).run(lifecycle.stopping)
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
