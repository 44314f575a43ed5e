from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.broker.retry import (
    HELD,
    LONGEST_HOLD_S,
    MAX_ATTEMPTS,
    REASON_LENGTH,
    Bury,
    Defect,
    GiveBack,
    TryAgain,
    decide_retry,
    plan_pause_s,
    shorten,
)
from shared.errors import BrokerAwayError, DatabaseAwayError, InvalidInputError, PermanentError

jitters = st.floats(min_value=0, max_value=1)
attempts = st.integers(min_value=1, max_value=10_000)


@given(attempt=attempts, jitter=jitters)
def test_pause_never_shrinks(attempt, jitter):
    # When
    earlier, later = plan_pause_s(attempt, jitter), plan_pause_s(attempt + 1, jitter)
    # Then
    assert 0 < earlier <= later <= HELD.longest_s


@given(jitter=jitters, work_s=st.floats(min_value=0, max_value=100))
def test_retrying_always_ends_and_holds_no_longer_than_allowed(jitter, work_s):
    # Given
    held_s, attempt = 0.0, 0
    # When
    while True:
        attempt += 1
        held_s += work_s
        decision = decide_retry(DatabaseAwayError(), attempt=attempt, held_s=held_s, jitter=jitter)
        if not isinstance(decision, TryAgain):
            break
        held_s += decision.pause_s
        assert held_s <= LONGEST_HOLD_S
    # Then
    assert decision == GiveBack()
    assert attempt <= MAX_ATTEMPTS


@given(attempt=attempts, jitter=jitters)
def test_permanent_error_is_never_tried_again(attempt, jitter):
    # When
    decision = decide_retry(PermanentError("no such node"), attempt=attempt, held_s=0, jitter=jitter)
    # Then
    assert decision == Bury("no such node")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (BrokerAwayError("away"), TryAgain(0.5)),
        (DatabaseAwayError("away"), TryAgain(0.5)),
        (InvalidInputError("criteria.from", "not a date"), Bury("criteria.from: not a date")),
        (PermanentError(), Bury("PermanentError")),
        (ValueError("who knows"), Defect()),
    ],
)
def test_kind_of_error_decides(error, expected):
    # When
    decision = decide_retry(error, attempt=1, held_s=0, jitter=0)
    # Then
    assert decision == expected


def test_without_jitter_pauses_double_up_to_the_longest():
    # When
    pauses = [plan_pause_s(attempt, 0) for attempt in range(1, 9)]
    # Then
    assert pauses == [0.5, 1, 2, 4, 8, 15, 15, 15]


@given(st.text(max_size=2 * REASON_LENGTH))
def test_reason_is_one_printable_line_of_bounded_length(text):
    # When
    reason = shorten(text)
    # Then
    assert len(reason) <= REASON_LENGTH
    assert reason.isprintable()
