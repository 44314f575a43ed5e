"""Dose figures as columns: totals added, the largest of events, never across units."""

from __future__ import annotations

from typing import Any

import pytest

from services.web.views.job.dose_table import dose_rows, sorted_by, used_columns
from shared.dose.summary import FigureJson


def report(uid: str, *figures: tuple[str, float | None, str]) -> Any:
    shown = [FigureJson(name=name, value=value, unit=unit, of="") for name, value, unit in figures]
    return {"sop_instance_uid": uid, "summary": {"kind": "ct", "events": 1, "figures": shown}}


@pytest.mark.parametrize(
    ("figures", "cells"),
    [
        ([("DLP total", 236.09, "mGy.cm")], {"dlp": "236.1 mGy·cm"}),
        ([("CTDIvol", 4.0, "mGy"), ("CTDIvol", 12.5, "mGy")], {"ctdivol": "12.5 mGy"}),
        ([("DAP total", 1.5, "Gy.m2"), ("DAP total", 0.5, "Gy.m2")], {"dap": "2 Gy·m²"}),
        ([("DAP total", 1.5, "Gy.m2"), ("DAP total", 3.0, "other")], {}),
        ([("AGD", 1.1, "mGy"), ("AGD total", 2.2, "mGy")], {"agd": "2.2 mGy"}),
        ([("DLP total", None, "mGy.cm")], {}),
    ],
)
def test_figures_stand_in_their_column(figures, cells):
    # When
    row = dose_rows([report("1", *figures)])[0]
    # Then
    assert {name: cell.text for name, cell in row.cells.items()} == cells


def test_rows_are_sorted_with_the_largest_first():
    # Given
    reports = [
        report(uid, ("DLP total", dlp, "mGy.cm")) for uid, dlp in (("a", 5.0), ("b", 70.0), ("c", 0.0))
    ]
    unread = report("d")
    unread["summary"] = None
    rows = dose_rows([*reports, unread])
    # When
    found = [row.entry["sop_instance_uid"] for row in sorted_by(rows, "dlp")]
    # Then
    assert found == ["b", "a", "c", "d"]
    assert list(used_columns(rows)) == ["dlp"]
