"""Writes docs/faults.md from the fault matrix (`make golden`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.matrix.parts import PARTS, Part
from tests.matrix.rows import MatrixRow, ProvenRow

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"

_HEAD = """\
# Faults and how they end

What a PACS, a sender, a disk, a broker, a browser or a person can do wrong, when, and how it ends. Every row
is run by the tests: as data of `tests/matrix`, or by the test that is named. Nothing is lost: what did not
come is named as missing. Nothing is doubled. Nothing is `completed` while something is missing.

This page is written by `make golden` from `tests/matrix`; a test compares the two.
"""


def text_of_page() -> str:
    """Return the whole page."""
    return "\n".join([_HEAD, *_counts(), *(line for part in PARTS for line in _section(part))]) + "\n"


def _counts() -> Iterator[str]:
    yield "| part | rows | run as data | held by a named test |"
    yield "| --- | ---: | ---: | ---: |"
    for part in PARTS:
        yield f"| {part.name} | {len(part.rows)} | {len(part.run)} | {len(part.proven)} |"
    run, proven = sum(len(part.run) for part in PARTS), sum(len(part.proven) for part in PARTS)
    yield f"| all | {run + proven} | {run} | {proven} |"


def _section(part: Part) -> Iterator[str]:
    yield f"\n## {part.name}\n"
    if part.run:
        yield "| fault | moment | ending |"
        yield "| --- | --- | --- |"
        yield from (_line(row) for row in part.run)
        yield "\nHeld by tests of their own:\n"
    yield "| fault | moment | ending | test |"
    yield "| --- | --- | --- | --- |"
    yield from (_line(row) for row in part.proven)


def _line(row: MatrixRow) -> str:
    cells = [_cell(row.fault), _cell(row.moment), _cell(row.ending)]
    if isinstance(row, ProvenRow):
        cells.append(f"`{_cell(row.proof)}`")
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write the page."""
    PAGE.write_text(text_of_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
