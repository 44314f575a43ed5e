"""PACS that match, return, cap and count in their own way, with and without a fault on top.

Each leads to the decisions of one that does everything right, or names what is missing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from shared.querying.profile import Profile
from simulator.behaviour import Fault
from tests.support.jobs.ward import (
    CRITERIA,
    ONE,
    WARD,
    Desk,
    check_against_truth,
    is_wanted,
    judged_of,
    kept_of,
    missing_studies,
    missing_windows,
    series_of,
    uid_of,
)

COUNTS = ["NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances"]

#: Of an unknown node twenty answers are believed to be all; this archive is smaller than that.
WARY = Profile(proven=3)

#: Traits that make no difference to what is decided.
INDIFFERENT: dict[str, dict[str, Any]] = {
    "codes only returned": {"modalities_in_study": "returned"},
    "codes neither matched nor returned": {"modalities_in_study": "absent"},
    "codes only matched": {"modalities_in_study": "matched_not_returned"},
    "codes blank for one study": {"blank_modalities_for": [uid_of("petct")]},
    "codes only returned, blank for one study": {
        "modalities_in_study": "returned",
        "blank_modalities_for": [uid_of("ct_rdsr")],
    },
    "lists of codes ignored": {"code_lists": "ignored"},
    "first of a list of codes only": {"code_lists": "first_only"},
    "lists of codes find nothing": {"code_lists": "empty"},
    "lists of codes refused": {"code_lists": "refused"},
    "series lists ignored": {"uid_lists_series": "ignored"},
    "first of a series list only": {"uid_lists_series": "first_only"},
    "series lists find nothing": {"uid_lists_series": "empty"},
    "series lists refused": {"uid_lists_series": "refused"},
    "image lists ignored": {"uid_lists_image": "ignored"},
    "first of an image list only": {"uid_lists_image": "first_only"},
    "image lists find nothing": {"uid_lists_image": "empty"},
    "image lists refused": {"uid_lists_image": "refused"},
    "lists of three at most": {"uid_list_maximum": 3},
    "no lists at all": {"uid_list_maximum": 1, "code_lists": "refused"},
    "lists refused with 0xC001": {"uid_list_maximum": 3, "refusal_status": 0xC001},
    "no relational queries": {"relational": "refused"},
    "relational queries find nothing": {"relational": "empty", "uid_lists_series": "refused"},
    "relational queries always": {"relational": "always", "uid_lists_series": "refused"},
    "relational queries negotiated": {"relational": "negotiated", "uid_lists_series": "refused"},
    "no counts": {"not_returned": COUNTS},
    "no study description": {"not_returned": ["StudyDescription"]},
    "no station names": {"not_returned": ["StationName"]},
    "no date and time": {"not_returned": ["StudyDate", "StudyTime"]},
    "no accession numbers": {"not_returned": ["AccessionNumber"]},
    "series without study UID": {"not_returned": ["SERIES.StudyInstanceUID"]},
    "images without upper UIDs": {"not_returned": ["IMAGE.SeriesInstanceUID", "IMAGE.StudyInstanceUID"]},
    "no series numbers": {"not_returned": ["SeriesNumber"]},
    "ISO_IR 6": {"character_set": "ISO_IR 6"},
    "ISO_IR 100": {"character_set": "ISO_IR 100"},
    "newest first": {"descending": True},
    "everything twice": {"duplicate_every": 1},
    "each third twice": {"duplicate_every": 3},
    "silent cap": {"cap": 5, "cap_levels": ["STUDY"]},
    "silent cap, newest first": {"cap": 3, "cap_levels": ["STUDY"], "descending": True},
    "silent cap at series level": {"cap": 9, "cap_levels": ["SERIES"]},
    "refuses beyond a number": {"cap": 3, "cap_effect": "refuse_after", "cap_levels": ["STUDY"]},
    "refuses at once beyond a number": {"cap": 3, "cap_effect": "refuse_at_once", "cap_levels": ["STUDY"]},
    "0xA701 beyond a number": {
        "cap": 3,
        "cap_effect": "refuse_after",
        "cap_status": 0xA701,
        "cap_levels": ["STUDY"],
    },
    "0xB001 beyond a number": {"cap": 3, "cap_effect": "warn", "cap_levels": ["STUDY"]},
    "aborts beyond a number": {"cap": 3, "cap_effect": "abort", "cap_levels": ["STUDY"]},
    "aborts long series answers": {"cap": 12, "cap_effect": "abort", "cap_levels": ["SERIES"]},
    "refuses long image answers": {"cap": 100, "cap_effect": "refuse_after", "cap_levels": ["IMAGE"]},
    "windows of two days at most": {"widest_window_days": 2},
    "windows of one day at most": {"widest_window_days": 1},
    "a pause before each request": {"request_delay_s": 0.01},
    "a pause before each answer": {"answer_delay_s": 0.002},
    "small PDUs": {"maximum_pdu_bytes": 4096},
    "one association at a time": {"maximum_associations": 1},
    "one association, congestion": {"maximum_associations": 1, "limit_rejection": "temporary_congestion"},
    "one association for each caller": {"maximum_associations_per_ae_title": 1},
    "too few announced": {"count_error": -1},
    "nothing announced": {"count_error": -1000},
}

#: Two traits at once.
PAIRS: dict[str, dict[str, Any]] = {
    f"{first}; {second}": {**INDIFFERENT[first], **INDIFFERENT[second]}
    for first, second in [
        ("codes only returned", "silent cap"),
        ("codes neither matched nor returned", "refuses beyond a number"),
        ("codes only matched", "no counts"),
        ("codes neither matched nor returned", "each third twice"),
        ("codes neither matched nor returned", "series lists refused"),
        ("lists of codes ignored", "silent cap"),
        ("first of a list of codes only", "windows of one day at most"),
        ("silent cap, newest first", "everything twice"),
        ("silent cap", "windows of two days at most"),
        ("silent cap", "one association at a time"),
        ("refuses at once beyond a number", "windows of one day at most"),
        ("refuses at once beyond a number", "no date and time"),
        ("aborts beyond a number", "lists of codes refused"),
        ("series lists ignored", "image lists find nothing"),
        ("first of a series list only", "no counts"),
        ("series lists find nothing", "series without study UID"),
        ("image lists refused", "no counts"),
        ("image lists ignored", "images without upper UIDs"),
        ("series without study UID", "no counts"),
        ("lists of three at most", "everything twice"),
        ("relational queries always", "no counts"),
        ("relational queries always", "silent cap at series level"),
        ("no lists at all", "one association at a time"),
    ]
}

#: A fault on top of a trait.
FAULTS: dict[str, list[Fault]] = {
    "abort at study level": [Fault(operation="find", level="STUDY", kind="abort", after_responses=1)],
    "0xC001 at series level": [Fault(operation="find", level="SERIES", kind="status", status=0xC001)],
    "broken image answer": [Fault(operation="find", level="IMAGE", kind="bad_data_set")],
    "lost series answer": [Fault(operation="find", level="SERIES", kind="drop_answer", after_responses=1)],
}


@pytest.fixture(scope="module")
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()


@pytest.mark.parametrize("traits", INDIFFERENT)
def test_a_trait_leaves_no_trace_in_the_result(desk, traits):
    # When
    query = desk.ask(INDIFFERENT[traits], learned=WARY)
    # Then
    assert (query["status"], query["missing"]) == ("completed", [])
    assert check_against_truth(query, WARD, desk.right()) == set()


@pytest.mark.parametrize("traits", PAIRS)
def test_two_traits_leave_no_trace_in_the_result(desk, traits):
    # When
    query = desk.ask(PAIRS[traits], learned=WARY)
    # Then
    assert (query["status"], query["missing"]) == ("completed", [])
    assert check_against_truth(query, WARD, desk.right()) == set()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    "traits",
    [
        "codes neither matched nor returned",
        "first of a list of codes only",
        "series lists ignored",
        "no lists at all",
        "silent cap",
        "refuses beyond a number",
        "relational queries always",
    ],
)
def test_a_fault_on_top_of_a_trait_leaves_no_trace(desk, traits, fault):
    # When
    query = desk.ask(INDIFFERENT[traits], FAULTS[fault], learned=WARY)
    # Then
    assert query["status"] == "completed"
    assert check_against_truth(query, WARD, desk.right()) == set()


# What cannot be judged


@pytest.mark.parametrize(
    ("traits", "lost", "reason"),
    [
        ({"hidden": [series_of("ct_esr", "SR")]}, ("ct_esr",), "fewer_series_than_announced"),
        ({"hidden": [series_of("mr", "MR")]}, (), ""),
        (
            {"hidden": [ONE["petct"].series[-3].instances[0].sop_instance_uid]},
            ("petct",),
            "fewer_objects_than_announced",
        ),
        (
            {"count_error": 1, "count_error_for": [uid_of("mg_images")]},
            ("mg_images",),
            "fewer_series_than_announced",
        ),
        (
            {"count_error": 1, "count_error_for": [uid_of("mg_images"), uid_of("rf_rdsr")]},
            ("mg_images", "rf_rdsr"),
            "fewer_series_than_announced",
        ),
        (
            {"hidden": [series_of("ct_esr", "SR")], "uid_lists_series": "refused"},
            ("ct_esr",),
            "fewer_series_than_announced",
        ),
        (
            {"hidden": [series_of("ct_esr", "SR")], "modalities_in_study": "absent"},
            ("ct_esr",),
            "fewer_series_than_announced",
        ),
        (
            {"hidden": [series_of("ct_esr", "SR")], "cap": 4, "cap_levels": ["STUDY"]},
            ("ct_esr",),
            "fewer_series_than_announced",
        ),
    ],
    ids=str,
)
def test_what_is_announced_and_not_answered_is_missing_alone(desk, traits, lost, reason):
    # When
    query = desk.ask(traits, learned=WARY)
    # Then
    assert query["status"] == ("incomplete" if lost else "completed")
    assert check_against_truth(query, WARD, desk.right()) == {uid_of(kind) for kind in lost}
    assert missing_windows(query) == []
    assert {gap["reason"] for gap in query["missing"]} == ({reason} if reason else set())


def test_all_studies_that_announce_too_much_are_missing(desk):
    # When
    query = desk.ask({"count_error": 3})
    # Then
    assert query["status"] == "incomplete"
    assert missing_studies(query) == {study.study_instance_uid for study in WARD if is_wanted(study)}


@pytest.mark.parametrize(
    "traits",
    [
        {"cap": 2, "cap_levels": ["STUDY"]},
        {"cap": 2, "cap_levels": ["STUDY"], "cap_effect": "refuse_after"},
        {"cap": 2, "cap_levels": ["STUDY"], "cap_effect": "refuse_at_once"},
        {"cap": 2, "cap_levels": ["STUDY"], "cap_effect": "warn"},
        {"cap": 2, "cap_levels": ["STUDY"], "cap_effect": "abort"},
    ],
    ids=lambda traits: traits.get("cap_effect", "silent"),
)
def test_a_minute_that_holds_too_much_is_named_and_nothing_else(desk, traits):
    # Given
    crowded = [
        dataclasses.replace(study, date=ONE["ct_rdsr"].date, time=ONE["ct_rdsr"].time)
        if study.kind == "ct_rdsr"
        else study
        for study in WARD
    ]
    # When
    query = desk.ask(traits, archive=crowded, learned=Profile(proven=2))
    # Then
    lost = check_against_truth(query, crowded, desk.right())
    assert query["status"] == "incomplete"
    assert lost <= {study.study_instance_uid for study in WARD if study.kind == "ct_rdsr"}
    moment = ONE["ct_rdsr"].time
    assert moment is not None
    for missing_window in missing_windows(query):
        assert (
            missing_window["window"]["time_from"]
            == missing_window["window"]["time_until"]
            == moment.strftime("%H:%M")
        )


@pytest.mark.parametrize("description", ["", None, "ödem", "(ohne)", "thorax"])
def test_a_study_beyond_the_cap_of_a_minute_is_found_or_the_minute_named(desk, description):
    # Given: two studies with a description fill the answer, the third is never named
    crowd = [study for study in WARD if study.kind == "ct_rdsr"]
    texts = ["Thorax", "Abdomen", description]
    crowded = [
        dataclasses.replace(study, date=crowd[0].date, time=crowd[0].time, description=text)
        for study, text in zip(crowd, texts, strict=True)
    ]
    # When
    query = desk.ask({"cap": 2, "cap_levels": ["STUDY"]}, archive=crowded, learned=Profile(proven=2))
    # Then
    check_against_truth(query, crowded)
    assert query["status"] == "incomplete"


@pytest.mark.parametrize("effect", ["silent", "refuse_after", "refuse_at_once", "warn", "abort"])
@pytest.mark.parametrize("keys", [["StudyTime"], ["StudyDate", "StudyTime"]], ids=str)
def test_a_cap_that_no_window_can_avoid_is_told_after_few_requests(desk, effect, keys):
    # When
    traits = {"cap": 2, "cap_levels": ["STUDY"], "cap_effect": effect, "not_matched": keys}
    query = desk.ask(traits, learned=Profile(proven=2))
    # Then
    assert query["status"] in {"incomplete", "failed"}
    check_against_truth(query, WARD, desk.right())
    assert query["finds"] < 700


# What is judged otherwise, and rightly so


@pytest.mark.parametrize(
    "traits", [{"image_level_empty_for": ["SR"]}, {"not_returned": ["IMAGE.SOPClassUID"]}], ids=str
)
def test_reports_that_cannot_be_told_apart_are_kept_if_the_option_asks_for_them(desk, traits):
    # Given: where an unknown report is kept, no PET image is
    studies = [study for study in WARD if study.kind not in {"petct", "nm_images"}]
    # When
    kept = desk.ask(traits, archive=studies, criteria=CRITERIA | {"empty_sr": True})
    left = desk.ask(traits, archive=studies)
    # Then
    assert (kept["status"], left["status"]) == ("completed", "completed")
    check_against_truth(kept, studies)
    judged = judged_of(left)
    for study in studies:
        if study.kind in {"ct_rdsr", "ct_esr", "rf_rdsr", "sr_only_rdsr"}:
            assert judged[study.study_instance_uid]["reason"] == "unknown_sr_option_off"


def test_a_philips_dose_series_without_description_is_kept_for_its_size(desk):
    # When
    query = desk.ask({"not_returned": ["SeriesDescription"]})
    # Then
    assert query["status"] == "completed"
    assert check_against_truth(query, WARD) == set()
    assert judged_of(query)[uid_of("ct_philips")]["reason"] == "philips_maybe_dose_info"


@pytest.mark.parametrize("traits", [{}, {"not_returned": ["StudyDate", "StudyTime"]}], ids=str)
def test_dates_that_are_not_matched_are_no_harm_where_few_are_answered(desk, traits):
    # When
    query = desk.ask({"not_matched": ["StudyDate"], **traits})
    # Then
    assert query["status"] == "completed"
    assert check_against_truth(query, WARD, desk.right()) == set()


def test_studies_outside_of_the_window_are_left_out_where_dates_are_not_matched(desk):
    # Given
    criteria = CRITERIA | {"date_from": "2024-03-05", "date_until": "2024-03-05"}
    # When
    query = desk.ask({"not_matched": ["StudyDate"]}, criteria=criteria)
    # Then
    of_the_day = [study for study in WARD if str(study.date) == "2024-03-05"]
    assert query["status"] == "completed"
    assert check_against_truth(query, of_the_day, desk.right()) == set()


@pytest.mark.parametrize("traits", [{}, {"cap": 5, "cap_levels": ["STUDY"]}, {"descending": True}], ids=str)
def test_studies_without_date_or_time_are_found_where_no_date_is_asked_for(desk, traits):
    # Given
    bare: dict[str, Any] = {
        "ct_esr": {"date": None, "time": None},
        "mg_images": {"date": None},
        "rf_rdsr": {"time": None},
    }
    studies = [dataclasses.replace(study, **bare.get(study.kind, {})) for study in WARD]
    criteria = {key: value for key, value in CRITERIA.items() if not key.startswith("date")}
    # When
    query = desk.ask(traits, archive=studies, criteria=criteria, learned=WARY)
    # Then
    assert query["status"] == "completed"
    assert check_against_truth(query, studies, desk.right()) == set()


def test_kept_objects_of_the_undisturbed_query_are_those_of_the_blueprints(desk):
    # Then
    right = desk.right()
    assert all(kept_of(right[study.study_instance_uid], study) for study in WARD if is_wanted(study))
