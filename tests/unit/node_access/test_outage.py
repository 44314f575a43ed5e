"""When a node that cannot be reached is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dicom.errors import Outcome, PeerError
from shared.node_access.outage import PAUSES, TRY_TAKES, Outage, failed, is_outage

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
REFUSED = PeerError(Outcome.CONNECTION_REFUSED, "127.0.0.1:104 does not take connections", associating=True)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (REFUSED, True),
        (PeerError(Outcome.TIMED_OUT, "", associating=True), True),
        (PeerError(Outcome.HOST_NOT_FOUND, "", associating=True), True),
        (PeerError(Outcome.TIMED_OUT, ""), False),
        (PeerError(Outcome.REJECTED, "", associating=True, congested=True), False),
        (PeerError(Outcome.REJECTED, "", associating=True), False),
        (PeerError(Outcome.ABORTED, "", associating=True), False),
        (PeerError(Outcome.CONNECTION_REFUSED, "", associating=True, permanent=True), False),
        (OSError(), False),
    ],
)
def test_only_a_peer_that_was_not_reached_is_away(error, expected):
    # When / Then
    assert is_outage(error) is expected


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1)), min_size=1, max_size=40))
def test_tries_get_rarer_and_never_rarer_than_the_longest_pause(steps):
    # Given
    outage, now = None, NOON
    # When
    for wait_s, jitter in steps:
        began = max(now, outage.next_try_at) if outage is not None else now
        now = began + timedelta(seconds=wait_s + 0.001)
        outage = failed(outage, REFUSED, began=began, now=now, jitter=jitter)
        # Then
        pause_s = (outage.next_try_at - now).total_seconds()
        assert 0.75 * PAUSES.first_s <= pause_s <= 1.25 * PAUSES.longest_s
        assert outage.retry_at(now) == outage.next_try_at
        assert outage.retry_at(outage.next_try_at) is None
    assert outage is not None
    assert outage.failures == len(steps)


@pytest.mark.parametrize(
    ("others_away", "pause_s"), [(0, 1.0), (5, 1.5), (20, 6.0), (200, 60.0), (10_000, 60.0)]
)
def test_the_more_nodes_are_away_the_rarer_each_is_tried(others_away, pause_s):
    # When
    outage = failed(None, REFUSED, began=NOON, now=NOON, jitter=0.5, others_away=others_away)
    # Then
    assert outage.next_try_at == NOON + timedelta(seconds=pause_s)


def test_tries_that_fail_side_by_side_count_as_one():
    # Given
    first = failed(None, REFUSED, began=NOON, now=NOON + timedelta(seconds=2), jitter=0.5)
    # When
    other = failed(first, REFUSED, began=NOON, now=NOON + timedelta(seconds=3), jitter=0.5)
    # Then
    assert other == first


def test_while_somebody_tries_the_others_come_back_soon():
    # Given
    late = NOON + timedelta(minutes=5)
    outage = Outage(3, NOON, NOON, Outcome.TIMED_OUT, "", trying_until=late)
    # When / Then
    assert outage.retry_at(NOON) == NOON + TRY_TAKES
    assert outage.retry_at(late) is None


def test_who_may_not_try_gets_the_error_of_the_last_try():
    # Given
    outage = failed(None, REFUSED, began=NOON, now=NOON, jitter=0.5)
    # When
    error = outage.error(outage.next_try_at)
    # Then
    assert (str(error), error.code, error.retry_at) == (str(REFUSED), REFUSED.code, outage.next_try_at)
    assert error.peer_away
    assert is_outage(error)
