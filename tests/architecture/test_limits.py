"""The table of limits in the documentation says what the code does."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from shared.settings import Settings

LIMITS = Path(__file__).parents[2] / "docs" / "limits.md"
_ROW = re.compile(r"^\| [^|]+ \| ([0-9.]+) \| ([^|]+) \| `([A-Za-z0-9_.]+)` \|$", re.MULTILINE)
_FACTORS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
ROWS = _ROW.findall(LIMITS.read_text(encoding="utf-8"))


def limit_in_code(place: str) -> float:
    if place.startswith("DOSEQR_"):
        return float(Settings.model_fields[place.removeprefix("DOSEQR_").lower()].default)
    module, _, name = place.rpartition(".")
    return float(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize(("value", "unit", "place"), ROWS, ids=[row[2] for row in ROWS])
def test_a_limit_is_documented_as_it_is(value, unit, place):
    assert limit_in_code(place) == float(value) * _FACTORS.get(unit, 1)


def test_every_row_of_the_table_can_be_read():
    # When
    lines = [line for line in LIMITS.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    # Then
    assert len(ROWS) == len(lines) - 2
