"""A step of a removal takes about as long as it should, however fast the database is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.retention.step_size import AIM_S, FIRST_SHARE, LEAST_SHARE, next_share, part_of


@pytest.mark.parametrize(
    ("share", "took_s", "after"),
    [
        (0.4, AIM_S, 0.4),
        (0.4, 4 * AIM_S, 0.1),
        (0.4, 0.9 * AIM_S, 0.4 / 0.9),
        (0.4, 0.01 * AIM_S, 0.6),
        (0.4, 0.0, 0.6),
        (0.9, 0.1 * AIM_S, 1.0),
        (0.4, 1000 * AIM_S, LEAST_SHARE),
    ],
)
def test_the_next_share_follows_from_the_time_of_the_last(share, took_s, after):
    assert next_share(share, took_s) == pytest.approx(after)


@given(st.floats(0.02, 30.0))
def test_steps_come_to_the_aim_within_ten(seconds_of_all):
    # Given
    share = FIRST_SHARE
    # When
    for _ in range(10):
        share = next_share(share, share * seconds_of_all)
    # Then
    assert share * seconds_of_all == pytest.approx(min(AIM_S, seconds_of_all))


def test_a_step_takes_on_at_least_one():
    assert (part_of(1000, 0.25), part_of(1, LEAST_SHARE)) == (250, 1)
