"""The sentences around the decision table: types, union, attribution, filters and known objects."""

from __future__ import annotations

import pytest

from services.query.rules.decide import decide
from services.query.rules.model import (
    Decision,
    KnownObjects,
    Needs,
    merge_matches,
)
from shared.contract.criteria import parse_criteria
from shared.contract.reasons import Reason
from shared.dicom.query.matches import ObjectMatch, SeriesMatch, StudyMatch
from tests.unit.query.profile.archive import (
    BASIC,
    COMPREHENSIVE,
    ESR,
    NM_IMAGE,
    PATIENT_DOSE,
    RDSR,
    RRDSR,
    Series,
    criteria,
    images,
    reason_of,
    run,
    silent,
    sr,
)

CT, MG, PT = images("ct", "CT", 100), images("mg", "MG", 4), images("pt", "PT", 50)


# --- the type of a study


@pytest.mark.parametrize(
    ("types", "modalities", "expected"),
    [
        (("CT", "NM"), ("CT", "PT"), "CT"),
        (("NM",), ("CT", "PT"), "NM"),
        (("CT", "FL", "DX", "MG"), ("CT", "XA", "CR", "MG"), "MG"),
        (("CT", "FL", "DX"), ("CT", "XA", "CR", "MG"), "DX"),
        (("CT", "FL"), ("CT", "RF"), "FL"),
        (("FL", "CT"), ("CT", "OT"), "CT"),
    ],
)
def test_the_type_is_the_first_requested_one_it_has(types, modalities, expected):
    decision, _, _ = run(criteria(*types), *(images(code, code) for code in modalities))
    assert decision.type == expected


def test_the_type_comes_from_the_series_where_the_study_does_not_have_all():
    # Given: a PACS that echoes only the code that was requested
    decision, _, _ = run(criteria("MG", "CT"), CT, MG, modalities=frozenset({"CT"}))
    assert decision.type == "MG"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("OPT", Reason.NOT_REQUESTED_TYPE),
        ("PTX", Reason.MODALITY_NOT_RETURNED),
        ("P", Reason.MODALITY_NOT_RETURNED),
    ],
)
@pytest.mark.parametrize("modalities", ["right", None])
def test_codes_are_compared_whole(code, reason, modalities):
    # When
    decision, found, _ = run(criteria("NM"), images("a", code), modalities=modalities)
    # Then
    assert found == set()
    assert (decision.type, decision.reason) == (None, reason)


def test_padding_is_no_part_of_a_code():
    _, found, _ = run(criteria("MG"), images("a", " MG ", 1), modalities=frozenset({"MG "}))
    assert found == {"a/1"}


def test_a_study_of_other_types_is_dropped_without_a_request_for_its_series():
    # When
    decision, _, archive = run(criteria("CT"), images("a", "US"), sr("dose", RDSR))
    # Then
    assert decision.reason == Reason.NOT_REQUESTED_TYPE
    assert not archive.series_requested
    assert decision.series == ()


def test_a_study_of_other_types_without_modalities_is_dropped_by_its_series():
    # When
    decision, _, archive = run(criteria("CT"), images("a", "US"), sr("dose", RDSR), modalities=None)
    # Then
    assert decision.reason == Reason.NOT_REQUESTED_TYPE
    assert archive.images_requested == []
    assert [entry.reason for entry in decision.series] == [Reason.NOT_REQUESTED_TYPE] * 2


def test_a_study_without_any_modality_is_dropped_for_that_reason():
    decision, _, _ = run(criteria("CT"), images("a", None), modalities=None)
    assert decision.reason == Reason.MODALITY_NOT_RETURNED


# --- the union over all requested types


def test_a_pet_ct_keeps_its_ct_report_and_its_pet_header():
    # When
    decision, found, _ = run(criteria("CT", "NM"), CT, PT, sr("dose", RDSR))
    # Then
    assert found == {"dose/1", "pt/1"}
    assert (decision.type, decision.reason) == ("CT", Reason.RDSR)


def test_a_pet_ct_requested_as_nm_leaves_the_ct_report():
    # When
    decision, found, _ = run(criteria("NM"), CT, PT, sr("dose", RDSR))
    # Then
    assert found == {"pt/1"}
    assert reason_of(decision, "dose/1") == Reason.REPORT_OF_OTHER_TYPE
    assert reason_of(decision, "ct") == Reason.NOT_REQUESTED_TYPE


def test_a_pet_ct_requested_as_ct_leaves_rrdsr_and_pet():
    # When
    decision, found, _ = run(criteria("CT"), CT, PT, sr("dose", RDSR), sr("activity", RRDSR))
    # Then
    assert found == {"dose/1"}
    assert reason_of(decision, "activity/1") == Reason.REPORT_OF_OTHER_TYPE
    assert reason_of(decision, "pt") == Reason.NOT_REQUESTED_TYPE


def test_both_reports_of_a_pet_ct_are_kept_with_the_pet_header():
    _, found, _ = run(criteria("CT", "NM"), CT, PT, sr("dose", RDSR), sr("activity", RRDSR))
    assert found == {"dose/1", "activity/1", "pt/1"}


def test_a_pet_ct_without_report_keeps_dose_info_and_pet_header():
    info = images("info", "CT", 1, description="Dose Info")
    _, found, _ = run(criteria("CT", "NM"), CT, info, PT)
    assert found == {"info/1", "pt/1"}


# --- reports


@pytest.mark.parametrize("report", [RDSR, ESR])
@pytest.mark.parametrize("modality", ["CT", "XA"])
def test_an_identified_report_outranks_an_unknown_series(report, modality):
    # When
    decision, found, _ = run(
        criteria("CT", "FL", empty_sr=True), images("a", modality, 9), sr("dose", report), silent("mute")
    )
    # Then
    assert found == {"dose/1"}
    assert reason_of(decision, "mute") == Reason.SUPERSEDED_BY_REPORT


def test_an_unknown_series_does_not_cost_the_pet_header_beside_an_identified_report():
    _, found, _ = run(criteria("CT", "NM", empty_sr=True), CT, PT, sr("dose", RDSR), silent("mute"))
    assert found == {"dose/1", "pt/1"}


def test_an_unknown_series_may_be_the_ct_report_beside_an_rrdsr():
    _, found, _ = run(criteria("CT", "NM", empty_sr=True), CT, PT, sr("activity", RRDSR), silent("mute"))
    assert found == {"activity/1", "pt/1", "mute/1"}


@pytest.mark.parametrize("sop_class", [BASIC, COMPREHENSIVE, PATIENT_DOSE, "1.2.840.10008.5.1.4.1.1.88.50"])
def test_text_reports_are_never_kept(sop_class):
    # When
    decision, found, _ = run(
        parse_criteria({"types": ["MG", "CT", "FL", "NM", "DX"], "include_sr_only": True, "empty_sr": True}),
        CT,
        sr("text", sop_class),
    )
    # Then
    assert found == set()
    assert reason_of(decision, "text/1") in {Reason.TEXT_REPORT, Reason.PATIENT_DOSE_REPORT}


def test_a_report_beside_text_in_one_series_is_kept_alone():
    # When
    decision, found, _ = run(criteria("CT"), CT, sr("mixed", BASIC, RDSR))
    # Then
    assert found == {"mixed/2"}
    assert not decision.series[1].whole
    assert decision.series[1].instance_count == 1


def test_objects_whose_class_is_not_returned_are_unknown():
    # Given
    series = (CT, sr("blind", None, " "))
    # When
    off, nothing, _ = run(criteria("CT"), *series)
    on, found, _ = run(criteria("CT", empty_sr=True), *series)
    # Then
    assert (off.reason, nothing) == (Reason.UNKNOWN_SR_OPTION_OFF, set())
    assert (on.reason, found) == (Reason.UNKNOWN_SR, {"blind/1", "blind/2"})
    assert reason_of(off, "blind/1") == Reason.UNKNOWN_SR_OPTION_OFF


def test_an_enhanced_report_is_no_dose_report_of_mammography():
    decision, _, _ = run(criteria("MG"), MG, sr("esr", ESR))
    assert reason_of(decision, "esr/1") == Reason.ESR_NOT_ENOUGH


def test_images_beside_their_report_are_left():
    decision, _, archive = run(criteria("MG"), MG, sr("dose", RDSR))
    assert reason_of(decision, "mg") == Reason.SUPERSEDED_BY_REPORT
    assert archive.images_requested == ["dose"]


# --- a report that cannot be attributed


@pytest.mark.parametrize("types", [("MG",), ("MG", "CT"), ("MG", "DX")])
@pytest.mark.parametrize("other", ["CT", "XA", "RF", "DX", "CR", "PX"])
def test_mammograms_are_kept_beside_a_report_that_may_be_anothers(types, other):
    # When
    decision, found, _ = run(criteria(*types), MG, images("other", other, 9), sr("dose", RDSR))
    # Then
    assert found >= {"dose/1", "mg/1", "mg/2", "mg/3", "mg/4"}
    assert reason_of(decision, "mg") == Reason.IMAGES_BESIDE_REPORT
    assert ("other/1" in found) == ("DX" in types and other in {"DX", "CR", "PX"})


@pytest.mark.parametrize("other", ["PT", "NM", "US", "MR", "OT", "PR"])
def test_mammograms_are_left_where_the_report_can_only_be_theirs(other):
    _, found, _ = run(criteria("MG", "NM"), MG, images("other", other, 2, None), sr("dose", RDSR))
    assert "dose/1" in found
    assert "mg/1" not in found


def test_two_codes_of_one_type_are_one_type():
    _, found, _ = run(criteria("DX"), images("a", "DX", 1), images("b", "CR", 1), sr("dose", RDSR))
    assert found == {"dose/1"}


def test_ct_and_fluoroscopy_together_keep_the_report_only():
    _, found, _ = run(criteria("CT", "FL"), CT, images("xa", "XA", 9), sr("dose", RDSR))
    assert found == {"dose/1"}


def test_an_unknown_series_cannot_be_attributed_either():
    _, found, _ = run(criteria("MG", "CT", empty_sr=True), images("mg", "MG", 1), CT, silent("mute"))
    assert found == {"mg/1", "mute/1"}


# --- SR only


@pytest.mark.parametrize("company", ["CT", "US", "PR", "KO", "OT"])
@pytest.mark.parametrize("modalities", ["right", None, frozenset({"SR"})])
def test_a_study_with_any_other_modality_is_not_sr_only(company, modalities):
    # When
    decision, found, archive = run(
        criteria("SR"), sr("dose", RDSR), images("a", company, 1), modalities=modalities
    )
    # Then
    assert found == set()
    assert (decision.type, decision.reason) == (None, Reason.NOT_SR_ONLY)
    assert archive.images_requested == []


def test_sr_only_studies_are_left_out_unless_requested():
    decision, found, _ = run(criteria("CT"), sr("dose", RDSR))
    assert (decision.reason, found) == (Reason.NOT_REQUESTED_TYPE, set())


def test_sr_only_studies_come_beside_other_types():
    wanted = criteria("CT", "SR")
    assert run(wanted, sr("dose", RDSR))[0].type == "SR"
    assert run(wanted, sr("dose", RDSR), CT)[0].type == "CT"


# --- filters


@pytest.mark.parametrize(
    ("options", "description", "reason", "note"),
    [
        ({"exclude_descriptions": "neuro, ABDO,"}, "CT Abdomen", Reason.EXCLUDED_DESCRIPTION, None),
        ({"exclude_descriptions": "neuro,"}, "CT Abdomen", None, None),
        ({"keep_descriptions": "abdomen"}, "CT ABDOMEN", None, None),
        ({"keep_descriptions": "neuro, thorax"}, "CT Abdomen", Reason.NOT_IN_KEEP_DESCRIPTION, None),
        (
            {"keep_descriptions": "abdomen", "exclude_descriptions": "ct"},
            "CT Abdomen",
            Reason.EXCLUDED_DESCRIPTION,
            None,
        ),
        ({"keep_descriptions": "neuro"}, None, None, Reason.DESCRIPTION_NOT_RETURNED),
        ({"exclude_descriptions": "neuro"}, "  ", None, Reason.DESCRIPTION_NOT_RETURNED),
        ({}, None, None, None),
    ],
)
def test_studies_are_filtered_by_description(options, description, reason, note):
    # When
    decision, found, archive = run(criteria("MG", **options), MG, description=description)
    # Then
    assert bool(found) == (reason is None)
    assert decision.reason == (reason or Reason.IMAGES_NO_REPORT)
    assert decision.note == note
    assert archive.series_requested == (reason is None)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"exclude_stations": "rm1"}, Reason.EXCLUDED_STATION),
        ({"keep_stations": "rm2"}, Reason.NOT_IN_KEEP_STATION),
        ({"keep_stations": "rm1", "exclude_stations": "RM1"}, Reason.EXCLUDED_STATION),
        ({"keep_stations": "Rm1"}, None),
    ],
)
def test_stations_are_filtered_at_study_level_by_the_option(options, reason):
    # When
    wanted = criteria("MG", station_at_study_level=True, **options)
    decision, found, archive = run(wanted, images("mg", "MG", 1, station="elsewhere"), station="CT_RM1")
    # Then
    assert decision.reason == (reason or Reason.IMAGES_NO_REPORT)
    assert found == (set() if reason else {"mg/1"})
    assert archive.series_requested == (reason is None)


def test_a_station_that_is_not_returned_at_study_level_is_kept_with_a_note():
    wanted = criteria("MG", station_at_study_level=True, keep_stations="x", keep_descriptions="y")
    decision, found, _ = run(wanted, images("mg", "MG", 1), station=None, description=None)
    assert found == {"mg/1"}
    assert decision.note == Reason.DESCRIPTION_AND_STATION_NOT_RETURNED


def test_a_report_of_an_excluded_station_does_not_count():
    # When
    decision, found, archive = run(
        criteria("MG", exclude_stations="old"),
        images("mg", "MG", 1, station="new"),
        sr("dose", RDSR, station="OLD room"),
    )
    # Then
    assert found == {"mg/1"}
    assert decision.reason == Reason.IMAGES_NO_REPORT
    assert reason_of(decision, "dose") == Reason.EXCLUDED_STATION
    assert archive.images_requested == []


def test_a_series_that_returns_no_station_is_kept_with_a_note():
    # When
    decision, found, _ = run(
        criteria("CT", keep_stations="rm1"),
        images("ct", "CT", 9, station="rm1"),
        sr("dose", RDSR, station=None),
        images("ct2", "CT", 9, station="rm2"),
    )
    # Then
    notes = {entry.series_instance_uid: entry.note for entry in decision.series}
    assert found == {"dose/1"}
    assert notes["dose"] == Reason.STATION_NOT_RETURNED
    assert reason_of(decision, "ct2") == Reason.NOT_IN_KEEP_STATION


def test_pet_of_another_station_does_not_count():
    _, found, _ = run(
        criteria("NM", keep_stations="a"),
        images("pt", "PT", 2, station="b"),
        images("nm", "NM", 2, NM_IMAGE, station="a"),
    )
    assert found == {"nm/1"}


def test_a_study_all_of_another_station_is_dropped_for_that_reason():
    decision, _, _ = run(
        criteria("CT", exclude_stations="a"), images("ct", "CT", station="a"), images("pr", "PR", station="b")
    )
    assert decision.reason == Reason.EXCLUDED_STATION


def test_the_type_does_not_depend_on_the_station_filter():
    # Given: the same study from a PACS that returns ModalitiesInStudy and from one that does not
    series = (images("mg", "MG", station="a"), images("ct", "CT", station="b"), sr("dose", RDSR, station="b"))
    wanted = criteria("MG", "CT", exclude_stations="a")
    # When
    first, kept, _ = run(wanted, *series)
    second, kept_too, _ = run(wanted, *series, modalities=None)
    # Then
    assert first == second
    assert kept == kept_too == {"dose/1"}


# --- the first image


@pytest.mark.parametrize(
    ("numbers", "first"),
    [
        ([3, 2, 7], "b"),
        ([5, 5, 5], "a"),
        ([None, 9, None], "b"),
        ([None, None, None], "a"),
        ([0, -1, 1], "b"),
    ],
)
def test_the_first_image_is_the_lowest_number_present_then_the_first_uid(numbers, first):
    # Given
    objects = tuple(ObjectMatch(uid, None, number) for uid, number in zip("abc", numbers, strict=True))
    # When
    decision, found, _ = run(criteria("NM"), Series("pt", "PT", objects))
    # Then
    assert found == {first}
    dropped = {item.reason for item in decision.series[0].objects if item.decision is Decision.DROP}
    assert dropped == {Reason.NOT_THE_FIRST_IMAGE}


def test_a_pet_series_that_names_no_object_has_no_first_image():
    decision, found, _ = run(
        criteria("NM"), images("pt", "PT", silent=True, counted=False), images("pt2", "PT")
    )
    assert found == {"pt2/1"}
    assert reason_of(decision, "pt") == Reason.EMPTY_AT_IMAGE_LEVEL


# --- what the database has already


def test_a_known_report_is_dropped_and_its_study_with_it():
    # When
    decision, found, _ = run(criteria("MG"), MG, sr("dose", RDSR), known=["dose/1"])
    # Then
    assert found == set()
    assert (decision.type, decision.reason) == ("MG", Reason.KNOWN)
    assert reason_of(decision, "dose") == Reason.KNOWN
    assert reason_of(decision, "mg") == Reason.SUPERSEDED_BY_REPORT


def test_a_second_report_of_a_known_study_is_new():
    # When
    decision, found, _ = run(criteria("CT"), CT, sr("dose", RDSR, RDSR), known=["dose/1", "ct/1"])
    # Then
    assert found == {"dose/2"}
    assert reason_of(decision, "dose/1") == Reason.KNOWN


def test_images_are_compared_one_by_one():
    # When
    decision, found, archive = run(criteria("MG"), MG, images("mg2", "MG", 2), known=["mg/1", "mg/3"])
    # Then
    assert found == {"mg/2", "mg/4", "mg2/1", "mg2/2"}
    assert archive.images_requested == ["mg"]
    assert [entry.whole for entry in decision.series] == [False, True]


def test_a_known_first_image_is_not_replaced_by_the_second():
    decision, found, _ = run(criteria("NM"), PT, known=["pt/1"])
    assert (decision.reason, found) == (Reason.KNOWN, set())


def test_known_objects_are_kept_where_the_option_is_off():
    decision, found, archive = run(criteria("MG", ignore_known=False), MG, known=["mg/1"])
    assert len(found) == 4
    assert archive.images_requested == []
    assert decision.series[0].instance_count == 4


def test_what_has_no_match_cannot_be_known():
    # When
    decision, found, _ = run(criteria("CT", empty_sr=True), CT, silent("mute"), known=["mute/1"])
    # Then
    assert found == {"mute/1"}
    assert decision.series[1].note == Reason.KNOWN_NOT_COMPARABLE


def test_nothing_is_requested_at_image_level_of_a_study_without_sr_of_which_nothing_is_known():
    _, found, archive = run(criteria("MG", "DX"), MG, images("pr", "PR", 1))
    assert len(found) == 4
    assert archive.images_requested == []


# --- what else


def test_nothing_is_counted_where_the_count_is_returned():
    _, _, archive = run(
        criteria("CT"),
        images("a", "CT", 9, description=None),
        images("b", "CT", 2, description=None, counted=False),
    )
    assert archive.images_requested == ["b"]


@pytest.mark.parametrize("count", [0, -1])
def test_a_count_below_one_is_no_count(count):
    study, series = StudyMatch("study"), [SeriesMatch("a", "CT", instance_count=count)]
    assert decide(criteria("CT"), study, series, {}, KnownObjects()) == Needs(images=frozenset({"a"}))


def test_a_series_that_is_returned_twice_is_one():
    # Given
    study, series = StudyMatch("study"), [SeriesMatch("a", "MG", instance_count=2)] * 2
    # When
    decision = decide(criteria("MG"), study, series, {}, KnownObjects())
    # Then
    assert not isinstance(decision, Needs)
    assert [entry.series_instance_uid for entry in decision.series] == ["a"]


def test_a_series_without_modality_is_dropped_for_that():
    decision, _, _ = run(criteria("MG"), MG, images("what", None))
    assert reason_of(decision, "what") == Reason.MODALITY_NOT_RETURNED


def test_matches_of_two_slices_are_united():
    # Given
    first = StudyMatch("study", ("CT",), None, "", 2, None)
    second = StudyMatch("study", ("PT",), "text", None, 3, 10)
    # When / Then
    merged = StudyMatch("study", ("CT", "PT"), "text", None, 3, 10)
    assert merge_matches(first, second) == merged == merge_matches(second, first)
