"""Lines of cron: five strict fields, names, and the rule for the two fields of days."""

from __future__ import annotations

import contextlib
from datetime import date, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.schedules.cron import parse_cron

#: A Friday, the 13th.
FRIDAY_13 = date(2024, 9, 13)


@pytest.mark.parametrize(
    ("line", "times"),
    [
        ("30 6 * * *", [time(6, 30)]),
        ("0,30 6-7 * * *", [time(6), time(6, 30), time(7), time(7, 30)]),
        ("*/20 0 * * *", [time(0), time(0, 20), time(0, 40)]),
        ("10-40/15 23 * * *", [time(23, 10), time(23, 25), time(23, 40)]),
        ("5,5,5 1 * * *", [time(1, 5)]),
    ],
)
def test_minutes_and_hours_make_the_times(line, times):
    assert parse_cron(line).times() == times


@pytest.mark.parametrize(
    ("line", "matches"),
    [
        ("0 0 * * *", True),
        ("0 0 13 * *", True),
        ("0 0 14 * *", False),
        ("0 0 * * fri", True),
        ("0 0 * * 5", True),
        ("0 0 * * MON-FRI", True),
        ("0 0 * * sat,sun", False),
        ("0 0 * * 0-4", False),
        ("0 0 * * thu-sun", True),
        ("0 0 * sep *", True),
        ("0 0 * Jan-Aug *", False),
        ("0 0 * */3 *", False),
        ("0 0 * 1-12/4 *", True),
    ],
)
def test_a_day_fits_what_the_fields_of_days_name(line, matches):
    assert parse_cron(line).matches(FRIDAY_13) is matches


@pytest.mark.parametrize(
    ("line", "days"),
    [
        # Both restricted: either. One begins with a star: both.
        ("0 0 13 * mon", [2, 9, 13, 16, 23, 30]),
        ("0 0 13 * *", [13]),
        ("0 0 * * mon", [2, 9, 16, 23, 30]),
        ("0 0 */2 * mon", [9, 23]),
        ("0 0 1-7 * */7", [1]),
    ],
)
def test_two_restricted_fields_of_days_are_either_or(line, days):
    # Given
    parsed = parse_cron(line)
    # When
    september = [date(2024, 9, day) for day in range(1, 31)]
    # Then
    assert [day.day for day in september if parsed.matches(day)] == days


def test_sunday_is_0_and_7_and_a_name():
    sunday = date(2024, 9, 15)
    assert all(parse_cron(f"0 0 * * {text}").matches(sunday) for text in ("0", "7", "sun", "sat-7", "SUN"))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("", "five fields"),
        ("0 6 * *", "five fields.*4"),
        ("0 6 * * * root", "five fields.*6"),
        ("60 6 * * *", r"minute: '60'.*0 to 59"),
        ("0 24 * * *", "hour"),
        ("0 0 0 * *", "day of the month"),
        ("0 0 * 13 *", "month"),
        ("0 0 * * 8", "day of the week"),
        ("0 0 * foo *", "month.*jan"),
        ("5/10 0 * * *", "a step stands behind"),
        ("*/0 0 * * *", "a step is a number from 1"),
        ("*/60 0 * * *", "a step is a number from 1"),
        ("*/x 0 * * *", "a step is a number"),
        ("10-5 0 * * *", "a range goes from the lower"),
        ("0 0 * * fri-mon", "a range goes from the lower"),
        ("1, 0 * * *", "minute"),
        ("-5 0 * * *", "minute"),
        ("٣ 0 * * *", "minute"),
        ("+1 0 * * *", "minute"),
        ("0 0 31 2,4 *", "never due"),
        ("0 0 30 feb */2", "never due"),
        ("@daily", "five fields"),
        ("0 0 L * *", "day of the month"),
        ("0 " * 200, "at most 200"),
    ],
)
def test_what_is_no_line_is_refused_by_its_field(line, problem):
    with pytest.raises(ValueError, match=problem):
        parse_cron(line)


numbers = st.integers(0, 59)


@given(st.lists(numbers, min_size=1, max_size=8), st.lists(st.integers(0, 23), min_size=1, max_size=4))
def test_lists_of_numbers_are_their_times_in_order(minutes, hours):
    # When
    parsed = parse_cron(f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *")
    # Then
    assert parsed.times() == sorted({time(hour, minute) for hour in hours for minute in minutes})


@given(st.integers(1, 31), st.integers(0, 7), st.integers(0, 3000))
def test_the_rule_of_days_holds_for_every_day(day, weekday, offset):
    # Given
    found = date(2020, 1, 1) + timedelta(days=offset)
    # When
    parsed = parse_cron(f"0 0 {day} * {weekday}")
    # Then
    assert parsed.matches(found) == (found.day == day or found.isoweekday() % 7 == weekday % 7)


@given(st.text(alphabet="0123456789*/-, adefjlnorstuw", max_size=30))
def test_any_text_is_a_line_or_refused(text):
    with contextlib.suppress(ValueError):
        assert parse_cron(text).times()
