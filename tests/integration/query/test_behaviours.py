"""PACS that cap, count or leave out in their own way: what cannot be decided is named, the rest is right.

What makes no difference to the decisions stands in tests/matrix/query/habits.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from shared.querying.profile import Profile
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
    uid_of,
)

#: Of an unknown node twenty answers are believed to be all; this archive is smaller than that.
WARY = Profile(proven=3)


@pytest.fixture(scope="module")
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()


# What cannot be judged


def test_all_studies_that_announce_too_much_are_missing(desk):
    # When
    query = desk.run_query({"count_error": 3})
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
    query = desk.run_query(traits, archive=crowded, learned=Profile(proven=2))
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
    # Given: two studies with a description fill the result, the third is never named
    crowd = [study for study in WARD if study.kind == "ct_rdsr"]
    texts = ["Thorax", "Abdomen", description]
    crowded = [
        dataclasses.replace(study, date=crowd[0].date, time=crowd[0].time, description=text)
        for study, text in zip(crowd, texts, strict=True)
    ]
    # When
    query = desk.run_query({"cap": 2, "cap_levels": ["STUDY"]}, archive=crowded, learned=Profile(proven=2))
    # Then
    check_against_truth(query, crowded)
    assert query["status"] == "incomplete"


# What is judged otherwise, and rightly so


@pytest.mark.parametrize(
    "traits", [{"image_level_empty_for": ["SR"]}, {"not_returned": ["IMAGE.SOPClassUID"]}], ids=str
)
def test_reports_that_cannot_be_distinguished_are_kept_if_the_option_wants_them(desk, traits):
    # Given: where an unknown report is kept, no PET image is
    studies = [study for study in WARD if study.kind not in {"petct", "nm_images"}]
    # When
    kept = desk.run_query(traits, archive=studies, criteria=CRITERIA | {"empty_sr": True})
    left = desk.run_query(traits, archive=studies)
    # Then
    assert (kept["status"], left["status"]) == ("completed", "completed")
    check_against_truth(kept, studies)
    judged = judged_of(left)
    for study in studies:
        if study.kind in {"ct_rdsr", "ct_esr", "rf_rdsr", "sr_only_rdsr"}:
            assert judged[study.study_instance_uid]["reason"] == "unknown_sr_option_off"


def test_a_philips_dose_series_without_description_is_kept_for_its_size(desk):
    # When
    query = desk.run_query({"not_returned": ["SeriesDescription"]})
    # Then
    assert query["status"] == "completed"
    assert check_against_truth(query, WARD) == set()
    assert judged_of(query)[uid_of("ct_philips")]["reason"] == "philips_maybe_dose_info"


@pytest.mark.parametrize("traits", [{}, {"not_returned": ["StudyDate", "StudyTime"]}], ids=str)
def test_dates_that_are_not_matched_are_no_harm_where_few_are_returned(desk, traits):
    # When
    query = desk.run_query({"not_matched": ["StudyDate"], **traits})
    # Then
    assert query["status"] == "completed"
    assert check_against_truth(query, WARD, desk.right()) == set()


def test_studies_outside_of_the_window_are_left_out_where_dates_are_not_matched(desk):
    # Given
    criteria = CRITERIA | {"date_from": "2024-03-05", "date_until": "2024-03-05"}
    # When
    query = desk.run_query({"not_matched": ["StudyDate"]}, criteria=criteria)
    # Then
    of_the_day = [study for study in WARD if str(study.date) == "2024-03-05"]
    assert query["status"] == "completed"
    assert check_against_truth(query, of_the_day, desk.right()) == set()


@pytest.mark.parametrize("traits", [{}, {"cap": 5, "cap_levels": ["STUDY"]}, {"descending": True}], ids=str)
def test_studies_without_date_or_time_are_found_where_no_date_is_requested(desk, traits):
    # Given
    bare: dict[str, Any] = {
        "ct_esr": {"date": None, "time": None},
        "mg_images": {"date": None},
        "rf_rdsr": {"time": None},
    }
    studies = [dataclasses.replace(study, **bare.get(study.kind, {})) for study in WARD]
    criteria = {key: value for key, value in CRITERIA.items() if not key.startswith("date")}
    # When
    query = desk.run_query(traits, archive=studies, criteria=criteria, learned=WARY)
    # Then
    assert query["status"] == "completed"
    assert check_against_truth(query, studies, desk.right()) == set()


def test_kept_objects_of_the_undisturbed_query_are_those_of_the_blueprints(desk):
    # Then
    right = desk.right()
    assert all(kept_of(right[study.study_instance_uid], study) for study in WARD if is_wanted(study))
