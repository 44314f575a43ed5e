"""A daily digest is sent once a day by the clock of its zone, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.notifications.due import due_at, retry_at

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2024, 1, 1, tzinfo=UTC)
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")


def test_without_a_digest_it_is_sent_at_once():
    # Given
    now = datetime(2024, 3, 31, 1, 30, tzinfo=UTC)
    # When / Then
    assert due_at("", "Europe/Berlin", now) == now


@pytest.mark.parametrize(
    ("digest_at", "now", "expected"),
    [
        # 02:30 does not exist on 31 March: the clocks go from 02:00 to 03:00.
        ("02:30", datetime(2024, 3, 31, 0, 0, tzinfo=BERLIN), datetime(2024, 3, 31, 3, 0, tzinfo=BERLIN)),
        # 02:30 comes twice on 27 October: the first of the two, and the second is not another one.
        ("02:30", datetime(2024, 10, 27, 0, 0, tzinfo=BERLIN), datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN)),
        (
            "02:30",
            datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN),
            datetime(2024, 10, 28, 2, 30, tzinfo=BERLIN),
        ),
        ("07:00", datetime(2024, 7, 1, 7, 0, tzinfo=BERLIN), datetime(2024, 7, 2, 7, 0, tzinfo=BERLIN)),
    ],
)
def test_a_digest_is_due_by_the_clock_of_its_zone(digest_at, now, expected):
    assert due_at(digest_at, "Europe/Berlin", now.astimezone(UTC)) == expected.astimezone(UTC)


@given(
    st.sampled_from(ZONES),
    st.times(),
    st.integers(0, 2 * 365 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes)),
)
def test_each_day_has_one_digest_and_no_event_waits_longer(zone, at, now):
    # Given
    digest_at = f"{at.hour:02}:{at.minute:02}"
    # When
    first = due_at(digest_at, zone, now)
    second = due_at(digest_at, zone, first)
    # Then
    assert now < first <= now + timedelta(hours=25)
    assert timedelta(hours=22) < second - first < timedelta(hours=26)
    assert second.astimezone(ZoneInfo(zone)).date() - first.astimezone(ZoneInfo(zone)).date() == timedelta(1)
    assert due_at(digest_at, zone, first - timedelta(microseconds=1)) == first


def test_attempts_are_given_up_after_the_last_pause():
    # Given
    now = datetime(2024, 1, 1, tzinfo=UTC)
    # When
    due = [retry_at(attempts, (60.0, 300.0), now) for attempts in (1, 2, 3)]
    # Then
    assert due == [now + timedelta(seconds=60), now + timedelta(seconds=300), None]
