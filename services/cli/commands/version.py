"""`doseqr version`: the version of DoseQR, and of what it runs on."""

from __future__ import annotations

import typer

from services.cli.output.console import JsonOption, line, print_json


def version(as_json: JsonOption = False) -> None:
    """Print the versions of DoseQR, Python and the main libraries.

    Examples: doseqr version; doseqr version --json
    """
    from shared.versions import versions

    found = versions()
    if as_json:
        print_json(found)
        return
    for name, number in found.items():
        line(f"{name:<11} {number}")


def print_and_exit(value: bool) -> None:
    """Print the version of DoseQR alone, for `doseqr --version`."""
    if value:
        from shared.versions import own_version

        line(f"doseqr {own_version()}")
        raise typer.Exit
