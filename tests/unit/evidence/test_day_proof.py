"""What several queries prove of a day, taken together."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from shared.contract.criteria import DateWindow
from shared.evidence.day_proof import (
    WHOLE_DAY,
    DayProof,
    DaySearch,
    UnprovenWindow,
    proof_of_type,
    prove_days,
)
from shared.evidence.day_tally import CodeProof, proofs_json, read_proofs
from shared.querying.slices import Slice

DAY = dt.date(2026, 11, 3)
AFTER = dt.datetime(2026, 11, 5, 8, tzinfo=dt.UTC)


def end_of_day(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), dt.UTC)


def a_search(
    *unproven: UnprovenWindow,
    codes: tuple[str, ...] = ("CT",),
    first: dt.date | None = DAY,
    last: dt.date | None = DAY,
    requested_at: dt.datetime = AFTER,
    ended: bool = True,
    lacks_undated: bool = False,
) -> DaySearch:
    days = [DateWindow(first, last)]
    return DaySearch("q", frozenset(codes), days, requested_at, ended, unproven, lacks_undated)


def failed(first_minute: int = 0, last_minute: int = 1439, code: str | None = None) -> UnprovenWindow:
    first, last = dt.time(*divmod(first_minute, 60)), dt.time(*divmod(last_minute, 60))
    return UnprovenWindow(Slice(DAY, DAY, first, last, code), failed=True)


def proof_of(*searches: DaySearch, type_name: str = "CT"):
    return proof_of_type(prove_days(searches, DAY, DAY, end_of_day), DAY, type_name)


def test_a_complete_query_proves_its_days_and_types():
    # Given
    search = a_search(codes=("CT", "RF"), last=DAY + dt.timedelta(days=1))
    # When
    proofs = prove_days([search], DAY, DAY + dt.timedelta(days=2), end_of_day)
    # Then
    assert {key for key, proof in proofs.items() if proof.complete} == {
        (DAY, "CT"),
        (DAY, "RF"),
        (DAY + dt.timedelta(days=1), "CT"),
        (DAY + dt.timedelta(days=1), "RF"),
    }


def test_a_type_of_several_codes_needs_them_all():
    assert not proof_of(a_search(codes=("RF",)), type_name="FL").complete
    assert proof_of(a_search(codes=("RF",)), a_search(codes=("XA",)), type_name="FL").complete


def test_parts_of_two_queries_add_up_to_a_day():
    # Given
    morning_only, evening_only = a_search(failed(720)), a_search(failed(0, 719))
    # Then
    assert not proof_of(morning_only).complete
    assert proof_of(morning_only, evening_only).complete


def test_a_failed_window_of_another_code_takes_nothing_away():
    assert proof_of(a_search(failed(code="MG\\DX"))).complete
    assert not proof_of(a_search(failed(code="MG\\CT"))).complete


def test_a_query_before_the_end_of_the_day_proves_nothing_of_it():
    # When
    proof = proof_of(a_search(requested_at=end_of_day(DAY) - dt.timedelta(minutes=1)))
    # Then
    assert (proof.complete, proof.requested) == (False, True)


def test_a_query_that_lost_a_study_of_unknown_date_proves_no_day():
    assert not proof_of(a_search(lacks_undated=True)).complete


def test_a_window_that_nobody_came_to_was_not_requested():
    # Given
    waiting = UnprovenWindow(Slice(DAY, DAY), failed=False)
    # When
    proof = proof_of(a_search(waiting, ended=False))
    # Then
    assert (proof.complete, proof.requested, proof.running) == (False, False, True)


def test_an_open_window_reaches_every_day():
    assert proof_of(a_search(first=None, last=None)).complete
    assert not proof_of(a_search(UnprovenWindow(Slice(), failed=True), first=None, last=None)).complete


minutes = st.integers(0, 1439)
windows = st.lists(st.tuples(minutes, minutes).map(sorted), max_size=4)


@given(st.lists(windows, min_size=1, max_size=4))
def test_a_day_is_complete_exactly_if_each_minute_is(open_windows):
    # Given
    searches = [
        a_search(*(failed(first, last) for first, last in windows_of_search))
        for windows_of_search in open_windows
    ]
    # When
    proof = proof_of(*searches)
    # Then
    expected = all(
        any(all(not first <= minute <= last for first, last in part) for part in open_windows)
        for minute in range(1440)
    )
    assert proof.complete == expected
    assert proof.minutes | WHOLE_DAY == WHOLE_DAY


def test_days_between_the_parts_of_a_query_are_not_proven():
    # Given
    parts = [DateWindow(DAY, DAY), DateWindow(DAY + dt.timedelta(days=2), DAY + dt.timedelta(days=2))]
    search = DaySearch("q", frozenset({"CT"}), parts, AFTER, ended=True)
    # When
    proofs = prove_days([search], DAY, DAY + dt.timedelta(days=3), end_of_day)
    # Then
    assert {day for day, _ in proofs} == {DAY, DAY + dt.timedelta(days=2)}


searches = st.lists(
    st.builds(
        lambda hours, bounds, lacks: a_search(
            *([failed(*sorted(bounds))] if bounds else ()),
            requested_at=AFTER - dt.timedelta(hours=hours),
            lacks_undated=lacks,
        ),
        st.integers(0, 72),
        st.none() | st.tuples(st.integers(0, 1439), st.integers(0, 1439)),
        st.booleans(),
    ),
    max_size=8,
)


@given(searches, st.integers(-14, 14))
def test_proofs_that_are_added_up_hold_in_every_time_zone(given_searches, zone):
    # Given
    def ends(day: dt.date) -> dt.datetime:
        return end_of_day(day) + dt.timedelta(hours=zone)

    kept = CodeProof()
    for search in given_searches:
        kept = kept.with_search(search, DAY, "CT")
    # When
    read = read_proofs(json.loads(json.dumps(proofs_json({"CT": kept}))))
    # Then
    expected = prove_days(given_searches, DAY, DAY, ends).get((DAY, "CT"), DayProof())
    assert read["CT"].proof(ends(DAY)) == expected


class CountedWindows(list[UnprovenWindow]):
    """Windows that count how often they were gone through."""

    passes = 0

    def __iter__(self) -> Iterator[UnprovenWindow]:
        self.passes += 1
        return super().__iter__()


def test_the_windows_of_all_days_are_gone_through_once_for_each_day_and_not_for_each_code():
    # Given
    codes = ("CT", "MG", "RF", "XA", "DX", "CR")
    windows = CountedWindows([failed()])
    search = dataclasses.replace(a_search(codes=codes, last=DAY + dt.timedelta(days=2)), unproven=windows)
    # When
    proofs = prove_days([search], DAY, DAY + dt.timedelta(days=2), end_of_day)
    # Then
    assert len(proofs) == 3 * len(codes)
    assert windows.passes == 3
