"""Paths as arguments and options of commands."""

from __future__ import annotations

from pathlib import Path

import typer


def given_path(text: str) -> Path:
    """Return a path of the command line.

    Raises:
        typer.BadParameter: it is empty, as of a shell variable that is not set; `Path` makes the present
            folder of it.
    """
    if not text.strip():
        raise typer.BadParameter("the path is empty; the present folder is '.'")
    return Path(text)
