"""Hours, requests a minute and congestion, as arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.node_access.limits import (
    RECOVERY_STEP,
    Bucket,
    Slowdown,
    Window,
    burst,
    format_hours,
    is_open,
    next_opening,
    parse_hours,
    parse_zone,
    refused,
)
from tests.support.examples import examples

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

windows = st.tuples(st.integers(0, 1439), st.integers(0, 1440)).filter(lambda pair: pair[0] != pair[1])
some_hours = st.lists(windows.map(lambda pair: Window(*pair)), min_size=1, max_size=3).map(tuple)
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


# Hours


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", ""),
        ("  ", ""),
        ("18:00-06:00", "18:00-06:00"),
        (" 18:00 - 06:00 , 12:00-13:00 ", "18:00-06:00,12:00-13:00"),
        ("00:00-24:00", "00:00-24:00"),
    ],
)
def test_hours_are_read(text, kept):
    assert format_hours(parse_hours(text)) == kept


@pytest.mark.parametrize(
    "text",
    [
        "18:00",
        "18-06",
        "18:00-25:00",
        "24:00-06:00",
        "18:60-19:00",
        "18:00-18:00",
        "18:00-06:00,",
        "a",
        "\u0660\u0660:00-06:00",
    ],
)
def test_what_is_no_hours_is_refused(text):
    with pytest.raises(ValueError, match="must"):
        parse_hours(text)


@given(some_hours)
def test_hours_are_kept_as_they_were_given(hours):
    assert parse_hours(format_hours(hours)) == hours


@pytest.mark.parametrize(
    "name", ["Europe/Atlantis", "../etc/passwd", "/etc/localtime", "America", "x" * 65, " "]
)
def test_a_zone_that_there_is_not_is_refused(name):
    with pytest.raises(ValueError, match="IANA"):
        parse_zone(name)


def test_no_zone_is_the_server_own():
    assert parse_zone("") is None


@pytest.mark.parametrize(
    ("hour", "open_"), [(17, False), (18, True), (23, True), (0, True), (5, True), (6, False)]
)
def test_hours_past_midnight_are_open_on_both_sides_of_it(hour, open_):
    moment = datetime(2024, 1, 10, hour, tzinfo=BERLIN)
    assert is_open(parse_hours("18:00-06:00"), BERLIN, moment) is open_


def test_without_hours_a_node_is_always_open():
    assert is_open((), None, NOW)
    assert next_opening((), None, NOW) == NOW


def test_an_opening_that_the_clocks_skip_is_when_they_have_been_put_forward():
    # Given: on this day the clocks of Berlin go from 02:00 to 03:00
    now = datetime(2024, 3, 30, 23, tzinfo=UTC)
    # When
    opening = next_opening(parse_hours("02:30-04:00"), BERLIN, now)
    # Then
    assert opening == datetime(2024, 3, 31, 1, tzinfo=UTC)
    assert f"{opening.astimezone(BERLIN):%H:%M}" == "03:00"


def test_hours_that_the_clocks_skip_altogether_come_a_day_later():
    # Given
    now = datetime(2024, 3, 30, 23, tzinfo=UTC)
    # When
    opening = next_opening(parse_hours("02:10-02:50"), BERLIN, now)
    # Then
    assert opening == datetime(2024, 4, 1, 0, 10, tzinfo=UTC)


def test_hours_that_the_clocks_repeat_open_twice():
    # Given: at 03:00 summer time the clocks of Berlin go back to 02:00
    hours = parse_hours("02:00-02:30")
    first, second = datetime(2024, 10, 27, 0, 0, tzinfo=UTC), datetime(2024, 10, 27, 1, 0, tzinfo=UTC)
    # Then
    assert next_opening(hours, BERLIN, first - MINUTE) == first
    assert next_opening(hours, BERLIN, first + 30 * MINUTE) == second


@settings(max_examples=examples(40))
@given(some_hours, zones, moments)
def test_the_next_opening_is_the_first_open_minute(hours, zone_name, now):
    # Given
    zone = ZoneInfo(zone_name)
    # When
    opening = next_opening(hours, zone, now)
    # Then
    assert opening >= now
    assert is_open(hours, zone, opening)
    if opening > now:
        assert not is_open(hours, zone, now)
        assert not is_open(hours, zone, opening - MINUTE)


# Requests a minute

rates = st.integers(1, 6000)
pauses_s = st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=60)


@given(rates, pauses_s)
def test_no_stretch_of_time_sees_more_requests_than_allowed(rate, pauses):
    # Given
    now, bucket, sent = NOW, Bucket(burst(rate), NOW), []
    # When
    for pause_s in pauses:
        now += timedelta(seconds=pause_s)
        bucket, wait_s = bucket.reserve(rate, now)
        sent.append(now + timedelta(seconds=wait_s))
    # Then
    for first in range(len(sent)):
        for last in range(first, len(sent)):
            elapsed_s = (sent[last] - sent[first]).total_seconds()
            assert last - first + 1 <= elapsed_s * rate / 60 + burst(rate) + 0.01


@given(rates, st.floats(0, 100, allow_nan=False))
def test_a_request_given_back_is_there_for_the_next(rate, later_s):
    # Given
    now = NOW + timedelta(seconds=later_s)
    bucket, _ = Bucket(burst(rate), NOW).reserve(rate, now)
    # When
    bucket = bucket.give_back(rate, now)
    # Then
    assert bucket.tokens == pytest.approx(burst(rate))


def test_a_clock_that_goes_back_makes_no_requests():
    # Given
    bucket = Bucket(0.0, NOW)
    # When
    filled = bucket.filled(60, NOW - timedelta(hours=1))
    # Then
    assert filled == bucket


def test_a_lowered_rate_holds_at_once():
    # Given
    bucket = Bucket(burst(6000), NOW)
    # When
    filled = bucket.filled(60, NOW)
    # Then
    assert filled.tokens == 1


# Congestion


def test_a_refusal_halves_what_is_allowed():
    assert refused(None, 8, 7, NOW).allowed(8, NOW) == 4


def test_after_a_refusal_no_more_are_allowed_than_stood():
    assert refused(None, 64, 3, NOW).allowed(64, NOW) == 3


def test_refusals_at_the_same_time_count_once():
    # Given
    first = refused(None, 8, 7, NOW)
    # When
    second = refused(first, 8, 6, NOW + timedelta(milliseconds=10))
    # Then
    assert second.associations == 4


def test_one_association_is_always_allowed():
    # Given
    slowdown, now = None, NOW
    # When
    for _ in range(5):
        slowdown = refused(slowdown, 4, 0, now)
        now += timedelta(seconds=5)
    # Then
    assert slowdown is not None
    assert slowdown.allowed(4, now) == 1


def test_it_recovers_step_by_step():
    # Given
    slowdown = Slowdown(2, NOW)
    # When
    allowed = [slowdown.allowed(4, NOW + RECOVERY_STEP * steps) for steps in (0, 0.99, 1, 2, 3)]
    # Then
    assert allowed == [2, 2, 3, 4, 4]
    assert slowdown.is_over(4, NOW + RECOVERY_STEP * 2)


@given(st.integers(1, 64), st.integers(0, 64), st.lists(st.floats(0, 300, allow_nan=False), max_size=20))
def test_never_more_than_the_limit_and_never_nothing(limit, standing, pauses):
    # Given
    slowdown, now = refused(None, limit, standing, NOW), NOW
    # When
    for pause_s in pauses:
        now += timedelta(seconds=pause_s)
        slowdown = refused(slowdown, limit, standing, now)
    # Then
    assert 1 <= slowdown.allowed(limit, now) <= limit
