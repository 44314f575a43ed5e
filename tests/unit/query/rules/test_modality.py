"""Odd forms of modality codes, and series whose modality only their objects show."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.query.examination.missing_studies import lacks_its_report, shows_no_modality
from services.query.rules.decide import decide
from services.query.rules.model import Decision, KnownObjects, StudyDecision
from shared.contract.reasons import Reason
from shared.dicom.query.matches import ObjectMatch, SeriesMatch, StudyMatch
from tests.unit.query.profile.archive import (
    BASIC,
    CAPTURE,
    CT_IMAGE,
    NM_IMAGE,
    PET_IMAGE,
    RDSR,
    RRDSR,
    Archive,
    Series,
    criteria,
    images,
    reason_of,
    run,
    sr,
)

ENHANCED_RDSR = "1.2.840.10008.5.1.4.1.1.88.76"
CT = images("ct", "CT", 100, CT_IMAGE)
NOT_CODES = ["CT/SR", "CT,SR", "CT SR", "*", "ct", "CT;SR", "C?", "CT\u00a5SR", "A" * 17]
#: Words of the form of a code that are none (PS3.3 C.7.3.1.1.1).
NOT_CODES += ["CTSR", "CT_SR", "CT1", "NULL", "UNKNOWN", "XX"]


@pytest.mark.parametrize("value", NOT_CODES)
def test_a_value_that_is_no_code_counts_as_not_returned(value):
    # Given
    study = StudyMatch("1.2", modalities=(value,))
    # Then
    assert (study.codes(), study.codes_are_known()) == (frozenset(), False)


@pytest.mark.parametrize("values", [("CT", "SR"), ("CT ", " SR"), ("CT", "", "SR"), ("MR",)])
def test_values_that_are_codes_are_known(values):
    assert StudyMatch("1.2", modalities=values).codes_are_known()


@pytest.mark.parametrize("values", [[value] for value in NOT_CODES] + [["MR", "*"], ["MR", "ct/sr"]])
def test_series_decide_where_the_study_returns_no_codes(values):
    # When
    decision, found, archive = run(criteria("CT"), CT, sr("dose", RDSR), modalities=values)
    # Then
    assert archive.series_requested
    assert (decision.type, found) == ("CT", {"dose/1"})


def test_codes_that_are_all_known_save_the_series_level():
    # When
    _, found, archive = run(criteria("CT"), images("mr", "MR"), modalities=["MR"])
    # Then
    assert (found, archive.series_requested) == (set(), False)


@pytest.mark.parametrize("modality", ["sr", " Sr "])
def test_a_lower_case_modality_of_a_series_is_read(modality):
    # Given
    report = sr("dose", RDSR)
    # When
    _, found, _ = run(criteria("CT"), CT, images("dose", modality, 1, RDSR), modalities=["CT", "SR"])
    # Then
    assert found == {report.objects[0].sop_instance_uid}


@pytest.mark.parametrize("blank", [None, "", "  ", "*", "CT/SR", "RDSR", "DOSE"])
@pytest.mark.parametrize("modalities", [["CT", "SR"], ["CT"], None, ["*"], ["CTSR"]])
@pytest.mark.parametrize("report", [RDSR, ENHANCED_RDSR])
def test_a_report_is_found_by_its_class_in_a_series_without_modality(blank, modalities, report):
    # When
    decision, found, _ = run(criteria("CT"), CT, images("dose", blank, 1, report), modalities=modalities)
    # Then
    assert found == {"dose/1"}
    assert decision.type == "CT"


@pytest.mark.parametrize("modality", ["OT", "DOC", "KO", "CT"])
@pytest.mark.parametrize("report", [RDSR, ENHANCED_RDSR])
def test_a_report_is_found_by_its_class_in_a_series_of_another_modality(modality, report):
    # Given
    hidden = images("dose", modality, 1, report)
    # When
    decision, found, archive = run(criteria("CT"), CT, hidden, modalities=["CT", "SR"])
    # Then
    assert found == {"dose/1"}
    assert archive.images_requested == ["dose"]
    assert decision.type == "CT"


def test_a_study_is_missing_whose_report_no_series_shows():
    # Given
    study = StudyMatch("1.2", modalities=("CT", "SR"))
    # When
    decision, _, _ = run(criteria("CT"), CT, images("other", "OT", 1), modalities=["CT", "SR"])
    # Then
    assert (decision.decision, lacks_its_report(study, decision)) == (Decision.DROP, True)


@pytest.mark.parametrize("modalities", [("CT",), ("CT", "OT"), None])
def test_a_study_is_not_missing_that_names_no_report(modalities):
    # Given
    study = StudyMatch("1.2", modalities=modalities)
    # When
    decision, _, archive = run(criteria("CT"), CT, images("other", "OT", 1), modalities=modalities)
    # Then
    assert not lacks_its_report(study, decision)
    assert archive.images_requested == []


def test_key_objects_are_no_report():
    # Given
    key_objects = images("key", "", 1, "1.2.840.10008.5.1.4.1.1.88.59")
    # When
    decision, _, _ = run(criteria("CT"), CT, key_objects, modalities=["CT", "SR"])
    # Then
    assert lacks_its_report(StudyMatch("1.2", modalities=("CT", "SR")), decision)


def test_images_are_distinguished_by_class_where_no_series_has_a_modality():
    # Given
    series = (
        images("pet", None, 3, PET_IMAGE),
        images("nm", None, 2, NM_IMAGE),
        images("dose", None, 1, RRDSR),
    )
    # When
    decision, found, _ = run(criteria("NM"), *series, modalities=None)
    # Then
    assert (decision.type, found) == ("NM", {"pet/1", "dose/1"})


def test_a_study_is_dropped_only_after_its_series_without_modality_were_examined():
    # When
    decision, _, archive = run(criteria("CT"), images("mr", "MR"), images("what", None), modalities=None)
    # Then
    assert archive.images_requested == ["what"]
    assert (decision.decision, decision.reason) == (Decision.DROP, Reason.NOT_REQUESTED_TYPE)


@pytest.mark.parametrize(("option", "kept"), [(True, {"what/1"}), (False, set())])
def test_a_small_series_of_which_nothing_is_known_may_be_the_report_of_its_study(option, kept):
    # Given
    series = CT, images("what", None, 1, None), images("large", None, 9, None)
    # When
    decision, found, _ = run(criteria("CT", empty_sr=option), *series, modalities=["CT", "SR"])
    # Then
    assert found == kept
    if not option:
        assert decision.reason == Reason.UNKNOWN_SR_OPTION_OFF


def test_a_small_series_without_modality_is_no_report_where_the_study_has_none():
    # When
    _, found, _ = run(criteria("CT", empty_sr=True), CT, images("what", None, 1, None), modalities=["CT"])
    # Then
    assert found == set()


def test_a_series_without_modality_and_without_objects_is_not_missing():
    # Given
    archive = Archive((CT, images("what", None, 1, RDSR, silent=True)), modalities=["CT", "SR"])
    # When
    decision = archive.examine(criteria("CT"))
    # Then
    assert decision.reason == Reason.UNKNOWN_SR_OPTION_OFF


# --- series of two modalities, and series that no attribute names

DX_IMAGE = "1.2.840.10008.5.1.4.1.1.1.1"


def mixed(uid: str, modality: str, *classes: str) -> Series:
    """Return a series of images that holds other objects, too."""
    return replace(sr(uid, *classes), modality=modality)


@pytest.mark.parametrize("modality", ["DX\\SR", "SR\\DX", "", "sr\\dx"])
@pytest.mark.parametrize(
    ("classes", "kept"),
    [
        ((DX_IMAGE, RDSR), {"a/2"}),
        ((DX_IMAGE, BASIC), {"a/1", "a/2"}),
        ((DX_IMAGE, DX_IMAGE), {"a/1", "a/2"}),
    ],
)
def test_objects_decide_about_a_series_of_two_modalities(modality, classes, kept):
    # When
    decision, found, _ = run(criteria("DX"), mixed("a", modality, *classes), modalities=["DX"])
    # Then
    assert (decision.type, found) == ("DX", kept)


@pytest.mark.parametrize("modality", ["CT\\CT", "CT\\ ct", "\\CT\\"])
def test_a_modality_that_stands_there_twice_is_one(modality):
    assert SeriesMatch("1", modality).code() == "CT"


@pytest.mark.parametrize(
    ("kind", "code", "kept"),
    [
        ("DX", "DX", {"a/1", "b/1"}),
        ("MG", "MG", {"a/1", "b/1"}),
        ("NM", "PT", {"a/1", "b/1"}),
        ("CT", "CT", {"a/1", "b/1"}),
        ("FL", "XA", set()),
    ],
)
@pytest.mark.parametrize("sop_class", [None, "1.3.46.670589.1"])
def test_series_of_a_study_with_one_modality_are_of_it(kind, code, kept, sop_class):
    # Given neither Modality nor a SOP class of the standard
    series = [images(uid, None, 1, sop_class, description="Dose Info") for uid in "ab"]
    # When
    decision, found, _ = run(criteria(kind), *series, modalities=[code])
    # Then
    assert (decision.type, found) == (kind, kept)
    assert not shows_no_modality(decision, {})


@pytest.mark.parametrize(
    ("series", "modalities", "is_missing"),
    [
        ([images("a", None, 9, None)], ["DX", "PR"], True),
        ([images("a", "UNKNOWN", 9, None), images("b", "OT")], ["DX", "OT"], True),
        ([images("a", None, 9, None), images("b", "DX", silent=True)], ["DX", "OT"], False),
        ([images("a", None, 9, "1.2.840.10008.5.1.4.1.1.66")], ["DX", "RTPLAN"], False),
        ([images("a", "OT", 9, None)], ["DX", "OT"], False),
        ([images("a", None, 9, None, silent=True)], ["DX", "RTPLAN"], True),
        ([images("a", None, 9, None)], ["MR"], False),
    ],
)
def test_a_study_of_which_nothing_shows_its_images_is_missing(series, modalities, is_missing):
    # When
    decision, _, archive = run(criteria("DX"), *series, modalities=modalities)
    # Then
    objects = {entry.uid: () if entry.silent else entry.objects for entry in archive.series}
    assert shows_no_modality(decision, objects) is is_missing


# --- matches that come twice


@pytest.mark.parametrize(
    ("kind", "series", "objects", "kept"),
    [
        ("CT", [SeriesMatch("a", None), SeriesMatch("a", "SR")], [ObjectMatch("x", RDSR)], {"x"}),
        ("CT", [SeriesMatch("a", "SR"), SeriesMatch("a", "CT")], [ObjectMatch("x", RDSR)], {"x"}),
        ("CT", [SeriesMatch("a", "CT", None), SeriesMatch("a", "CT", "Dose Info", None, 1)], [], {"a"}),
        ("CT", [SeriesMatch("a", "CT", "Dose Info"), SeriesMatch("a", "CT", " ", None, 2)], [], {"a"}),
        ("CT", [SeriesMatch("a", "SR")], [ObjectMatch("x", RDSR), ObjectMatch("x", None, 1)], {"x"}),
        ("CT", [SeriesMatch("a", "SR")], [ObjectMatch("x", None), ObjectMatch("x", RDSR, 1)], {"x"}),
        ("DX", [SeriesMatch("a", "DX"), SeriesMatch("a", "SR")], [ObjectMatch("x", DX_IMAGE)], {"x"}),
        (
            "NM",
            [SeriesMatch("a", "PT")],
            [ObjectMatch("x", PET_IMAGE, 2), ObjectMatch("y", PET_IMAGE), ObjectMatch("y", PET_IMAGE, 1)],
            {"y"},
        ),
    ],
)
def test_matches_of_one_series_or_object_complete_each_other(kind, series, objects, kept):
    # Given
    study = StudyMatch("study", ({"NM": "PT"}.get(kind, kind),))
    for entries in (series, series[::-1]):
        # When
        decision = decide(criteria(kind), study, entries, {"a": objects}, KnownObjects())
        # Then
        assert isinstance(decision, StudyDecision)
        (entry,) = decision.series
        found = {item.sop_instance_uid for item in entry.objects if item.decision is Decision.KEEP}
        assert (found or {entry.series_instance_uid}) == kept
        assert entry.decision is Decision.KEEP


# --- enhanced X-ray reports and PET-CT


@pytest.mark.parametrize(
    ("classes", "first"),
    [
        ((CAPTURE, PET_IMAGE, PET_IMAGE), "pt/2"),
        ((CAPTURE, "1.2.840.10008.5.1.4.1.1.130"), "pt/2"),
        ((CAPTURE, CAPTURE), "pt/1"),
        ((None, CAPTURE), "pt/1"),
    ],
)
@pytest.mark.parametrize("papers", [(), (sr("dose", RRDSR),)])
def test_the_first_image_of_a_pet_series_is_one_with_a_dose(classes, first, papers):
    # When
    _, found, _ = run(criteria("NM"), mixed("pt", "PT", *classes), *papers)
    # Then
    assert found - {"dose/1"} == {first}


@pytest.mark.parametrize("kind", ["CT", "FL", "DX", "MG"])
def test_an_enhanced_x_ray_report_is_a_dose_report(kind):
    # Given
    code = {"FL": "XA"}.get(kind, kind)
    # When
    decision, found, _ = run(criteria(kind), images("a", code), sr("dose", ENHANCED_RDSR))
    # Then
    assert (found, decision.reason) == ({"dose/1"}, Reason.RDSR)


PT, NM = images("pt", "PT", 3, PET_IMAGE), images("nm", "NM", 2, NM_IMAGE)


@pytest.mark.parametrize(("study", "first"), [(PT, "pt/1"), (NM, "nm/1")])
@pytest.mark.parametrize("report", [RDSR, ENHANCED_RDSR])
def test_the_x_ray_report_of_a_pet_ct_is_kept_where_ct_is_requested(study, first, report):
    # When
    _, found, _ = run(criteria("CT", "NM"), study, sr("dose", report))
    # Then
    assert found == {first, "dose/1"}


def test_the_x_ray_report_of_a_pet_ct_is_dropped_where_ct_is_not_requested():
    # When
    decision, found, _ = run(criteria("NM"), PT, sr("dose", RDSR))
    # Then
    assert found == {"pt/1"}
    assert reason_of(decision, "dose/1") == Reason.REPORT_OF_OTHER_TYPE


def test_both_reports_of_a_pet_ct_are_kept():
    # When
    _, found, _ = run(criteria("CT", "NM"), PT, sr("dose", RDSR), sr("activity", RRDSR))
    # Then
    assert found == {"pt/1", "dose/1", "activity/1"}
