"""`doseqr simulate`: a synthetic PACS on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.commands.options.paths import given_path
from services.cli.output.exit_codes import usage
from shared.errors import InvalidInputError


def simulate(
    file: Annotated[
        Path | None,
        typer.Argument(
            parser=given_path, metavar="[FILE]", help="What it holds (TOML); none: the demo PACS."
        ),
    ] = None,
    host: Annotated[
        str | None, typer.Option(metavar="H", help="Listen on this address; default: the file's, 127.0.0.1.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Listen here.")] = None,
    log: Annotated[
        Path | None,
        typer.Option(
            parser=given_path, metavar="FILE", help="Record each request here, a line of JSON each."
        ),
    ] = None,
    destination: Annotated[
        list[str] | None, typer.Option(metavar="AE=HOST:PORT", help="A move destination; repeatable.")
    ] = None,
) -> None:
    """Run a synthetic PACS, which can misbehave, until Ctrl-C.

    Example: doseqr simulate pacs.json
    """
    from simulator.main import DEMO, run

    destinations = dict(destination_of(text) for text in destination or ())
    raise typer.Exit(run(file or DEMO, host=host, port=port, log=log, destinations=destinations))


def demo_ae_title() -> str:
    """Return the AE title of the demo PACS."""
    from simulator.main import DEMO
    from simulator.script import read_script

    return str(read_script(DEMO).pacs.ae_title)


def destination_of(text: str) -> tuple[str, tuple[str, int]]:
    """Return AE title, host and port of `AE=HOST:PORT`.

    Raises:
        CommandError: it is not written so.
    """
    from shared.identifiers import parse_ae_title, parse_port

    ae_title, _, address = text.partition("=")
    host, _, port = address.rpartition(":")
    try:
        found = (
            str(parse_ae_title("destination", ae_title)),
            (host.strip("[]"), parse_port("destination", port)),
        )
    except InvalidInputError as error:
        raise usage(f"destination {text}: {error.problem}; expected AE=HOST:PORT", "destination") from None
    if not host:
        raise usage(f"destination {text}: expected AE=HOST:PORT", "destination")
    return found
