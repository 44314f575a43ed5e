"""Slices cover what the criteria request, exactly, however often they are cut."""

from __future__ import annotations

import itertools
from datetime import date, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contract.criteria import CODES
from shared.errors import InvalidInputError
from shared.querying.slices import Slice, halve, plan
from tests.unit.query.profile.archive import criteria

TODAY = date(2024, 6, 15)
ONE_DAY = timedelta(days=1)


def span(part: Slice) -> tuple[tuple[date, int], tuple[date, int]]:
    """Return the first and the last minute of a slice; a date without end is the last of the calendar."""
    start, end = part.minutes()
    return (part.date_from or date.min, start), (part.date_until or date.max, end)


def after(moment: tuple[date, int]) -> tuple[date, int]:
    day, minute = moment
    return (day + ONE_DAY, 0) if minute == 24 * 60 - 1 else (day, minute + 1)


def test_there_is_a_slice_for_each_code_of_the_types():
    # When
    slices = plan(criteria("FL", "NM", "SR"), TODAY, None, codes_split=True)
    # Then
    assert [part.code for part in slices] == ["RF", "XA", "NM", "PT", "SR"]


def test_codes_may_stay_together():
    assert plan(criteria(*CODES), TODAY, None, codes_split=False) == [Slice()]


@pytest.mark.parametrize(
    ("fields", "widest_days", "days"),
    [
        ({}, 7, [(None, None)]),
        ({"date_until": "2024-06-10"}, 7, [(None, "2024-06-10")]),
        ({"date_from": "2024-06-14"}, 7, [("2024-06-14", "2024-06-15")]),
        (
            {"date_from": "2024-06-01"},
            7,
            [("2024-06-09", "2024-06-15"), ("2024-06-02", "2024-06-08"), ("2024-06-01", "2024-06-01")],
        ),
        ({"date_from": "2024-06-02"}, 7, [("2024-06-09", "2024-06-15"), ("2024-06-02", "2024-06-08")]),
        ({"date_from": "2020-01-01"}, None, [("2020-01-01", "2024-06-15")]),
        (
            {"date_from": "2024-06-14", "date_until": "2024-06-15"},
            1,
            [("2024-06-15",) * 2, ("2024-06-14",) * 2],
        ),
    ],
)
def test_windows_are_as_wide_as_allowed_and_newest_first(fields, widest_days, days):
    # When
    slices = plan(criteria("CT", **fields), TODAY, widest_days, codes_split=True)
    # Then
    found = [tuple(day and day.isoformat() for day in (part.date_from, part.date_until)) for part in slices]
    assert found == days


def test_codes_follow_each_other_within_a_window():
    slices = plan(criteria("FL", date_from="2024-06-14"), TODAY, 1, codes_split=True)
    assert [(part.date_from, part.code) for part in slices] == [
        (TODAY, "RF"),
        (TODAY, "XA"),
        (TODAY - ONE_DAY, "RF"),
        (TODAY - ONE_DAY, "XA"),
    ]


def test_times_go_with_their_single_date():
    # Given
    wanted = criteria("CT", date_from="2024-06-01", date_until="2024-06-01", time_until="0930")
    # When
    (only,) = plan(wanted, TODAY, 7, codes_split=True)
    # Then
    assert only == Slice(date(2024, 6, 1), date(2024, 6, 1), None, time(9, 30), "CT")


def test_criteria_that_begin_after_today_are_refused():
    with pytest.raises(InvalidInputError, match="date_from"):
        plan(criteria("CT", date_from="2024-06-16"), TODAY, 7, codes_split=True)


@pytest.mark.parametrize(
    ("part", "study_date", "study_time"),
    [
        (Slice(), "", ""),
        (Slice(TODAY, TODAY), "20240615", ""),
        (Slice(date(2024, 1, 2), TODAY), "20240102-20240615", ""),
        (Slice(None, TODAY), "-20240615", ""),
        (Slice(TODAY, None), "20240615-", ""),
        (Slice(date(730, 1, 1), date(999, 1, 2)), "07300101-09990102", ""),
        (Slice(TODAY, TODAY, time(8), None), "20240615", "080000-235959.999999"),
        (Slice(TODAY, TODAY, None, time(9, 5)), "20240615", "000000-090559.999999"),
        (Slice(TODAY, TODAY, time(9, 5), time(9, 5)), "20240615", "090500-090559.999999"),
    ],
)
def test_keys_are_dicom_ranges(part, study_date, study_time):
    assert (part.study_date_key(), part.study_time_key()) == (study_date, study_time)


@pytest.mark.parametrize(
    ("part", "newer", "older"),
    [
        (
            Slice(date(2024, 6, 1), date(2024, 6, 4)),
            Slice(date(2024, 6, 3), date(2024, 6, 4)),
            Slice(date(2024, 6, 1), date(2024, 6, 2)),
        ),
        (
            Slice(date(2024, 6, 1), date(2024, 6, 2), code="CT"),
            Slice(date(2024, 6, 2), date(2024, 6, 2), code="CT"),
            Slice(date(2024, 6, 1), date(2024, 6, 1), code="CT"),
        ),
        (
            Slice(TODAY, TODAY),
            Slice(TODAY, TODAY, time(12), time(23, 59)),
            Slice(TODAY, TODAY, time(0), time(11, 59)),
        ),
        (
            Slice(TODAY, TODAY, time(8), time(8, 1)),
            Slice(TODAY, TODAY, time(8, 1), time(8, 1)),
            Slice(TODAY, TODAY, time(8), time(8)),
        ),
        (Slice(), Slice(date(1990, 1, 1), None), Slice(None, date(1989, 12, 31))),
        (Slice(None, TODAY), Slice(date(1990, 1, 1), TODAY), Slice(None, date(1989, 12, 31))),
        (
            Slice(None, date(1989, 12, 31)),
            Slice(date(1970, 1, 1), date(1989, 12, 31)),
            Slice(None, date(1969, 12, 31)),
        ),
        (
            Slice(date(1990, 1, 1), None),
            Slice(TODAY + ONE_DAY, None),
            Slice(date(1990, 1, 1), TODAY),
        ),
    ],
)
def test_a_slice_is_cut_in_two_the_newer_first(part, newer, older):
    assert halve(part, TODAY) == (newer, older)


def test_a_minute_is_not_cut():
    assert halve(Slice(TODAY, TODAY, time(8), time(8)), TODAY) is None


def test_the_width_is_counted_in_days():
    assert Slice(TODAY, TODAY).days == 1
    assert Slice(TODAY - ONE_DAY, TODAY).days == 2
    assert Slice(None, TODAY).days is Slice(TODAY, None).days is None


@st.composite
def slices(draw: st.DrawFn) -> Slice:
    start, end = sorted(draw(st.tuples(st.dates(), st.dates())))
    if draw(st.booleans()):
        end = start
    if start == end and draw(st.booleans()):
        minutes = st.integers(0, 24 * 60 - 1).map(lambda minute: time(*divmod(minute, 60)))
        first, last = sorted(draw(st.tuples(minutes, minutes)))
        return Slice(start, end, draw(st.sampled_from([None, first])), draw(st.sampled_from([None, last])))
    return Slice(draw(st.sampled_from([None, start])), draw(st.sampled_from([None, end])))


@given(slices(), st.dates(), st.lists(st.booleans(), min_size=80, max_size=80))
def test_halves_cover_the_whole_and_cutting_ends(part, today, turns):
    for turn in turns:
        # When
        halves = halve(part, today)
        # Then
        if halves is None:
            first, last = span(part)
            assert first[1] == last[1]
            return
        newer, older = halves
        assert span(older)[0] == span(part)[0]
        assert span(newer)[1] == span(part)[1]
        assert after(span(older)[1]) == span(newer)[0]
        assert span(older)[0] <= span(older)[1]
        assert span(newer)[0] <= span(newer)[1]
        assert newer.code == older.code == part.code
        part = halves[turn]
    raise AssertionError("cutting does not end")


@given(
    st.builds(
        lambda first, days: [first, first + timedelta(days=days)],
        st.dates(max_value=date.max - timedelta(days=2999)),
        st.integers(0, 2999),
    ),
    st.integers(1, 400),
)
def test_planned_windows_cover_the_days_without_gap_or_overlap(days, widest_days):
    # Given
    start, end = days
    wanted = criteria("CT", date_from=start, date_until=end)
    # When
    windows = plan(wanted, TODAY, widest_days, codes_split=False)
    # Then
    assert windows[0].date_until == end
    assert windows[-1].date_from == start
    for newer, older in itertools.pairwise(windows):
        assert after(span(older)[1]) == span(newer)[0]
    assert all(1 <= (window.days or 0) <= widest_days for window in windows)


@given(st.integers(0, 24 * 60 - 2))
def test_keys_of_neighbouring_times_leave_no_fraction_between_them(minute):
    # Given
    older = Slice(TODAY, TODAY, time(0), time(*divmod(minute, 60)))
    newer = Slice(TODAY, TODAY, time(*divmod(minute + 1, 60)), None)
    # When
    end = older.study_time_key().split("-")[1]
    start = newer.study_time_key().split("-")[0]
    # Then
    assert end.endswith("59.999999")
    assert start.endswith("00")
    assert end < start
