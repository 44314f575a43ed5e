"""Tables of figures on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; texts stand left, numbers right."""
    cells = [[_text(cell) for cell in row] for row in rows]
    widths = [max(len(row[place]) for row in [list(head), *cells]) for place in range(len(head))]
    _line(f"\n{title}")
    _line("  ".join(name.ljust(width) for name, width in zip(head, widths, strict=True)))
    for row, texts in zip(rows, cells, strict=True):
        line = [
            text.ljust(width) if isinstance(cell, str) else text.rjust(width)
            for cell, text, width in zip(row, texts, widths, strict=True)
        ]
        _line("  ".join(line).rstrip())


def _line(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _text(cell: object) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:,.1f}" if cell < 100 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
