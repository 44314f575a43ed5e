"""A study with fewer series or objects than it announces is missing, not judged."""

from __future__ import annotations

import pytest

from services.query.examination.missing_studies import (
    ObjectShortfall,
    lacking_objects,
    lacking_series,
    object_shortfalls,
    series_shortfall,
)
from services.query.rules.model import Missing
from shared.contract.reasons import Reason
from shared.dicom.query.matches import ObjectMatch, SeriesMatch, StudyMatch


@pytest.mark.parametrize(
    ("announced", "returned_count", "short"), [(3, 2, 1), (2, 2, 0), (None, 1, 0), (None, 0, 1), (0, 1, 0)]
)
def test_fewer_series_than_announced_are_noticed(announced, returned_count, short):
    series = [SeriesMatch(str(number)) for number in range(returned_count)]
    assert series_shortfall(StudyMatch("study", series_count=announced), series * 2) == short


def test_fewer_objects_than_announced_are_noticed():
    # Given
    series = [
        SeriesMatch("whole", "PT", instance_count=1),
        SeriesMatch("short", "PT", instance_count=3),
        SeriesMatch("mute", "SR", instance_count=1),
        SeriesMatch("part", "SR", instance_count=2),
        SeriesMatch("uncounted", "PT"),
        SeriesMatch("unsearched", "CT", instance_count=9),
    ]
    twice = [ObjectMatch("1"), ObjectMatch("1")]
    objects = {"whole": twice, "short": twice, "mute": [], "part": twice, "uncounted": []}
    # When / Then
    assert set(object_shortfalls(series, objects)) == {
        ObjectShortfall("short", announced=3, returned_count=1, unknown=False),
        ObjectShortfall("mute", announced=1, returned_count=0, unknown=True),
        ObjectShortfall("part", announced=2, returned_count=1, unknown=False),
    }


def test_a_study_that_lacks_a_series_is_missing():
    # Given
    study, series = StudyMatch("study", series_count=3), [SeriesMatch("a"), SeriesMatch("b")]
    # When
    missing = lacking_series(study, series)
    # Then
    detail = "The PACS announces 3 series and returned 2."
    assert missing == Missing("study", Reason.FEWER_SERIES_THAN_ANNOUNCED, detail)
    assert lacking_series(study, [*series, SeriesMatch("c")]) is None


def test_a_study_that_lacks_an_object_is_missing_unless_it_may_be_a_report():
    # Given
    study = StudyMatch("study")
    series = [SeriesMatch("images", "PT", instance_count=3), SeriesMatch("report", "SR", instance_count=1)]
    # When
    missing = lacking_objects(study, series, {"images": [ObjectMatch("1")]})
    # Then
    detail = "A series announces 3 objects and 1 came."
    assert missing == Missing("study", Reason.FEWER_OBJECTS_THAN_ANNOUNCED, detail)
    assert lacking_objects(study, series, {"report": []}) is None
