"""Two sides compared: what one has and the other has not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.evidence.comparison import (
    ComparisonStatus,
    Difference,
    SeriesHolding,
    Side,
    SideName,
    StudyHolding,
    compare,
)


def named(*uids: str) -> SeriesHolding:
    return SeriesHolding(frozenset(uids))


def counted(number: int | None) -> SeriesHolding:
    return SeriesHolding(named=False, number=number)


def a_side(*studies: StudyHolding, complete: bool = True, **options: bool) -> Side:
    return Side({study.study_instance_uid: study for study in studies}, complete, **options)


def a_study(uid: str, *, settled: bool = True, **series: SeriesHolding) -> StudyHolding:
    return StudyHolding(uid, series, settled)


def shown(differences: Sequence[Difference]) -> list[tuple[str, str, str, int]]:
    return [
        (entry.only_in.value, entry.kind, entry.sop_instance_uid or entry.series_instance_uid, entry.objects)
        for entry in differences
    ]


@pytest.mark.parametrize(
    ("left", "right", "outcome"),
    [
        (a_side(), a_side(), ComparisonStatus.NOTHING_MATCHED),
        (a_side(a_study("1")), a_side(a_study("1")), ComparisonStatus.NOTHING_DIFFERS),
        (a_side(a_study("1")), a_side(), ComparisonStatus.DIFFERENT),
        (a_side(), a_side(complete=False), ComparisonStatus.INCOMPLETE),
        (a_side(a_study("1")), a_side(a_study("1"), complete=False), ComparisonStatus.INCOMPLETE),
        (a_side(a_study("1", settled=False)), a_side(a_study("1")), ComparisonStatus.INCOMPLETE),
    ],
)
def test_nothing_matched_and_nothing_differs_are_two_outcomes(left, right, outcome):
    assert compare(left, right).status is outcome


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (named("a", "b"), named("b", "c"), [("left", "object", "a", 1), ("right", "object", "c", 1)]),
        (named("a"), named("a"), []),
        (counted(3), counted(3), []),
        (counted(3), named("a", "b"), [("left", "series", "s", 1)]),
        (counted(1), named("a", "b", "c"), [("right", "series", "s", 2)]),
        (counted(None), named("a"), []),
    ],
)
def test_series_are_compared_by_name_or_number(ours, theirs, expected):
    found = compare(a_side(a_study("1", s=ours)), a_side(a_study("1", s=theirs)))
    assert shown(found.differences) == expected


def test_an_object_of_two_series_is_one():
    # Given a node that lists objects twice, and a store that has each in one series
    node, store = a_study("1", s=named("a", "b"), t=named("a", "b")), a_study("1", t=named("a"))
    # When
    found = compare(a_side(node), a_side(store))
    # Then
    assert shown(found.differences) == [("left", "object", "b", 1)]
    assert (node.objects, store.objects) == (2, 1)


@pytest.mark.parametrize(("series", "objects"), [(named("a", "b"), 2), (counted(4), 4), (counted(None), 0)])
def test_a_study_that_is_missing_stands_for_its_objects(series, objects):
    found = compare(a_side(a_study("1", s=series)), a_side())
    assert [(entry.kind, entry.objects) for entry in found.differences] == [("study", objects)]


@pytest.mark.parametrize(("series", "number"), [(counted(4), 4), (counted(None), 0)])
def test_a_series_that_one_side_lacks_is_a_difference(series, number):
    found = compare(a_side(a_study("1", s=series)), a_side(a_study("1")))
    assert shown(found.differences) == [("left", "series", "s", number)]


def test_a_store_need_not_have_studies_without_objects():
    # Given
    store = a_side(has_studies_without_objects=False)
    # Then
    assert compare(a_side(a_study("1")), store).status is ComparisonStatus.NOTHING_DIFFERS
    assert compare(a_side(a_study("1", s=named("a"))), store).status is ComparisonStatus.DIFFERENT


def test_what_an_incomplete_side_lacks_is_not_certain():
    # Given
    left, right = a_side(a_study("1"), complete=False), a_side(a_study("2"))
    # When
    certain = {entry.only_in: entry.certain for entry in compare(left, right).differences}
    # Then
    assert certain == {SideName.LEFT: True, SideName.RIGHT: False}


sides = st.dictionaries(
    st.sampled_from("12345"),
    st.dictionaries(st.sampled_from("xyz"), st.frozensets(st.sampled_from("abcdef"), min_size=1), max_size=3),
    max_size=5,
).map(
    lambda studies: a_side(
        *(
            StudyHolding(uid, {name: SeriesHolding(uids) for name, uids in series.items()})
            for uid, series in studies.items()
        )
    )
)


@given(sides, sides)
def test_a_comparison_is_the_same_from_either_side(left, right):
    # When
    there, back = compare(left, right), compare(right, left)
    # Then
    swapped = {"left": "right", "right": "left"}
    assert sorted(shown(there.differences)) == sorted(
        (swapped[name], *rest) for name, *rest in shown(back.differences)
    )
    assert there.status is back.status


@given(sides, sides)
def test_differences_are_what_the_sets_of_objects_lack(left, right):
    # Given
    def objects(side: Side) -> set[tuple[str, str]]:
        return {
            (uid, sop)
            for uid, study in side.studies.items()
            for series in study.series.values()
            for sop in series.sop_instance_uids
        }

    # When
    found = compare(left, right)
    # Then
    numbers = {
        name: sum(entry.objects for entry in found.differences if entry.only_in is name) for name in SideName
    }
    assert numbers == {
        SideName.LEFT: len(objects(left) - objects(right)),
        SideName.RIGHT: len(objects(right) - objects(left)),
    }
    assert found.both == len(set(left.studies) & set(right.studies))
