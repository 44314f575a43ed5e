"""What commands print: results on standard output (JSON alone with --json), all else on standard error.

Every text may hold what a PACS, a sender or a user wrote: control characters are shown escaped, so that none
of them reaches a terminal.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Annotated

import typer

#: The option that most commands have.
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON alone on standard output.")]

#: Control and format characters, surrogates, separators of lines and paragraphs (Unicode general categories).
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
#: Format characters that some scripts need between letters: zero width non-joiner and joiner.
_JOINERS = "\u200c\u200d"


def visible(text: str, keep: str = "") -> str:
    """Return the text with control characters escaped as in a Python string, but for those in `keep`."""
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in _HIDDEN and character not in keep + _JOINERS
        else character
        for character in text
    )


def notice(text: str) -> None:
    """Print something for people beside the result, in one or several lines."""
    typer.echo(visible(text, "\n"), err=True)


def line(text: str = "") -> None:
    """Print a line of a readable result."""
    typer.echo(visible(text))


def block(text: str) -> None:
    """Print lines of our own or of an export, in which line breaks are no data of a peer."""
    typer.echo(visible(text, "\r\n\t"), nl=False)


def print_json(value: object) -> None:
    """Print a result for programs; JSON escapes control characters itself."""
    typer.echo(json.dumps(value, indent=2))


def print_json_chunks(chunks: Iterable[str]) -> None:
    """Print a result for programs that is too long to be held as one text."""
    for chunk in chunks:
        typer.echo(chunk, nl=False)
    typer.echo()


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows: a table on a terminal, tab-separated lines when piped."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            typer.echo("\t".join(_flat(cell) for cell in row))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        # An id or UID that is cut is of no use.
        shown.add_column(name, overflow="fold")
    for row in rows:
        shown.add_row(*(escape(_flat(cell)) for cell in row))
    Console().print(shown)


def _flat(cell: object) -> str:
    text = "" if cell is None else str(cell)
    return visible(" ".join(text.split()))
