"""The state of a day from what is proven of it, the clock, and the days before."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.evidence.calendar import (
    PROVEN,
    CalendarDay,
    Clockwork,
    DayCounts,
    DayLedger,
    DayState,
    Freshness,
    calendar_days,
    freshness,
)
from shared.evidence.day_proof import WHOLE_DAY, DayProof

DAY = dt.date(2026, 11, 3)


def end_of_day(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), dt.UTC)


def a_clock(now: dt.datetime, *, open_since: bool = True) -> Clockwork:
    return Clockwork(now, end_of_day, lambda _since, _until: open_since)


LATER = a_clock(dt.datetime(2027, 1, 1, tzinfo=dt.UTC))
COMPLETE, HALF = DayProof(WHOLE_DAY, requested=True), DayProof(1, requested=True)
WAITING = DayProof(running=True)


def judged(
    proof: DayProof | None, counts: DayCounts | None = None, clockwork: Clockwork = LATER
) -> CalendarDay:
    proofs = {} if proof is None else {(DAY, "CT"): proof}
    ledger = DayLedger(proofs, {} if counts is None else {(DAY, "CT"): counts})
    return calendar_days(ledger, "CT", DAY, DAY, clockwork)[0]


@pytest.mark.parametrize(
    ("proof", "counts", "state"),
    [
        (None, None, DayState.NOT_REQUESTED),
        (WAITING, None, DayState.NOT_REQUESTED),
        (HALF, DayCounts(3), DayState.HOLES),
        (COMPLETE, None, DayState.EMPTY),
        (COMPLETE, DayCounts(3), DayState.COMPLETE),
        (COMPLETE, DayCounts(3, unsettled=1), DayState.HOLES),
        (COMPLETE, DayCounts(0, unsettled=1), DayState.HOLES),
    ],
)
def test_the_state_follows_from_proof_and_studies(proof, counts, state):
    assert judged(proof, counts).state is state


def test_a_day_is_not_due_until_its_reports_can_be_there():
    # Given
    end = end_of_day(DAY)
    # Then
    before, after = end + dt.timedelta(minutes=119), end + dt.timedelta(minutes=120)
    assert judged(COMPLETE, clockwork=a_clock(before)).state is DayState.NOT_DUE
    assert judged(COMPLETE, clockwork=a_clock(after)).state is DayState.EMPTY


def test_a_node_that_did_not_open_since_was_closed():
    closed = a_clock(dt.datetime(2026, 11, 4, 9, tzinfo=dt.UTC), open_since=False)
    assert judged(None, clockwork=closed).state is DayState.CLOSED
    assert judged(HALF, clockwork=closed).state is DayState.HOLES


def weeks(*numbers: int) -> list[CalendarDay]:
    """Return Tuesdays of these numbers of studies, the last one on DAY."""
    days = [DAY - dt.timedelta(weeks=back) for back in reversed(range(len(numbers)))]
    proofs = {(day, "CT"): COMPLETE for day in days}
    counts = {(day, "CT"): DayCounts(number) for day, number in zip(days, numbers, strict=True)}
    return calendar_days(DayLedger(proofs, counts), "CT", days[0], DAY, LATER)


@pytest.mark.parametrize(
    ("numbers", "state", "thin"),
    [
        ((20, 20, 20, 9), DayState.THIN, True),
        ((20, 20, 20, 10), DayState.COMPLETE, False),
        ((20, 20, 20, 0), DayState.EMPTY, True),
        ((0, 0, 0, 0), DayState.EMPTY, False),
        ((20, 20, 9), DayState.COMPLETE, False),
    ],
)
def test_a_day_below_half_of_its_weekdays_is_thin(numbers, state, thin):
    # When
    last = weeks(*numbers)[-1]
    # Then
    assert (last.state, last.thin) == (state, thin)


def test_weekdays_longer_ago_than_eight_weeks_do_not_count():
    assert weeks(99, 99, 99, 99, *[10] * 8, 6)[-1].median == 10


states = st.lists(st.sampled_from(list(DayState)), max_size=30)


@given(states)
def test_everything_before_the_watermark_is_proven(found):
    # Given
    days = [CalendarDay(DAY + dt.timedelta(days=number), state) for number, state in enumerate(found)]
    # When
    fresh = freshness(days)
    # Then
    proven = [entry.day for entry in days if entry.state in PROVEN]
    assert fresh.last_complete == (proven[-1] if proven else None)
    if not proven:
        assert fresh == Freshness()
        return
    assert fresh.complete_until in proven
    between = [entry.state for entry in days if proven[0] <= entry.day <= fresh.complete_until]
    assert all(state in PROVEN or state is DayState.NOT_DUE for state in between)


def test_a_hole_holds_the_watermark():
    # Given
    found = [DayState.HOLES, DayState.COMPLETE, DayState.HOLES, DayState.THIN, DayState.NOT_DUE]
    days = [CalendarDay(DAY + dt.timedelta(days=number), state) for number, state in enumerate(found)]
    # Then
    expected = Freshness(DAY + dt.timedelta(days=3), DAY + dt.timedelta(days=1))
    assert freshness(days) == expected
