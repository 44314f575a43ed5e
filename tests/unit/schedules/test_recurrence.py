"""Due times in a zone: none is skipped, none comes twice, also where the clocks are moved."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.schedules.recurrence import moment_of, next_due, parse_recurrence, previous_due
from tests.support.examples import examples

BERLIN = ZoneInfo("Europe/Berlin")
#: Zones that move their clocks by an hour, by half an hour, at midnight, by a day (2011), and not at all.
ZONES = (
    *("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Beirut"),
    *("Pacific/Apia", "Africa/Casablanca", "Asia/Kolkata", "UTC"),
)
zones = st.sampled_from([ZoneInfo(name) for name in ZONES])
moments = st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
times = st.times().map(lambda at: at.replace(second=0, microsecond=0))
texts = st.one_of(
    st.builds("daily {:%H:%M}".format, times),
    st.builds("weekdays {:%H:%M}".format, times),
    st.builds(
        "{} {} * * *".format, st.sampled_from(["0", "*/15", "7,37"]), st.sampled_from(["*", "0-4", "2"])
    ),
    st.builds("every {} minutes".format, st.integers(1, 1440)),
)


def berlin(text: str) -> datetime:
    """Return the moment of a local time, with its offset where it comes twice."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("every 60 minutes", "every 60 minutes"),
        ("Every 1 minute", "every 1 minutes"),
        (" daily  6:30 ".replace("6", "06"), "daily 06:30"),
        ("daily at 0630", "daily 06:30"),
        ("WEEKDAYS 23:59", "weekdays 23:59"),
        ("30  6 * * mon-fri", "30 6 * * mon-fri"),
    ],
)
def test_a_recurrence_is_read_and_kept(text, kept):
    assert parse_recurrence(text).text == kept
    assert parse_recurrence(kept).text == kept


@pytest.mark.parametrize(
    "text",
    [
        *("", "hourly", "every 0 minutes", "every 1441 minutes", "every x minutes", "daily", "daily 24:00"),
        *("weekdays 6", "weekends 06:00", "@reboot", "every 99999999 minutes"),
    ],
)
def test_what_is_no_recurrence_is_refused(text):
    with pytest.raises(ValueError, match=r"\w"):
        parse_recurrence(text)


@pytest.mark.parametrize(
    ("text", "after", "due"),
    [
        ("daily 06:30", "2024-05-01T06:29", "2024-05-01T06:30"),
        ("daily 06:30", "2024-05-01T06:30", "2024-05-02T06:30"),
        ("weekdays 06:30", "2024-05-03T07:00", "2024-05-06T06:30"),
        ("0 0 29 2 *", "2096-03-01T00:00", "2104-02-29T00:00"),
        ("every 45 minutes", "2024-05-01T00:00+00:00", "2024-05-01T00:45+00:00"),
        # Skipped: at 02:00 the clocks show 03:00.
        ("daily 02:30", "2024-03-30T12:00", "2024-03-31T03:00"),
        ("daily 03:00", "2024-03-30T12:00", "2024-03-31T03:00"),
        ("*/30 2 * * *", "2024-03-31T00:00", "2024-03-31T03:00"),
        ("*/30 2 * * *", "2024-03-31T03:00", "2024-04-01T02:00"),
        # Twice: at 03:00 the clocks show 02:00.
        ("daily 02:30", "2024-10-26T12:00", "2024-10-27T02:30+02:00"),
        ("daily 02:30", "2024-10-27T02:30+02:00", "2024-10-28T02:30"),
        ("0 * * * *", "2024-10-27T02:00+02:00", "2024-10-27T03:00+01:00"),
        ("every 60 minutes", "2024-10-27T02:00+02:00", "2024-10-27T02:00+01:00"),
    ],
)
def test_the_next_due_time_is_that_of_the_clock_on_the_wall(text, after, due):
    assert next_due(parse_recurrence(text), BERLIN, berlin(after)) == berlin(due)


def test_a_day_that_a_zone_leaves_out_is_due_at_the_next():
    # Given: Samoa had no 30th of December 2011
    apia = ZoneInfo("Pacific/Apia")
    after = datetime(2011, 12, 29, 12, tzinfo=apia)
    # When
    due = next_due(parse_recurrence("daily 06:00"), apia, after)
    # Then
    assert due == datetime(2011, 12, 31, 0, tzinfo=apia)


@given(texts, zones, moments)
def test_due_times_go_on_and_none_lies_between_two(text, zone, after):
    # Given
    recurrence = parse_recurrence(text)
    # When
    first = next_due(recurrence, zone, after)
    second = next_due(recurrence, zone, first)
    # Then
    assert after < first < second
    assert previous_due(recurrence, zone, second - timedelta(seconds=1), after) == first
    assert previous_due(recurrence, zone, second, after) == second
    assert previous_due(recurrence, zone, first - timedelta(seconds=1), after) is None


@given(times, zones, st.dates(date(2010, 1, 1), date(2029, 12, 1)))
def test_a_daily_time_is_due_once_a_day_at_it_or_the_next_that_exists(at, zone, day):
    # Given
    recurrence = parse_recurrence(f"daily {at:%H:%M}")
    wall = datetime.combine(day, at)
    # When
    due = moment_of(wall, zone)
    before = (due - timedelta(seconds=1)).astimezone(zone).replace(tzinfo=None)
    shown = due.astimezone(zone).replace(tzinfo=None)
    # Then: the clocks show it for the first time, or have just skipped it
    assert shown == wall or before < wall < shown
    assert next_due(recurrence, zone, due - timedelta(seconds=1)) == due


@settings(max_examples=examples(15))
@given(zones, st.integers(2012, 2029), times)
def test_a_year_has_one_due_time_for_each_day(zone, year, at):
    # Given
    recurrence = parse_recurrence(f"daily {at:%H:%M}")
    moment = moment_of(datetime(year, 1, 1), zone) - timedelta(seconds=1)  # noqa: DTZ001
    end = moment_of(datetime(year + 1, 1, 1), zone) - timedelta(seconds=1)  # noqa: DTZ001
    days = []
    # When
    while (moment := next_due(recurrence, zone, moment)) <= end:
        days.append(moment.astimezone(zone).date())
    # Then
    assert days == [date(year, 1, 1) + timedelta(days=number) for number in range(len(days))]
    assert days[-1] == date(year, 12, 31)


def test_without_a_zone_it_is_that_of_the_machine():
    # Given
    wall = datetime(2024, 5, 1, 6, 30)  # noqa: DTZ001
    # When
    due = next_due(parse_recurrence("daily 06:30"), None, wall.astimezone() - timedelta(minutes=1))
    # Then
    assert due == wall.astimezone()
    assert moment_of(datetime.combine(wall.date(), time(6, 30)), None) == wall.astimezone(UTC)
