"""Which windows are worth splitting after they failed."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from services.query.search.splitting import (
    BLIND_CUTS,
    are_divided,
    fitting_pieces,
    is_ignored,
    last_and_first_minute,
    parts_between,
    worth_cutting,
)
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.query.matches import StudyMatch
from shared.dicom.status import status_error
from shared.querying.payloads import WindowSlice
from shared.querying.profile import Profile
from shared.querying.slices import Slice

TODAY = dt.date(2024, 3, 5)
BROKEN = PeerError(Outcome.BAD_RESPONSE, "")
ABORTED = PeerError(Outcome.ABORTED, "")


@pytest.mark.parametrize(
    ("error", "matches", "failures", "blind", "expected"),
    [
        # The PACS says itself that it is too much.
        (status_error(0xA700), 0, 0, 9, True),
        (status_error(0xA701), 0, 0, 0, True),
        (status_error(0xB001), 100, 0, 0, True),
        # Anything else is tried again as it is first.
        (ABORTED, 5, 0, 0, False),
        (ABORTED, 5, 1, 9, True),
        (ABORTED, 0, 1, BLIND_CUTS - 1, True),
        (ABORTED, 0, 1, BLIND_CUTS, False),
        (PeerError(Outcome.TIMED_OUT, ""), 0, 1, 0, True),
        (status_error(0xC001), 0, 1, 0, True),
        # Of matches that cannot be read the others are worth having.
        (BROKEN, 3, 1, 0, True),
        (BROKEN, 0, 1, 0, False),
        # The PACS blames a request that brought studies: 0xA900 in place of 0xA700.
        (status_error(0xA900), 5, 0, 0, True),
        (status_error(0x0122), 5, 0, 0, True),
        # The same request gives the same result, or there is no association at all.
        (status_error(0xA900), 0, 1, 0, False),
        (PeerError(Outcome.TIMED_OUT, "", associating=True), 0, 1, 0, False),
    ],
)
def test_a_window_is_split_where_its_parts_may_succeed(error, matches, failures, blind, expected):
    assert worth_cutting(error, matches=matches, failures=failures, blind=blind) is expected


@pytest.mark.parametrize(
    ("part", "first", "last"),
    [
        (Slice(dt.date(2024, 1, 1), dt.date(2024, 1, 7)), (1, 1, "00:00"), (1, 7, "23:59")),
        (Slice(TODAY, TODAY, dt.time(8), dt.time(9, 30)), (3, 5, "08:00"), (3, 5, "09:30")),
        (Slice(dt.date(2024, 2, 1), None), (2, 1, "00:00"), (3, 5, "23:59")),
        (Slice(), (3, 5, "00:00"), (3, 5, "23:59")),
    ],
)
def test_the_minutes_at_its_ends_lie_within_the_window(part, first, last):
    # When
    probes = last_and_first_minute(part, TODAY)
    # Then
    for probe, (month, day, moment) in zip(probes, [last, first], strict=True):
        assert probe.date_from == probe.date_until == dt.date(2024, month, day)
        assert probe.time_from == probe.time_until == dt.time.fromisoformat(moment)


def named(day: str | None, moment: str | None) -> StudyMatch:
    return StudyMatch("1.2", study_date=day, study_time=moment)


MORNING = Slice(TODAY, TODAY, dt.time(8), dt.time(9, 30))


@pytest.mark.parametrize(
    ("part", "matches", "expected"),
    [
        (MORNING, [("20240305", "081500"), ("20240305", "0930")], False),
        (MORNING, [("20240305", "100000"), ("20240305", "110000"), ("20240305", "0930")], True),
        (MORNING, [("20240305", "07:59:59.9")], True),
        (MORNING, [("20240306", "083000")], True),
        (MORNING, [("20240305", None), ("20240305", "noon"), (None, "120000"), ("today", None)], False),
        (MORNING, [], False),
        (Slice(TODAY, TODAY), [("20240305", "235959"), ("20240305", None)], False),
        (Slice(TODAY, TODAY), [("20240304", None)], True),
        (Slice(None, TODAY), [("19000101", None)], False),
        (Slice(TODAY, None), [("20240306", None)], False),
        (Slice(), [("20240306", None)], False),
    ],
)
def test_a_window_is_ignored_where_most_matches_lie_outside(part, matches, expected):
    assert is_ignored(part, [named(*match) for match in matches]) is expected


_DAYS = Slice(dt.date(2024, 3, 4), dt.date(2024, 3, 6), code="CT")
_MORNING = Slice(TODAY, TODAY, dt.time(8), dt.time(11, 59))


def _at(*moments: str) -> list[StudyMatch]:
    """Return studies at these moments, each written as day of the month and time."""
    days = (moment.partition(" ")[::2] for moment in moments)
    return [
        StudyMatch(f"1.2.{number}", study_date=f"202403{day}", study_time=time or None)
        for number, (day, time) in enumerate(days)
    ]


@pytest.mark.parametrize(
    ("window", "moments", "expected"),
    [
        (_DAYS, ["04 0800", "05 0800", "06"], None),
        (_DAYS, ["04 0800", "06 0800"], ["6 to 6", "4 to 5"]),
        (
            _DAYS,
            ["05 0800", "05 0810"],
            ["5 to 5, 08:10 to 23:59", "5 to 5, 00:00 to 08:09", "6 to 6", "4 to 4"],
        ),
        (
            _MORNING,
            ["05 080010", "05 08:00:50", "05 0905"],
            ["5 to 5, 09:05 to 11:59", "5 to 5, 08:00 to 09:04"],
        ),
        (_MORNING, ["05 1030", "05 103059"], ["5 to 5, 10:31 to 11:59", "5 to 5, 08:00 to 10:29"]),
        (_MORNING, ["05 0800", "05 080059"], ["5 to 5, 08:01 to 11:59"]),
        (_MORNING, ["05 1159"], ["5 to 5, 08:00 to 11:58"]),
        (_MORNING, ["05 0800", "05 what"], None),
        (_MORNING, [], None),
    ],
    ids=[
        "no time",
        "days",
        "one day of three",
        "minutes",
        "one minute",
        "the first minute",
        "the last minute",
        "an odd time",
        "nothing",
    ],
)
def test_a_window_is_cut_between_its_matches(window, moments, expected):
    # When
    parts = parts_between(window, _at(*moments))
    # Then
    assert (None if parts is None else [_in_short(part) for part in parts]) == expected
    assert {part.code for part in parts or ()} <= {window.code}


def _in_short(part: Slice) -> str:
    days = f"{part.date_from:%-d} to {part.date_until:%-d}"
    return days if part.time_from is None else f"{days}, {part.time_from:%H:%M} to {part.time_until:%H:%M}"


COSTLY = Profile(costly_matches=True, proven=100).matched(7, 210)
WEEK = Slice(dt.date(2024, 3, 1), dt.date(2024, 3, 7), code="CT\\MR")


@pytest.mark.parametrize(
    ("part", "profile", "widths"),
    [
        (WindowSlice(WEEK), COSTLY, [2, 2, 2, 1]),
        (WindowSlice(WEEK), replace(COSTLY, proven=400), None),
        # Less than one day is proven: it is compared with its parts.
        (WindowSlice(WEEK), replace(COSTLY, proven=30), [3, 3, 1]),
        (WindowSlice(WEEK), replace(COSTLY, costly_matches=False), None),
        (WindowSlice(WEEK), Profile(costly_matches=True), None),
        (WindowSlice(WEEK, verifies=210), COSTLY, None),
        (WindowSlice(replace(WEEK, date_from=None)), COSTLY, None),
    ],
)
def test_windows_bring_less_than_is_proven_where_matches_are_costly(part, profile, widths):
    # When
    pieces = fitting_pieces(part, profile) or []
    # Then: newest first, without gap or overlap
    assert [piece.days for piece in pieces] == (widths or [])
    days = [
        number
        for piece in reversed(pieces)
        for number in range(
            (piece.date_from or TODAY).toordinal(), (piece.date_until or TODAY).toordinal() + 1
        )
    ]
    assert days == ([dt.date(2024, 3, 1).toordinal() + number for number in range(7)] if widths else [])
    assert {piece.code for piece in pieces} <= {WEEK.code}


TIMED, UNTIMED = "1015", None


@pytest.mark.parametrize(
    ("newer", "older", "times", "divided", "on_any_day"),
    [
        ("abc", "def", [TIMED] * 6, True, True),
        ("abcdef", "abcdef", [TIMED] * 6, False, True),
        ("abcdef", "abcdef", [UNTIMED] * 6, False, True),
        ("", "", [TIMED] * 6, False, True),
        # Of a day whose studies have no time nothing follows for others.
        ("", "", [UNTIMED] * 6, False, False),
        ("abc", "def", [UNTIMED] * 6, True, True),
        # A study without a time may come in each half.
        ("abcf", "f", [TIMED] * 5 + [UNTIMED], True, True),
        ("abf", "cdef", [TIMED] * 5 + [UNTIMED], True, True),
        ("", "", [], True, False),
    ],
)
def test_times_divide_a_day_whose_halves_bring_different_studies(newer, older, times, divided, on_any_day):
    # Given
    matches = [StudyMatch(uid, study_time=time) for uid, time in zip("abcdef", times, strict=False)]
    # Then
    assert are_divided(set(newer), set(older), matches) == (divided, on_any_day)
