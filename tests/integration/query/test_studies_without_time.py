"""Studies without a time of day, or on a node that ignores times: all found, or named as missing."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.integration.query.test_adaptive import found
from tests.integration.query.test_query import ready
from tests.support.peers.studies import ct_study

DAY = dt.date(2024, 3, 5)
QUERY = {"types": ["CT"], "date_from": str(DAY), "date_until": str(DAY)}


def crowd(*, without_time: int):
    timed = [ct_study(date=DAY, time=dt.time(8 + number // 12, number % 12)) for number in range(90)]
    return [*[ct_study(date=DAY, time=None) for _ in range(without_time)], *timed]


@pytest.mark.parametrize(
    ("traits", "status"),
    [
        ({}, "completed"),
        ({"cap": 60, "cap_levels": ["STUDY"]}, "incomplete"),
        ({"cap": 60, "cap_levels": ["STUDY"], "cap_effect": "refuse_after"}, "incomplete"),
        ({"cap": 60, "cap_levels": ["STUDY"], "not_returned": ["StudyTime"]}, "completed"),
    ],
    ids=str,
)
def test_a_day_that_is_cut_by_time_may_hide_studies_without_one(system, scripted_pacs, traits, status):
    # Given
    studies = crowd(without_time=5)
    ready(system, scripted_pacs(studies, **traits))
    # When
    query = system.finished_query(QUERY)
    # Then
    assert query["status"] == status
    assert found(query) == {study.study_instance_uid for study in studies}
    windows = [(gap["error"], gap["window"]["date_from"]) for gap in query["missing"]]
    assert windows == ([] if status == "completed" else [("answers_capped", str(DAY))])


def test_a_day_on_which_every_study_has_a_time_is_complete(system, scripted_pacs):
    # Given
    studies = crowd(without_time=0)
    ready(system, scripted_pacs(studies, cap=60, cap_levels=["STUDY"]))
    # When
    query = system.finished_query(QUERY)
    # Then
    assert query["status"] == "completed"
    assert found(query) == {study.study_instance_uid for study in studies}


@pytest.mark.parametrize("number", [6, 60])
def test_studies_outside_of_the_hours_are_left_out_where_times_are_ignored(system, scripted_pacs, number):
    # Given
    studies = [ct_study(date=DAY, time=dt.time(8 + place % 12)) for place in range(number)]
    untimed = ct_study(date=DAY, time=None)
    ready(system, scripted_pacs([*studies, untimed], not_matched=["StudyTime"]))
    # When
    query = system.finished_query({**QUERY, "time_from": "09:00", "time_until": "12:59"})
    # Then
    in_time = {study.study_instance_uid for study in studies if study.time and 9 <= study.time.hour < 13}
    assert found(query) == {*in_time, untimed.study_instance_uid}
    assert query["status"] == "completed"
    notes = {entry["study_instance_uid"]: entry["note"] for entry in query["studies"]}
    assert {uid for uid, note in notes.items() if note == "time_not_returned"} == {untimed.study_instance_uid}
