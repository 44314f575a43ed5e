"""A PACS that caps, refuses, or treats lists in its own way: everything is found, or named as missing."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from shared.database.models import NodeProfile
from shared.querying.profile import Profile
from tests.integration.query.test_query import everything, ready
from tests.support.peers.studies import ct_study, days_of, dx_study, mg_study, petct_study

FIRST, LAST = dt.date(2024, 1, 1), dt.date(2024, 1, 21)
SPAN = {"types": ["CT", "MG"], "date_from": str(FIRST), "date_until": str(LAST)}


@pytest.fixture(scope="module")
def two_months():
    """Return studies of four types, most of them CT."""
    return [
        *days_of(130, FIRST, LAST, ct_study),
        *days_of(12, FIRST, LAST, dx_study),
        *days_of(6, FIRST, LAST, mg_study),
        *days_of(3, FIRST, LAST, petct_study),
    ]


@pytest.fixture
def truth(two_months) -> set[str]:
    codes = {"CT", "MG"}
    return {
        study.study_instance_uid for study in two_months if codes & {entry.modality for entry in study.series}
    }


@pytest.fixture
def undisturbed(two_months, scripted_pacs, system, _known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what a PACS that does everything right leads to; queried once for all tests."""
    pacs = scripted_pacs(two_months)
    system.add_own_store()
    system.add_remote("right", pacs.host, pacs.port, pacs.ae_title)
    system.start("query")
    if not _known:
        _known["result"] = everything(system.finished_query(SPAN, remote="right"))
    return _known["result"]


@pytest.fixture(scope="module")
def _known() -> dict[str, dict[str, Any]]:
    return {}


def found(query) -> set[str]:
    """Return the studies of the types that were requested."""
    return {study["study_instance_uid"] for study in query["studies"] if study["type"]}


def profile_of(system, node_id: int = 1) -> Profile:
    with system.database.read() as session:
        row = session.get(NodeProfile, node_id)
        return Profile.from_json(row.data) if row else Profile()


@pytest.mark.parametrize(
    "traits",
    [
        {},
        {"cap": 60, "cap_levels": ["STUDY"]},
        {"cap": 37, "cap_levels": ["STUDY"]},
        {"cap": 100},
        {"cap": 20, "cap_effect": "refuse_after", "cap_levels": ["STUDY"]},
        {"cap": 20, "cap_effect": "refuse_at_once", "cap_levels": ["STUDY"]},
        {"cap": 30, "cap_effect": "warn", "cap_levels": ["STUDY"]},
        {"widest_window_days": 3},
        {"widest_window_days": 1},
        {"uid_lists_series": "ignored"},
        {"uid_lists_series": "first_only"},
        {"uid_lists_series": "empty"},
        {"uid_lists_series": "refused"},
        {"uid_lists_image": "ignored"},
        {"uid_lists_image": "first_only"},
        {"uid_lists_image": "empty"},
        {"uid_lists_image": "refused"},
        {"uid_list_maximum": 12},
        {"uid_list_maximum": 1},
        {"not_returned": ["NumberOfStudyRelatedSeries", "NumberOfSeriesRelatedInstances"]},
        {"not_returned": ["NumberOfStudyRelatedSeries", "NumberOfSeriesRelatedInstances"], "cap": 100},
        {"not_returned": ["SERIES.StudyInstanceUID"]},
        {"not_returned": ["IMAGE.SeriesInstanceUID", "IMAGE.StudyInstanceUID"]},
        {"modalities_in_study": "absent", "cap": 60, "cap_levels": ["STUDY"]},
        {"duplicate_every": 3, "cap": 60, "cap_levels": ["STUDY"]},
        {"descending": True, "cap": 60, "cap_levels": ["STUDY"]},
    ],
    ids=str,
)
def test_whatever_the_pacs_does_all_studies_are_found_and_judged_alike(
    system, scripted_pacs, two_months, truth, undisturbed, traits
):
    # Given
    other = scripted_pacs(two_months, **traits)
    system.add_remote("other", other.host, other.port, other.ae_title)
    # When
    query = system.finished_query(SPAN, remote="other")
    # Then
    assert (query["status"], query["missing"]) == ("completed", [])
    assert found(query) == truth
    assert everything(query) == undisturbed


def test_lists_make_a_query_of_few_requests(system, scripted_pacs, two_months):
    # Given
    pacs = scripted_pacs(two_months)
    ready(system, pacs)
    # When
    query = system.finished_query(SPAN)
    # Then
    classic = 2 * 3 + query["counts"]["found"] + query["counts"]["by_type"]["CT"]
    assert query["finds"] == len(pacs.witness.of("find")) < classic / 5


def test_a_second_query_uses_what_the_first_learned(system, scripted_pacs, two_months):
    # Given
    pacs = scripted_pacs(two_months, uid_lists_series="refused", cap=100, cap_levels=["STUDY"])
    ready(system, pacs)
    first = system.finished_query(SPAN)
    # When
    second = system.finished_query(SPAN)
    # Then
    assert second["finds"] <= first["finds"]
    assert profile_of(system).series_list == 0
    assert everything(second) == everything(first)


def test_a_list_that_is_suddenly_refused_is_unlearned_on_the_way(system, scripted_pacs, two_months):
    # Given
    pacs = scripted_pacs(two_months)
    ready(system, pacs)
    expected = everything(system.finished_query(SPAN))
    pacs.change(uid_lists_series="refused")
    # When
    query = system.finished_query(SPAN)
    # Then
    assert query["status"] == "completed"
    assert everything(query) == expected
    assert profile_of(system).series_list == 0


def test_a_cap_is_learned_and_all_of_a_busy_day_is_found(system, scripted_pacs):
    # Given
    day = dt.date(2024, 3, 5)
    studies = [ct_study(date=day, time=dt.time(8 + number // 60, number % 60)) for number in range(230)]
    ready(system, scripted_pacs(studies, cap=100, cap_levels=["STUDY"]))
    # When
    query = system.finished_query({"types": ["CT"], "date_from": str(day), "date_until": str(day)})
    # Then
    assert query["status"] == "completed"
    assert query["counts"]["found"] == 230
    assert profile_of(system).cap == 100


def test_a_second_with_more_studies_than_the_cap_ends_incomplete_with_the_minute(system, scripted_pacs):
    # Given
    day = dt.date(2024, 3, 5)
    studies = [ct_study(date=day, time=dt.time(9, 30)) for number in range(130)]
    studies += [ct_study(date=day, time=dt.time(10, number)) for number in range(20)]
    ready(system, scripted_pacs(studies, cap=100, cap_levels=["STUDY"]))
    # When
    query = system.finished_query({"types": ["CT"], "date_from": str(day), "date_until": str(day)})
    # Then
    assert query["status"] == "incomplete"
    assert [gap["error"] for gap in query["missing"]] == ["answers_capped"]
    assert (
        query["missing"][0]["window"]["time_from"] == query["missing"][0]["window"]["time_until"] == "09:30"
    )


@pytest.mark.parametrize("pause_s", [0.0, 0.05], ids=["at once", "slowly"])
def test_a_query_without_dates_finds_old_and_undated_studies(system, scripted_pacs, pause_s):
    # Given: what comes slowly teaches nothing yet when a code of no study is searched again
    studies = [
        *days_of(30, dt.date(2015, 1, 1), dt.date(2024, 1, 1)),
        ct_study(date=dt.date(1985, 6, 1)),
        ct_study(date=None),
    ]
    pacs = scripted_pacs(studies, answer_delay_s=pause_s)
    ready(system, pacs)
    # When
    query = system.finished_query({"types": ["CT", "MG"]})
    # Then
    assert query["status"] == "completed"
    assert found(query) == {study.study_instance_uid for study in studies}
    assert len(pacs.witness.of("find", "STUDY")) <= 13
