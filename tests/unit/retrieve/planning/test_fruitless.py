"""When requests that bring nothing become rare."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.retrieve.planning.fruitless import (
    MOST,
    MOST_AT_FIRST,
    FruitlessError,
    PastRequest,
    StoreAddress,
    single_object,
    streak_of,
)
from services.retrieve.planning.moves import SeriesPart
from shared.dicom.errors import Outcome

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


def request(
    status_code: int | None = 0xA702, *, sent: int | None = 0, failed: int | None = 7, error: str = ""
) -> PastRequest:
    return PastRequest(NOW, 1500, status_code, sent, None, failed, error)


@pytest.mark.parametrize(
    ("past", "is_fruitless"),
    [
        (request(error="status_a702"), True),
        (request(0xA702, sent=None, failed=None, error="status_a702"), True),
        (request(0xB000), True),
        (request(0x0000), True),
        (request(None, sent=None, failed=None, error="timed_out"), True),
        (request(0xB000, sent=1), False),
        (request(0xA702, sent=3, error="status_a702"), False),
        (request(0x0000, failed=0), False),
        (request(0x0000, sent=None, failed=None), False),
    ],
)
def test_a_request_is_fruitless_that_fails_and_sends_nothing(past, is_fruitless):
    assert past.is_fruitless is is_fruitless


@pytest.mark.parametrize(
    ("newest_first", "anything_arrived", "length", "is_long"),
    [
        ([request()] * MOST_AT_FIRST, False, MOST_AT_FIRST, True),
        ([request()] * (MOST_AT_FIRST - 1), False, MOST_AT_FIRST - 1, False),
        ([request()] * MOST_AT_FIRST, True, MOST_AT_FIRST, False),
        ([request()] * (MOST + 2), True, MOST + 2, True),
        ([request(), request(sent=1), *[request()] * MOST], True, 1, False),
        # Objects that the PACS does not have show nothing about the way to the store.
        ([request(0x0112, error="status_0112")] * MOST, False, 0, False),
        ([request(), request(0x0112, error="status_0112"), request()], False, 2, False),
    ],
)
def test_a_streak_ends_where_a_request_brought_something(newest_first, anything_arrived, length, is_long):
    # When
    streak = streak_of(newest_first, anything_arrived=anything_arrived)
    # Then
    assert (len(streak.requests), streak.is_long) == (length, is_long)


@pytest.mark.parametrize(("singles", "pause_s"), [(0, 1), (1, 2), (4, 16), (5, 30)])
def test_pauses_between_single_objects_grow_to_half_a_minute(singles, pause_s):
    # When
    streak = streak_of([request()] * (MOST_AT_FIRST + singles), anything_arrived=False)
    # Then
    assert streak.next_at == NOW + timedelta(seconds=1.5 + pause_s)


@pytest.mark.parametrize(
    ("last", "by_pacs", "refusal", "outcome", "words"),
    [
        (
            request(error="status_a702"),
            True,
            "",
            Outcome.STATUS,
            "(the last one: status 0xA702); check that the PACS reaches STORE at 10.1.2.3, port 104",
        ),
        (request(None, error="timed_out"), True, "", Outcome.TIMED_OUT, "(the last one: timed out); check"),
        (request(), False, "", Outcome.STATUS, "brought nothing (the last one: status 0xA702)"),
        (request(), False, "it refused", Outcome.STATUS, "(the last one: status 0xA702); it refused"),
    ],
)
def test_the_end_names_the_last_status_and_what_to_do(last, by_pacs, refusal, outcome, words):
    # Given
    store, streak = (
        StoreAddress("STORE", "10.1.2.3", 104, by_pacs),
        streak_of([last] * 2, anything_arrived=False),
    )
    # When
    error = FruitlessError(streak, store, refusal)
    # Then
    assert error.outcome is outcome
    assert "the last 2 requests brought nothing" in str(error)
    assert words in str(error)


@pytest.mark.parametrize("place", [0.0, 0.5, 0.99])
@pytest.mark.parametrize(
    "parts",
    [
        [SeriesPart("1", "1.1", ("1.1.1", "1.1.2"), whole=True), SeriesPart("1", "1.2", ("1.2.1",))],
        [SeriesPart("1", "1.1", ("1.1.1",), whole=True)],
        [SeriesPart("1", "1.1", whole=True, announced=5), SeriesPart("1", "1.2", whole=True)],
    ],
)
def test_a_single_object_and_the_rest_are_all(parts, place):
    # When
    single, left = single_object(parts, place)
    # Then
    assert len(single.sop_instance_uids) <= 1
    assert {part.key for part in [single, *left]} == {part.key for part in parts}
    taken = [uid for part in [single, *left] for uid in part.sop_instance_uids]
    assert sorted(taken) == sorted(uid for part in parts for uid in part.sop_instance_uids)
