"""Pauses between tries double and stay within their bound."""

from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from shared.backoff import Backoff


def test_each_pause_is_twice_the_one_before_up_to_the_longest():
    assert list(islice(Backoff(0.5, 10.0).pauses(), 7)) == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


@given(st.floats(0.01, 10), st.floats(10, 1000), st.integers(0, 10**6))
def test_a_pause_never_shrinks_and_never_exceeds_the_longest(first_s, longest_s, failures):
    # Given
    backoff = Backoff(first_s, longest_s)
    # When / Then
    assert first_s <= backoff.pause_s(failures) <= backoff.pause_s(failures + 1) <= longest_s
