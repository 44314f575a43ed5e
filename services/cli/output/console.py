"""What commands print: results on standard output (JSON alone with --json), all else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

#: The option that most commands have.
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON alone on standard output.")]


def say(text: str) -> None:
    """Tell people something beside the result."""
    typer.echo(text, err=True)


def line(text: str = "") -> None:
    """Print a line of a readable result."""
    typer.echo(text)


def print_json(value: Any) -> None:
    """Print a result for programs."""
    typer.echo(json.dumps(value, indent=2))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows: a table on a terminal, tab-separated lines when piped."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            typer.echo("\t".join(_flat(cell) for cell in row))
        return
    shown = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        shown.add_row(*(escape(_flat(cell)) for cell in row))
    Console().print(shown)


def _flat(cell: object) -> str:
    text = "" if cell is None else str(cell)
    return " ".join(text.split())
