"""Rates are given by second or minute, and times left are rounded up."""

from __future__ import annotations

import pytest

from shared.reading.rate_text import duration, rate_text


@pytest.mark.parametrize(
    ("per_s", "left_s", "text"),
    [
        (2.5, None, "2.5 objects a second"),
        (1.0, None, "1.0 object a second"),
        (0.1, 60.0, "6.0 objects a minute, about 2 min left"),
        (1 / 60, 7200.0, "1.0 object a minute, about 2 h 1 min left"),
    ],
)
def test_a_slow_rate_is_given_by_minute(per_s: float, left_s: float | None, text: str) -> None:
    assert rate_text(per_s, left_s, "object", "objects") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1 s"),
        (58.9, "59 s"),
        (59.0, "1 min"),
        (61.0, "2 min"),
        (3598.0, "60 min"),
        (3600.0, "1 h 1 min"),
    ],
)
def test_a_duration_is_rounded_up_to_its_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text
