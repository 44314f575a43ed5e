"""Durations, ages and days as people read them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from services.web.views.time_text import age, day_heading, days_text, span

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "under 1 s"),
        (38.4, "38 s"),
        (98, "1 min 38 s"),
        (120, "2 min"),
        (7500, "2 h 5 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_a_duration_is_written_in_two_units(seconds, text):
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (5, "just now"),
        (200, "3 min ago"),
        (7300, "2 h ago"),
        (90_000, "1 day ago"),
        (200_000, "2 days ago"),
        (-200, "in 3 min"),
    ],
)
def test_an_age_is_written_in_one_unit(seconds, text):
    assert age(NOW - timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        (date(2024, 11, 1), date(2024, 11, 1), "1 Nov 2024"),
        (date(2024, 11, 1), date(2024, 11, 25), "1\N{EN DASH}25 Nov 2024"),
        (date(2024, 10, 30), date(2024, 11, 2), "30 Oct \N{EN DASH} 2 Nov 2024"),
        (date(2023, 12, 31), date(2024, 1, 1), "31 Dec 2023 \N{EN DASH} 1 Jan 2024"),
    ],
)
def test_a_range_of_days_repeats_neither_month_nor_year(first, last, text):
    assert days_text(first, last) == text


def test_a_day_is_headed_as_in_a_diary():
    today = NOW.date()
    assert day_heading(today, today) == "Today"
    assert day_heading(today - timedelta(days=1), today) == "Yesterday"
    assert day_heading(date(2024, 4, 29), today) == "Mon 29 Apr 2024"
