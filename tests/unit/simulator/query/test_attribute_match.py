"""Attribute matching (PS3.4 C.2.2.2)."""

from __future__ import annotations

import datetime as dt
import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.query.attribute_match import date_window, match_key

DATES = st.dates(dt.date(1990, 1, 1), dt.date(2035, 12, 31)).map(lambda day: day.strftime("%Y%m%d"))
TIMES = st.times().map(lambda time: time.strftime("%H%M%S"))
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="*?[]\\"), max_size=12)


def matches(vr: str, wanted: list[str], values: list[str]) -> bool:
    matcher = match_key(vr, wanted)
    return matcher is None or matcher(values)


@pytest.mark.parametrize(
    ("vr", "wanted"), [("LO", [""]), ("LO", ["*"]), ("UI", []), ("DA", [""]), ("CS", ["**"])]
)
def test_key_without_a_value_is_universal(vr, wanted):
    assert match_key(vr, wanted) is None


@pytest.mark.parametrize(
    ("vr", "wanted", "values", "expected"),
    [
        ("CS", ["CT"], ["SR", "CT"], True),
        ("CS", ["PT"], ["OPT"], False),
        ("CS", ["CT", "MG"], ["MG"], True),
        ("CS", ["C?"], ["CR"], True),
        ("LO", ["Thorax*"], ["Thorax p.a."], True),
        ("LO", ["thorax*"], ["Thorax p.a."], False),
        ("LO", ["a.c"], ["abc"], False),
        ("PN", ["müller^*"], ["MÜLLER^ANNA"], True),
        ("UI", ["1.2", "1.3"], ["1.3"], True),
        ("UI", ["1.2*"], ["1.23"], False),
        ("IS", ["5"], ["5"], True),
        ("LO", ["x"], [], False),
    ],
)
def test_single_value_list_and_wildcard(vr, wanted, values, expected):
    assert matches(vr, wanted, values) is expected


@pytest.mark.parametrize(
    ("wanted", "value", "expected"),
    [
        ("0930", "093059", True),
        ("0930", "093100", False),
        ("080000-093000", "093000", True),
        ("08-", "235959.5", True),
        ("-0930", "000000", True),
        ("-0930", "093100", False),
    ],
)
def test_times_match_as_precisely_as_they_are_given(wanted, value, expected):
    assert matches("TM", [wanted], [value]) is expected


@given(first=DATES, last=DATES, day=DATES)
def test_date_range_is_inclusive_at_both_ends(first, last, day):
    assert matches("DA", [f"{first}-{last}"], [day]) is (first <= day <= last)


@given(edge=DATES, day=DATES)
def test_open_date_ranges_have_one_end(edge, day):
    assert matches("DA", [f"{edge}-"], [day]) is (edge <= day)
    assert matches("DA", [f"-{edge}"], [day]) is (day <= edge)


@given(first=TIMES, last=TIMES, time=TIMES)
def test_time_range_is_inclusive_at_both_ends(first, last, time):
    assert matches("TM", [f"{first}-{last}"], [time]) is (first <= time <= last)


@given(day=DATES)
def test_entity_without_a_date_matches_no_range(day):
    assert not matches("DA", [f"{day}-"], [])


@given(before=TEXTS, after=TEXTS, value=TEXTS)
def test_wildcards_are_those_of_file_names_and_nothing_else(before, after, value):
    # Given
    pattern = f"{before}*{after}?"

    # Then
    assert matches("LO", [pattern], [value]) is fnmatch.fnmatchcase(value, pattern.strip())


@given(first=DATES, last=DATES)
def test_window_of_a_key_is_the_days_of_its_range(first, last):
    window = date_window(f"{first}-{last}")

    assert [day and day.strftime("%Y%m%d") for day in window] == [first, last]


@pytest.mark.parametrize("value", ["", "-", "2024", "20241399-20250101"])
def test_unreadable_end_of_a_window_is_open(value):
    assert date_window(value)[0] is None
