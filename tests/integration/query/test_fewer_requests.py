"""Codes in lists, relational queries, lists of studies: fewer requests, and never less found."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import select

from shared.database.models import NodeProfile, QueryFind
from simulator.scp import ScriptedPacs
from tests.integration.query.test_adaptive import found, profile_of
from tests.integration.query.test_query import everything, ready
from tests.support.peers.studies import ct_study, days_of, dx_study, mg_study, petct_study
from tests.support.services.in_process import System

FIRST, LAST = dt.date(2024, 1, 1), dt.date(2024, 3, 4)
ALL_TYPES = ["CT", "MG", "FL", "DX", "NM"]
SPAN = {"types": ALL_TYPES, "date_from": str(FIRST), "date_until": str(LAST)}


@pytest.fixture(scope="module")
def quarter():
    """Return studies of four types over nine weeks."""
    return [
        *days_of(36, FIRST, LAST, ct_study),
        *days_of(24, FIRST, LAST, dx_study),
        *days_of(12, FIRST, LAST, mg_study),
        *days_of(6, FIRST, LAST, petct_study),
    ]


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    """What a PACS without the trait of a test leads to, by that trait: it is queried once."""
    return {}


@pytest.fixture
def expected(quarter, scripted_pacs, system, plain):
    """Return what a PACS leads to that takes no lists of codes and does everything else right.

    The number of its C-FINDs at STUDY level is `study_finds`.
    """
    pacs = scripted_pacs(quarter, code_lists="refused")
    ready(system, pacs)
    if "code lists" not in plain:
        query = system.finished_query(SPAN)
        plain["code lists"] = {**query, "study_finds": len(finds_at(system, query, "STUDY"))}
    return plain["code lists"]


def add(system: System, pacs: ScriptedPacs, name: str = "other") -> None:
    system.add_remote(name, pacs.host, pacs.port, pacs.ae_title)


@pytest.mark.parametrize(
    ("traits", "learned"),
    [
        ({"code_lists": "accepted"}, 9),
        ({"code_lists": "ignored"}, 9),
        ({"code_lists": "first_only"}, 0),
        ({"code_lists": "empty"}, 0),
        ({"code_lists": "refused"}, 0),
        ({"modalities_in_study": "returned"}, None),
        ({"modalities_in_study": "absent"}, None),
        ({"modalities_in_study": "matched_not_returned"}, 9),
    ],
    ids=str,
)
def test_codes_are_requested_together_only_where_that_finds_all(
    system, scripted_pacs, quarter, expected, traits, learned
):
    # Given
    pacs = scripted_pacs(quarter, **traits)
    add(system, pacs)
    # When
    query = system.finished_query(SPAN, remote="other")
    # Then
    assert query["status"] == "completed"
    assert everything(query) == everything(expected)
    # How its windows fell to the workers decides how many queries it takes to learn it, and to use it.
    for _ in range(1 if learned is None else 4):
        if profile_of(system, 3).code_list is None:
            query = system.finished_query(SPAN, remote="other")
    assert profile_of(system, 3).code_list == learned
    if learned != 0:
        if len(finds_at(system, query, "STUDY")) >= expected["study_finds"]:
            # The last of its windows taught it; the next query uses it.
            query = system.finished_query(SPAN, remote="other")
        assert len(finds_at(system, query, "STUDY")) < expected["study_finds"]


def test_a_list_of_codes_that_is_suddenly_refused_is_unlearned_on_the_way(
    system, scripted_pacs, quarter, expected
):
    # Given
    pacs = scripted_pacs(quarter)
    add(system, pacs)
    system.finished_query(SPAN, remote="other")
    assert learned_codes(system) == 9
    pacs.change(code_lists="refused")
    # When
    query = system.finished_query(SPAN, remote="other")
    # Then
    assert query["status"] == "completed"
    assert everything(query) == everything(expected)
    assert profile_of(system, 3).code_list == 0


def test_more_codes_than_were_proven_are_proven_first(system, scripted_pacs, quarter):
    # Given
    ready(system, scripted_pacs(quarter))
    system.finished_query(SPAN | {"types": ["CT", "MG"]})
    with system.database.write() as session:
        row = session.get_one(NodeProfile, 1)
        row.data = row.data | {"code_list": 2, "busiest": 0.0}
    # When
    query = system.finished_query(SPAN)
    # Then
    assert found(query) == {study.study_instance_uid for study in quarter}
    assert profile_of(system).code_list == 9


@pytest.mark.parametrize(
    ("relational", "learned"),
    [("always", True), ("negotiated", True), ("empty", False), ("refused", False)],
)
def test_relational_queries_stand_in_for_lists(system, scripted_pacs, relational, learned):
    # Given
    days = [FIRST + dt.timedelta(days=7 * week) for week in range(3)]
    studies = [make(date=day) for day in days for make in (ct_study, dx_study, mg_study) for _ in range(6)]
    ready(system, scripted_pacs(studies, uid_lists_series="refused", relational=relational))
    # When
    query = system.finished_query(SPAN)
    # Then
    assert query["status"] == "completed"
    assert found(query) == {study.study_instance_uid for study in studies}
    assert profile_of(system).relational is learned
    alone = [keys for keys in finds_at(system, query, "SERIES") if "study_instance_uid" in keys]
    assert len(alone) == (0 if learned else len(studies))


@pytest.mark.parametrize("treatment", ["accepted", "ignored", "first_only", "empty", "refused"])
def test_a_list_of_studies_finds_what_single_questions_find(system, scripted_pacs, quarter, treatment):
    # Given
    ready(system, scripted_pacs(quarter, uid_lists_study=treatment))
    wanted = [study.study_instance_uid for study in quarter[:70]]
    # When
    query = system.finished_query({"types": ALL_TYPES, "study_instance_uids": [*wanted, "1.2.3.4"]})
    # Then
    assert query["status"] == "completed"
    assert found(query) == set(wanted)
    assert len(finds_at(system, query, "STUDY")) <= (4 if treatment == "accepted" else 75)


@pytest.mark.parametrize(
    ("key", "status"),
    [
        ("STUDY.NumberOfStudyRelatedSeries", "0xA900"),
        ("STUDY.StudyDescription", "0xC001"),
        ("STUDY.ModalitiesInStudy", "0xA900"),
        ("STUDY.AccessionNumber", "0xC001"),
        ("STUDY.StudyTime", "0x0122"),
        ("SERIES.SeriesDescription", "0xC001"),
        ("SERIES.StationName", "0xA900"),
        ("SERIES.NumberOfSeriesRelatedInstances", "0xA900"),
        ("SERIES.SeriesNumber", "0xC001"),
        ("SERIES.Modality", "0x0122"),
        ("IMAGE.SOPClassUID", "0xC001"),
        ("IMAGE.InstanceNumber", "0x0115"),
    ],
)
def test_a_key_that_has_requests_refused_is_left_out_and_remembered(
    system, scripted_pacs, quarter, plain, key, status
):
    # Given
    criteria = {"types": ["CT"], "date_from": str(FIRST), "date_until": str(FIRST + dt.timedelta(days=6))}
    silent = scripted_pacs(quarter, not_returned=[key])
    refusing = scripted_pacs(quarter, refused_keys=[key], refusal_status=status)
    ready(system, silent)
    add(system, refusing)
    if key not in plain:
        plain[key] = everything(system.finished_query(criteria))
    expected = plain[key]
    # When
    query = system.finished_query(criteria, remote="other")
    again = system.finished_query(criteria, remote="other")
    # Then
    assert query["status"] == again["status"] == "completed"
    assert everything(query) == everything(again) == expected
    assert profile_of(system, 3).refused_keys == (key,)
    assert not [request for request in refusing.witness.of("find")[-again["finds"] :] if request.status != 0]


@pytest.mark.parametrize("treatment", ["needed", "refused"])
def test_an_empty_modality_is_requested_where_no_study_is_found_without(
    system, scripted_pacs, quarter, treatment
):
    # Given
    ready(system, scripted_pacs(quarter, study_modality_key=treatment))
    # When
    query = system.finished_query(SPAN)
    # Then
    assert query["status"] == "completed"
    assert found(query) == {study.study_instance_uid for study in quarter}
    assert profile_of(system).study_modality_key is (True if treatment == "needed" else None)


def test_a_minute_beyond_the_cap_is_searched_by_its_seconds(system, scripted_pacs):
    # Given
    day = dt.date(2024, 3, 5)
    studies = [
        ct_study(date=day, time=dt.time(9, 30, number % 60), description=None) for number in range(130)
    ]
    ready(system, scripted_pacs(studies, cap=100, cap_levels=["STUDY"]))
    # When
    query = system.finished_query({"types": ["CT"], "date_from": str(day), "date_until": str(day)})
    # Then
    assert query["status"] == "completed"
    assert query["counts"]["found"] == 130


def test_a_second_beyond_the_cap_is_searched_by_first_letters_which_are_not_believed_to_be_all(
    system, scripted_pacs
):
    # Given
    day = dt.date(2024, 3, 5)
    texts = ["Thorax", "abdomen", "Knie", "Becken", "1. Kontrolle"]
    studies = [
        ct_study(date=day, time=dt.time(9, 30), description=texts[number % 5]) for number in range(130)
    ]
    ready(system, scripted_pacs(studies, cap=100, cap_levels=["STUDY"]))
    # When
    query = system.finished_query({"types": ["CT"], "date_from": str(day), "date_until": str(day)})
    # Then
    assert query["status"] == "incomplete"
    assert query["counts"]["found"] == 130
    assert [gap["error"] for gap in query["missing"]] == ["answers_capped"]


def learned_codes(system: System) -> int | None:
    """Return how many codes are requested together of the node `other`, which was queried.

    How its windows fell to the workers decides whether one query was enough to learn it.
    """
    if profile_of(system, 3).code_list is None:
        system.finished_query(SPAN, remote="other")
    return profile_of(system, 3).code_list


def finds_at(system, query, level: str) -> list[dict[str, object]]:
    """Return the keys of the C-FINDs of a query at one level."""
    with system.database.read() as session:
        which = (QueryFind.job_id == query["id"], QueryFind.level == level)
        return list(session.scalars(select(QueryFind.keys).where(*which)))


def test_objects_of_small_studies_come_without_a_search_for_their_series(
    system, expected, quarter, dicomweb_server
):
    # Given: a first query, which compares the series that are shown at both levels
    server = dicomweb_server(quarter)
    system.add_dicomweb("web", server.url)
    first = system.finished_query(SPAN, remote="web")
    server.witness.clear()
    # When
    second = system.finished_query(SPAN, remote="web")
    # Then: the first query compared a few studies of each task
    lists = [keys["study_instance_uids"] for keys in finds_at(system, first, "SERIES")]
    assert {len(uids) for uids in lists if isinstance(uids, list)} == {10}
    assert server.witness.of("qido", "SERIES") == ()
    assert first["status"] == second["status"] == "completed"
    assert everything(first) == everything(second) == everything(expected)
