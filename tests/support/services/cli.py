"""Running `doseqr` commands inside a test."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from services.cli.main import main
from shared.settings import Settings


@dataclass(frozen=True)
class Result:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be JSON and nothing else."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Doseqr:
    """A `doseqr` with a data folder of its own."""

    capsys: pytest.CaptureFixture[str]
    settings: Settings

    def __call__(self, *arguments: str) -> Result:
        """Run one command."""
        code = main(arguments)
        captured = self.capsys.readouterr()
        return Result(code, captured.out, captured.err)

    def with_nodes(self) -> Doseqr:
        """Add the remote node `pacs` (2) and the store node `archive` (3) beside the own store (1)."""
        where = ("--host", "127.0.0.1", "--port", "104", "--ae-title")
        assert self("nodes", "add", "remote", "pacs", *where, "PACS").code == 0
        assert self("nodes", "add", "store", "archive", *where, "ARCHIVE").code == 0
        return self
