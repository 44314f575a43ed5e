"""Which windows are worth cutting after they were not answered."""

from __future__ import annotations

import datetime as dt

import pytest

from services.query.cutting import BLIND_CUTS, last_minute, worth_cutting
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.status import status_error
from shared.querying.slices import Slice

TODAY = dt.date(2024, 3, 5)
BROKEN = PeerError(Outcome.BAD_ANSWER, "")
ABORTED = PeerError(Outcome.ABORTED, "")


@pytest.mark.parametrize(
    ("error", "answers", "failures", "blind", "expected"),
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
        # Of answers that cannot be read the others are worth having.
        (BROKEN, 3, 1, 0, True),
        (BROKEN, 0, 1, 0, False),
        # The same request gives the same answer, or there is no association at all.
        (status_error(0xA900), 5, 1, 0, False),
        (PeerError(Outcome.TIMED_OUT, "", associating=True), 0, 1, 0, False),
    ],
)
def test_a_window_is_cut_where_its_parts_may_be_answered(error, answers, failures, blind, expected):
    assert worth_cutting(error, answers=answers, failures=failures, blind=blind) is expected


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Slice(dt.date(2024, 1, 1), dt.date(2024, 1, 7)), (dt.date(2024, 1, 7), dt.time(23, 59))),
        (Slice(TODAY, TODAY, dt.time(8), dt.time(9, 30)), (TODAY, dt.time(9, 30))),
        (Slice(dt.date(2020, 1, 1), None), (TODAY, dt.time(23, 59))),
        (Slice(), (TODAY, dt.time(23, 59))),
    ],
)
def test_the_last_minute_lies_within_the_window(part, expected):
    # When
    probe = last_minute(part, TODAY)
    # Then
    assert (probe.date_from, probe.time_from) == (probe.date_until, probe.time_until) == expected
