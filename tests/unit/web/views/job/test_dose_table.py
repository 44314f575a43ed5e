"""Dose figures as columns: totals added, the largest of events, never across units."""

from __future__ import annotations

from typing import Any

import pytest

from services.web.views.job.dose_table import dose_rows, sorted_by, used_columns
from shared.dose.summary import FigureJson


def report(uid: str, *figures: tuple[str, float | None, str] | tuple[str, float | None, str, str]) -> Any:
    """Return a report of these figures: name, value, unit, and of which plane, phantom, agent or event."""
    shown = [
        FigureJson(name=name, value=value, unit=unit, of=of[0] if of else "")
        for name, value, unit, *of in figures
    ]
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
        # of two planes, one is not readable: the sum is at least the other
        (
            [("DAP total", 1.5, "Gy.cm2", "Plane A"), ("DAP total", None, "Gy.m2", "Plane B")],
            {"dap": "≥ 1.5 Gy·cm²"},
        ),
        ([("DAP", 1.0, "Gy.cm2", "event 1"), ("DAP", None, "", "event 2")], {"dap": "≥ 1 Gy·cm²"}),
        ([("CTDIvol", 4.0, "mGy", "event 1"), ("CTDIvol", None, "", "event 2")], {"ctdivol": "≥ 4 mGy"}),
        # the events have all of it
        ([("DAP total", None, "Gy.m2"), ("DAP", 1.0, "Gy.cm2"), ("DAP", 2.0, "Gy.cm2")], {"dap": "3 Gy·cm²"}),
        # the whole stands beside its parts
        (
            [
                ("DAP total", 1.0, "Gy.cm2", "Plane A"),
                ("DAP total", 2.0, "Gy.cm2", "Plane B"),
                ("DAP total", 3.0, "Gy.cm2"),
            ],
            {"dap": "3 Gy·cm²"},
        ),
        ([("DAP total", 1.0, "Gy.cm2", "Plane A"), ("DAP total", 4.0, "Gy.cm2")], {"dap": "5 Gy·cm²"}),
        # activities of several agents are no activity of one
        (
            [("administered activity", 80.0, "MBq", "Tl"), ("administered activity", 700.0, "MBq", "Tc")],
            {"activity": "80 MBq, 700 MBq"},
        ),
        (
            [("administered activity", 80.0, "MBq", "Tc"), ("administered activity", 700.0, "MBq", "Tc")],
            {"activity": "780 MBq"},
        ),
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


def test_figures_that_were_left_out_make_a_sum_of_events_a_lower_limit():
    # Given
    found = report("1", ("DAP", 1.0, "Gy.cm2", "event 1"), ("DLP total", 5.0, "mGy.cm"))
    found["summary"]["figures_left_out"] = 7
    # When
    (row,) = dose_rows([found])
    # Then
    assert {name: cell.text for name, cell in row.cells.items()} == {"dap": "≥ 1 Gy·cm²", "dlp": "5 mGy·cm"}


def test_a_figure_in_a_unit_that_is_not_understood_is_sorted_behind_the_others():
    # Given
    reports = [
        report("a", ("DLP total", 900.0, "G1")),
        report("b", ("DLP total", 5.0, "mGy.cm")),
        report("c"),
    ]
    # When
    found = [row.entry["sop_instance_uid"] for row in sorted_by(dose_rows(reports), "dlp")]
    # Then
    assert found == ["b", "a", "c"]
