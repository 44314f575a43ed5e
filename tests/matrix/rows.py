"""A row of the fault matrix: what goes wrong, when, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class MatrixRow(Protocol):
    """What each row has, whether its own data are run or a test elsewhere holds it."""

    @property
    def fault(self) -> str: ...

    @property
    def moment(self) -> str: ...

    @property
    def ending(self) -> str: ...


@dataclass(frozen=True)
class ProvenRow:
    """A row that an existing test holds."""

    fault: str
    moment: str
    ending: str
    #: Its node id; without parameters, every case of the test.
    proof: str


def proven(path: str, *rows: tuple[str, str, str, str]) -> list[ProvenRow]:
    """Return rows of a test module: fault, moment, ending and the name of the test."""
    return [ProvenRow(fault, moment, ending, f"{path}::{test}") for fault, moment, ending, test in rows]


def name_of(row: MatrixRow) -> str:
    """Return the name under which a row is run."""
    return f"{row.fault}; {row.moment}"
