"""The plan of a measurement: bounded and harmless whatever is returned."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.query.profile.measurement_plan import MeasurementPlan
from services.query.profile.sample import (
    MAX_RESPONSES,
    MOST_WINDOWS,
    MeasurementRequest,
    MeasurementResponse,
    SampleEnding,
)
from shared.dicom.query.matches import ObjectMatch, SeriesMatch, StudyMatch
from shared.querying.profile import Profile

TODAY = date(2024, 6, 15)

_UIDS = st.integers(0, 60).map(lambda number: f"1.2.{number}")
_COUNTS = st.none() | st.integers(0, 40)
_TEXTS = st.none() | st.text(max_size=3)
_DATES = st.none() | st.sampled_from(["20240615", "20240614", "20240101", "nonsense"])
_CODES = st.none() | st.lists(st.sampled_from(["CT", "DX", "MR", "SR"]), max_size=3).map(tuple)

_MATCHES = {
    "STUDY": st.builds(
        StudyMatch,
        study_instance_uid=_UIDS,
        modalities=_CODES,
        description=_TEXTS,
        station_name=_TEXTS,
        study_date=_DATES,
        study_time=st.none() | st.sampled_from(["0815", "120000.5", "9", "9999"]),
        accession_number=_TEXTS,
        series_count=_COUNTS,
        instance_count=_COUNTS,
    ),
    "SERIES": st.builds(
        SeriesMatch,
        study_instance_uid=st.none() | _UIDS,
        series_instance_uid=_UIDS,
        modality=_TEXTS,
        description=_TEXTS,
        station_name=_TEXTS,
        series_number=_COUNTS,
        instance_count=_COUNTS,
    ),
    "IMAGE": st.builds(
        ObjectMatch,
        study_instance_uid=st.none() | _UIDS,
        series_instance_uid=st.none() | _UIDS,
        sop_instance_uid=_UIDS,
        sop_class_uid=_TEXTS,
        instance_number=_COUNTS,
    ),
}


def run(data: Any) -> tuple[list[MeasurementRequest], Profile]:
    """Answer the plan with anything; return its questions and what it learned."""
    profile, questions = Profile(), []

    def learn(lesson: Any) -> None:
        nonlocal profile
        profile = lesson(profile)

    plan = MeasurementPlan(TODAY, learn).plan()
    request = next(plan)
    while True:
        questions.append(request)
        ending = data.draw(st.sampled_from(SampleEnding))
        matches = data.draw(st.lists(_MATCHES[request.level], max_size=30))
        try:
            request = plan.send(MeasurementResponse(ending, matches))
        except StopIteration:
            return questions, profile


@given(st.data())
def test_whatever_is_returned_it_ends_with_bounded_requests(data):
    # When
    questions, profile = run(data)
    # Then
    assert len(questions) <= MOST_WINDOWS + 16
    for request in questions:
        assert request.first is not None or request.studies
        assert 0 < request.most <= 3 * MAX_RESPONSES + 2000
        assert request.minutes is None or request.first == request.last
        assert request.level == "STUDY" or request.studies or request.relational
    assert Profile.from_json(profile.to_json()) == profile


def test_it_begins_with_today_and_goes_back_with_growing_steps():
    # Given
    plan = MeasurementPlan(TODAY, lambda _lesson: None).plan()
    windows = []
    # When
    request = next(plan)
    for _ in range(5):
        windows.append((request.first, request.last))
        request = plan.send(MeasurementResponse(SampleEnding.COMPLETE))
    # Then
    assert windows[0] == (TODAY, TODAY)
    widths = [(last - first).days + 1 for first, last in windows if first and last]
    assert widths == [1, 3, 9, 27, 81]
    for newer, older in pairwise(windows):
        assert newer[0] is not None
        assert older[1] == newer[0] - timedelta(days=1)


def test_an_empty_archive_is_left_after_some_windows():
    # Given
    plan = MeasurementPlan(TODAY, lambda _lesson: None).plan()
    finds = 1
    # When
    next(plan)
    try:
        while True:
            plan.send(MeasurementResponse(SampleEnding.COMPLETE))
            finds += 1
    except StopIteration:
        pass
    # Then
    assert finds == MOST_WINDOWS + 1
