"""`doseqr version`: the version of DoseQR, and of what it runs on."""

from __future__ import annotations

import platform
from importlib.metadata import version as version_of

import typer

from services.cli.output.console import JsonOption, line, print_json

#: Distributions whose versions matter when a peer, the broker or the database misbehaves.
DEPENDENCIES = ("pynetdicom", "pydicom", "SQLAlchemy", "pika")


def versions() -> dict[str, str]:
    """Return the versions by name, that of DoseQR first; its own is from pyproject.toml."""
    return {
        "doseqr": version_of("doseqr"),
        "python": platform.python_version(),
        **{name.lower(): version_of(name) for name in DEPENDENCIES},
    }


def version(as_json: JsonOption = False) -> None:
    """Print the versions of DoseQR, Python and the main libraries."""
    found = versions()
    if as_json:
        print_json(found)
        return
    for name, number in found.items():
        line(f"{name:<11} {number}")


def print_and_exit(value: bool) -> None:
    """Print the version of DoseQR alone, for `doseqr --version`."""
    if value:
        line(f"doseqr {version_of('doseqr')}")
        raise typer.Exit
