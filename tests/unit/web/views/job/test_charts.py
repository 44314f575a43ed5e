"""Geometry of charts: what the table says is what the bars show."""

from __future__ import annotations

import pytest

from services.web.views.job.charts import (
    BOTTOM,
    HEIGHT,
    nice,
    reason_bars,
    response_times,
    studies_by_day,
)


def test_bars_of_a_day_stand_on_each_other():
    # When
    chart = studies_by_day(
        [("20240501", "CT", 30), ("20240501", "MG", 10), ("20240503", "CT", 5), (None, None, 1)]
    )
    # Then
    assert chart.types == ["CT", "MG", "other"]
    assert chart.rows == [("2024-05-01", [30, 10, 0]), ("2024-05-03", [5, 0, 0]), ("no date", [0, 0, 1])]
    ct, mg = chart.bars[:2]
    assert ct.y + ct.height == pytest.approx(HEIGHT - BOTTOM, abs=0.2)
    assert mg.y + mg.height == pytest.approx(ct.y, abs=0.2)
    assert ct.height == pytest.approx(3 * mg.height, abs=0.3)
    assert [bar.text for bar in chart.bars] == [
        "2024-05-01, CT: 30",
        "2024-05-01, MG: 10",
        "2024-05-03, CT: 5",
        "no date, other: 1",
    ]


def test_many_days_become_months():
    # When
    chart = studies_by_day(
        [(f"2024{1 + number // 28:02}{1 + number % 28:02}", "CT", 2) for number in range(140)]
    )
    # Then
    assert chart.unit == "month"
    assert [(name, numbers) for name, numbers in chart.rows] == [
        (f"2024-{month:02}", [56]) for month in range(1, 6)
    ]


@pytest.mark.parametrize(("most", "top"), [(0, 1), (1, 1), (3, 5), (41, 50), (101, 200), (99_999, 100_000)])
def test_an_axis_ends_at_a_round_number(most, top):
    assert nice(most) == top


def test_reasons_are_ordered_by_number():
    # When
    bars = reason_bars({"rdsr": 5, "images": 20}, {"known": 40})
    # Then
    assert [(bar.reason, bar.number, bar.percent) for bar in bars] == [
        ("images", 20, 50.0),
        ("rdsr", 5, 12.5),
        ("known", 40, 100.0),
    ]


def test_response_times_are_percentiles_by_level():
    # When
    found = response_times([("SERIES", 10), *(("STUDY", value) for value in range(1, 101))])
    # Then
    assert [
        (times.level, times.number, times.median_ms, times.p95_ms, times.longest_ms) for times in found
    ] == [
        ("STUDY", 100, 51, 96, 100),
        ("SERIES", 1, 10, 10, 10),
    ]
