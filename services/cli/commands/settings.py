"""`doseqr settings`: every setting, its value, where it came from and what it does."""

from __future__ import annotations

from dataclasses import asdict

from services.cli.client.session import settings_of_command
from services.cli.output.console import JsonOption, print_json, table
from shared.settings import rows


def settings(as_json: JsonOption = False) -> None:
    """Print each setting, its value, where it came from and what it does."""
    listed = rows(settings_of_command())
    if as_json:
        print_json([asdict(row) for row in listed])
        return
    table(
        ("name", "value", "source", "description"),
        [(row.name, row.value, row.source, row.description) for row in listed],
    )
