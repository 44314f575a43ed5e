"""Many studies at the same time of day: distinguished from a cap, which is never claimed without proof."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.integration.query.test_adaptive import found
from tests.integration.query.test_query import ready
from tests.support.peers.studies import ct_study, mg_study

DAY = dt.date(2024, 3, 5)
MIDNIGHT = dt.time(0, 0)
QUERY = {"types": ["CT"], "date_from": str(DAY), "date_until": str(DAY)}


def crowd(number: int, *, day: dt.date = DAY, time: dt.time | None = MIDNIGHT):
    return [ct_study(date=day, time=time) for _ in range(number)]


def uids(studies) -> set[str]:
    return {study.study_instance_uid for study in studies}


@pytest.mark.parametrize("time", [MIDNIGHT, dt.time(12, 30), None], ids=str)
@pytest.mark.parametrize(
    "others",
    [
        [],
        crowd(1, day=DAY - dt.timedelta(days=400)),
        crowd(30, day=DAY - dt.timedelta(days=1)),
        [mg_study(date=DAY)],
    ],
    ids=["nothing else", "a study long before", "as many the day before", "a study of another code"],
)
def test_as_many_matches_in_a_part_as_in_the_whole_are_no_cap(system, scripted_pacs, time, others):
    # Given
    studies = crowd(30, time=time)
    ready(system, scripted_pacs([*studies, *others]))
    # When
    query = system.finished_query(QUERY)
    # Then
    assert (query["status"], found(query)) == ("completed", uids(studies))


@pytest.mark.parametrize("cap", [30, 50])
def test_a_cap_within_a_minute_is_reported_but_not_as_a_fact(system, scripted_pacs, cap):
    # Given
    studies = [*crowd(cap + 20), *crowd(cap + 5, day=DAY - dt.timedelta(days=1))]
    ready(system, scripted_pacs(studies, cap=cap, cap_levels=["STUDY"]))
    # When
    query = system.finished_query(QUERY)
    # Then
    assert query["status"] == "incomplete"
    assert query["counts"]["kept"] >= cap
    assert any("may stop" in window["detail"] for window in query["missing"])


def test_a_round_number_in_an_archive_of_one_minute_is_not_believed(system, scripted_pacs):
    # Given
    ready(system, scripted_pacs(crowd(60), cap=50, cap_levels=["STUDY"]))
    # When
    query = system.finished_query(QUERY)
    # Then
    assert query["status"] == "incomplete"


def test_a_query_that_kept_something_does_not_fail_and_can_be_retrieved(system, scripted_pacs):
    # Given: a PACS that ignores the time of day and stops at 50
    studies = [ct_study(date=DAY, time=dt.time(8, number % 60)) for number in range(80)]
    pacs = scripted_pacs(studies, cap=50, cap_levels=["STUDY"], not_matched=["StudyTime"])
    ready(system, pacs)
    # When
    query = system.finished_query(QUERY)
    # Then
    assert query["status"] == "incomplete"
    assert query["counts"]["kept"] >= 50


@pytest.mark.parametrize(
    "minutes", [range(0, 98, 7), [0] * 7 + [30] * 7], ids=["one by one", "at two times of the day"]
)
def test_a_small_cap_is_noticed_where_all_studies_lie_in_a_part(system, scripted_pacs, minutes):
    # Given: one half of the day has as many matches as all dates
    studies = [ct_study(date=DAY, time=dt.time(8 + minute // 60, minute % 60)) for minute in minutes]
    ready(system, scripted_pacs(studies, cap=4, cap_levels=["STUDY"]))
    # When
    query = system.finished_query(QUERY)
    # Then
    assert query["status"] != "completed" or found(query) == uids(studies)
    assert query["counts"]["found"] > 4
