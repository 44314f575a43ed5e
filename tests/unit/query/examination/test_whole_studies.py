"""Studies that come whole with one search for objects, and whether that shows their series."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.query.examination.whole_studies import (
    complete_studies,
    is_small,
    lists_of,
    show_the_same,
)
from shared.dicom.query.matches import ObjectMatch, RelationalMatch, SeriesMatch, StudyMatch
from shared.querying.profile import Profile

STUDY = StudyMatch("1.1", series_count=2, instance_count=3)
IMAGES = SeriesMatch("1.1.1", "DX", "chest", "room 1", series_number=1, study_instance_uid="1.1")
REPORT = replace(IMAGES, series_instance_uid="1.1.2", modality="SR", description="dose", series_number=2)
MATCHES = [
    RelationalMatch(ObjectMatch(uid, "1.2.3", None, "1.1", series.series_instance_uid), series)
    for uid, series in (("1.1.1.1", IMAGES), ("1.1.1.2", IMAGES), ("1.1.2.1", REPORT))
]
KNOWN = [replace(REPORT, instance_count=1), replace(IMAGES, instance_count=2)]


def test_a_study_with_all_that_it_announces_is_complete():
    # When
    found = complete_studies([STUDY], MATCHES)["1.1"]
    # Then
    assert list(found.series) == [replace(IMAGES, instance_count=2), replace(REPORT, instance_count=1)]
    assert {uid: [match.sop_instance_uid for match in objects] for uid, objects in found.objects.items()} == {
        "1.1.1": ["1.1.1.1", "1.1.1.2"],
        "1.1.2": ["1.1.2.1"],
    }


@pytest.mark.parametrize(
    ("study", "matches"),
    [
        pytest.param(STUDY, MATCHES[:2], id="a series lacks"),
        pytest.param(STUDY, MATCHES[1:], id="an object lacks"),
        pytest.param(STUDY, [], id="nothing came"),
        pytest.param(replace(STUDY, instance_count=2), MATCHES, id="more came than is announced"),
        pytest.param(replace(STUDY, series_count=None), MATCHES, id="nothing is announced"),
        pytest.param(replace(STUDY, study_instance_uid="1.9"), MATCHES, id="another study came"),
        pytest.param(
            STUDY,
            [*MATCHES[:2], replace(MATCHES[2], of_series=replace(REPORT, modality=None))],
            id="a modality lacks",
        ),
        pytest.param(
            STUDY,
            [*MATCHES[:2], replace(MATCHES[2], of_object=MATCHES[1].of_object)],
            id="an object in two series",
        ),
    ],
)
def test_a_study_that_differs_from_what_it_announces_is_not_taken(study, matches):
    # When
    found = complete_studies([study], matches)
    # Then
    assert found == {}


@pytest.mark.parametrize(
    ("known", "profile", "expected"),
    [
        pytest.param(KNOWN, Profile(), True, id="all the same"),
        pytest.param([replace(KNOWN[0], description="other"), KNOWN[1]], Profile(), False, id="another one"),
        pytest.param([], Profile(), None, id="no series known"),
    ],
)
def test_series_are_compared_with_those_of_a_search_for_series(known, profile, expected):
    # Given
    found = complete_studies([STUDY], MATCHES)
    # When
    same = show_the_same(found, {"1.1": known}, profile)
    # Then
    assert same is expected


@pytest.mark.parametrize(("returned", "expected"), [(None, None), (True, None), (False, True)])
def test_an_attribute_without_values_proves_nothing_unless_it_never_comes(returned, expected):
    # Given
    matches = [
        replace(match, of_series=replace(match.of_series, description=None, station_name=None))
        for match in MATCHES
    ]
    known = [replace(series, description=None, station_name=None) for series in KNOWN]
    profile = Profile(returns_series_descriptions=returned, returns_station_names=returned)
    # When
    same = show_the_same(complete_studies([STUDY], matches), {"1.1": known}, profile)
    # Then
    assert same is expected


def test_small_studies_are_divided_into_lists_by_number_and_objects():
    # Given
    studies = [replace(STUDY, study_instance_uid=f"1.{number}") for number in range(5)]
    # When
    by_number, by_objects = lists_of(studies, 2, 100), lists_of(studies, 50, 6)
    # Then
    assert [len(part) for part in by_number] == [2, 2, 1]
    assert [len(part) for part in by_objects] == [2, 2, 1]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"instance_count": 20}, True),
        ({"instance_count": 21}, False),
        ({"instance_count": None}, False),
        ({"instance_count": 0}, False),
        ({"series_count": None}, False),
        ({"series_count": 0}, False),
    ],
)
def test_a_study_is_small_that_announces_few_objects(changes, expected):
    # When
    small = is_small(replace(STUDY, **changes))
    # Then
    assert small is expected
