"""A bar that never goes back, with the rate and time of the last seconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.web.live.progress import JOBS, ProgressHistory, query_fraction

COUNT = st.integers(min_value=0, max_value=1000)


@given(st.lists(st.tuples(COUNT, COUNT, COUNT, COUNT), min_size=1, max_size=30))
def test_a_fraction_never_falls_whatever_is_counted(counts: list[tuple[int, int, int, int]]) -> None:
    # Given
    history = ProgressHistory()
    # When
    fractions = [
        history.add("q1", float(second), query_fraction(*count), count[3]).fraction
        for second, count in enumerate(counts)
    ]
    # Then
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] <= fractions[-1] <= 1


@pytest.mark.parametrize(
    ("total", "done", "found", "examined", "percent"),
    [
        (0, 0, 0, 0, 0),
        (10, 5, 0, 0, 50),
        (10, 10, 100, 0, 40),
        (10, 10, 100, 50, 70),
        (10, 10, 100, 100, 100),
    ],
)
def test_a_search_alone_does_not_fill_the_bar(total, done, found, examined, percent):
    assert query_fraction(total, done, found, examined) * 100 == pytest.approx(percent)


def test_rate_and_time_left_are_those_of_the_last_seconds():
    # Given: fast at first, slow for the last minute
    history = ProgressHistory()
    for second in range(10):
        history.add("r1", float(second), second * 0.05, second * 50)
    for second in range(10, 70):
        progress = history.add("r1", float(second), 0.5 + (second - 10) * 0.001, 500 + second - 10)
    # Then
    assert progress.per_s == pytest.approx(1.0, rel=0.1)
    assert progress.left_s == pytest.approx((1 - 0.559) / 0.001, rel=0.1)


def test_what_does_not_move_has_no_rate():
    # Given
    history = ProgressHistory()
    # When
    for second in range(60):
        progress = history.add("r1", float(second), 0.5, 10)
    # Then
    assert (progress.per_s, progress.left_s) == (None, None)


def test_the_first_sample_has_no_rate():
    assert ProgressHistory().add("r1", 5.0, 0.5, 10).per_s is None


def test_the_jobs_remembered_are_bounded():
    # Given
    history = ProgressHistory()
    # When
    for number in range(JOBS + 10):
        history.add(f"job-{number}", 0.0, 0.5, 1)
    # Then
    assert len(history._courses) == JOBS
