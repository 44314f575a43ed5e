"""How a window is requested, and what follows where a form of its dates is refused."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any, cast

import pytest

from services.query.search.window_find import WindowFind
from shared.contract.criteria import parse_criteria
from shared.dicom.query.matches import FindResult, StudyMatch
from shared.dicom.status import status_error
from shared.querying.payloads import WindowSlice
from shared.querying.slices import Slice, halve
from tests.unit.query.search.model_node import Notebook

DAY = dt.date(2024, 3, 5)
STUDY = StudyMatch("1.2.3", study_date="20240305", study_time="1015")


class RangeRefusal:
    """A node that refuses each range of dates, or times, and holds these studies on its only day."""

    def __init__(self, status_code: int, studies: list[StudyMatch], keyword: str = "StudyDate") -> None:
        self._status_code = status_code
        self._studies = studies
        self._keyword = keyword
        self.dates: list[str] = []

    def find_studies(self, identifier: Any, **_: Any) -> FindResult[StudyMatch]:
        self.dates.append(str(identifier.StudyDate))
        if "-" in str(identifier[self._keyword].value):
            status = self._status_code
            return FindResult(status_code=status, error=status_error(status))
        return FindResult(list(self._studies), status_code=0)


def window_find(node: RangeRefusal, window: Slice) -> WindowFind:
    notebook = cast("Any", Notebook())
    criteria = parse_criteria({"types": ["CT"]})
    return WindowFind(cast("Any", node), notebook, WindowSlice(window), criteria, notebook)


@pytest.mark.parametrize("status_code", [0xA900, 0xC000, 0x0110, 0x0115, 0x0122])
def test_an_empty_day_stands_where_the_range_of_it_is_refused(status_code):
    # Given
    node = RangeRefusal(status_code, [])
    # When
    result = window_find(node, Slice(DAY, DAY, code="CT")).window(Slice(DAY, DAY, code="CT"))
    # Then
    assert (result.complete, result.matches) == (True, [])
    assert node.dates == ["20240305", "20240305-20240305"]


@pytest.mark.parametrize(
    ("status_code", "studies", "refuses"),
    [(0xA900, [STUDY], True), (0xC001, [], True), (0xA700, [STUDY], False)],
    ids=["refused", "refused, and the day is empty", "out of resources"],
)
def test_ranges_are_refused_where_the_day_alone_is_taken(status_code, studies, refuses):
    # Given
    window = Slice(DAY - dt.timedelta(days=3), DAY, code="CT")
    node = RangeRefusal(status_code, studies)
    # When
    found = window_find(node, window).refuses_ranges(window)
    # Then
    assert found is refuses
    assert node.dates == ["20240305", "20240305-20240305"]


@pytest.mark.parametrize(
    ("keyword", "status_code", "divides", "learned", "requests"),
    [
        ("StudyTime", 0xA900, False, False, 3),
        ("StudyTime", 0xC001, False, False, 3),
        ("StudyTime", 0xA700, True, None, 1),
        # The halves, which are the same: it pays no heed to times.
        ("StudyDate", 0xA900, False, False, 2),
    ],
)
def test_times_that_are_refused_or_ignored_divide_no_day(keyword, status_code, divides, learned, requests):
    # Given
    day = Slice(DAY, DAY, code="CT")
    node = RangeRefusal(status_code, [STUDY] * 3, keyword)
    find = window_find(node, day)
    find._learner.learn(lambda profile: replace(profile, single_dates=True))
    # When
    halves = halve(day, DAY) or ()
    found = find.divides_day(halves, [STUDY] * 3)
    # Then
    assert (found, find._learner.profile.times_matched) == (divides, learned)
    assert len(node.dates) == requests
    assert find.divides_day(halves, [STUDY]) is divides
