"""`doseqr local`: what the Makefile runs on a machine on its own."""

from __future__ import annotations

import subprocess
from typing import Annotated

import typer

from services.cli.output.console import notice

app = typer.Typer(help="A whole system on this machine.")


@app.command("run")
def run() -> None:
    """Run everything with a demo PACS until Ctrl-C."""
    from services.cli.local.run import run as run_system

    raise typer.Exit(run_system())


@app.command("demo")
def demo() -> None:
    """Query, retrieve and verify with a demo PACS, then end."""
    from services.cli.local.demo import demo as run_demo

    raise typer.Exit(run_demo())


@app.command(
    "with-broker", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
def with_broker(
    command: Annotated[list[str], typer.Argument(metavar="CMD...")],
    variable: Annotated[str, typer.Option(help="The variable that gets the URL.")] = "DOSEQR_AMQP_URL",
) -> None:
    """Run a command with the URL of a broker that is made sure of; without one, the variable is not set."""
    from services.cli.local.processes import given_url, signals_as_interrupts, with_environment
    from services.cli.local.rabbitmq import ensure_rabbitmq
    from shared.broker.factory import MEMORY_URL
    from shared.logs import configure
    from shared.settings import load

    settings = load()
    configure("cli", "ERROR")
    with signals_as_interrupts(), ensure_rabbitmq(given_url(settings), settings.data_dir, notice) as url:
        added = {} if url == MEMORY_URL else {variable: url}
        with subprocess.Popen(with_environment(command, added)) as started:  # noqa: S603 - the caller's own
            try:
                code = started.wait()
            except KeyboardInterrupt:
                started.terminate()
                code = started.wait()
    raise typer.Exit(code if code >= 0 else 128 - code)
