"""Each cell of the decision table, one parameter row each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.query.rules.decide import TABLE
from services.query.rules.model import Decision
from shared.contract.criteria import CODES, TYPE_ORDER
from shared.contract.reasons import Reason
from tests.unit.query.profile.archive import (
    BASIC,
    CAPTURE,
    COMPREHENSIVE,
    ESR,
    NM_IMAGE,
    PATIENT_DOSE,
    RDSR,
    RRDSR,
    criteria,
    images,
    reason_of,
    run,
    silent,
    sr,
)

#: The image series of a study of each type, with company that carries no dose.
PR, KO, OT = images("pr", "PR", 1), images("ko", "KO", 1), images("ot", "OT", 1)
MG = (images("mg", "MG", 4), PR, KO, OT)
DX = (images("dx", "DX", 1), images("cr", "CR", 1), images("px", "PX", 1), PR, KO, OT)
FL = (images("xa", "XA", 4), images("rf", "RF", 1), PR)
CT = (images("ct", "CT", 200), images("topo", "CT", 2), PR)
PET = (images("pt", "PT", 50), images("pt2", "PT", 60), images("nm", "NM", 1, NM_IMAGE), OT)
NM = (images("nm", "NM", 2, NM_IMAGE), images("nm2", "NM", 1, NM_IMAGE), images("sc", "NM", 1, CAPTURE), OT)

MG_IMAGES = {"mg/1", "mg/2", "mg/3", "mg/4"}
DX_IMAGES = {"dx/1", "cr/1", "px/1"}
PET_FIRST = {"pt/1", "pt2/1"}
NM_FIRST = {"nm/1", "nm2/1"}

#: Three series: a dose report between others, an ESR with a text report, and one that answers nothing.
#: Enhanced X-Ray Radiation Dose SR.
ENHANCED_RDSR = "1.2.840.10008.5.1.4.1.1.88.76"

WITH_RDSR = (sr("dose", BASIC, RDSR, RDSR), sr("esr", ESR, COMPREHENSIVE), silent("mute"))
WITH_RRDSR = (sr("dose", RRDSR, BASIC), sr("esr", ESR), silent("mute"))
ONLY_ESR = (sr("esr", ESR, COMPREHENSIVE), sr("text", BASIC), sr("patient", PATIENT_DOSE))
ONLY_UNKNOWN = (silent("mute"), silent("mute2"), sr("text", BASIC))
ONLY_TEXT = (sr("text", BASIC, COMPREHENSIVE), sr("patient", PATIENT_DOSE))
UNKNOWN = {"mute/1", "mute2/1"}
REPORTS = {"dose/2", "dose/3"}
NONE: set[str] = set()

CELLS = [
    # type, images, reports, option on, kept, main reason
    ("MG", MG, WITH_RDSR, True, REPORTS, Reason.RDSR),
    ("MG", MG, ONLY_ESR, True, MG_IMAGES, Reason.IMAGES_NO_REPORT),
    ("MG", MG, ONLY_UNKNOWN, True, UNKNOWN, Reason.UNKNOWN_SR),
    ("MG", MG, ONLY_UNKNOWN, False, MG_IMAGES, Reason.IMAGES_NO_REPORT),
    ("MG", MG, ONLY_TEXT, True, MG_IMAGES, Reason.IMAGES_NO_REPORT),
    ("MG", MG, (), True, MG_IMAGES, Reason.IMAGES_NO_REPORT),
    ("DX", DX, WITH_RDSR, True, REPORTS, Reason.RDSR),
    ("DX", DX, ONLY_ESR, True, DX_IMAGES, Reason.IMAGES_NO_REPORT),
    ("DX", DX, ONLY_UNKNOWN, True, UNKNOWN, Reason.UNKNOWN_SR),
    ("DX", DX, ONLY_UNKNOWN, False, DX_IMAGES, Reason.IMAGES_NO_REPORT),
    ("DX", DX, ONLY_TEXT, True, DX_IMAGES, Reason.IMAGES_NO_REPORT),
    ("FL", FL, WITH_RDSR, True, REPORTS, Reason.RDSR),
    ("FL", FL, ONLY_ESR, True, {"esr/1"}, Reason.ESR),
    ("FL", FL, ONLY_UNKNOWN, True, UNKNOWN, Reason.UNKNOWN_SR),
    ("FL", FL, ONLY_UNKNOWN, False, NONE, Reason.UNKNOWN_SR_OPTION_OFF),
    ("FL", FL, ONLY_TEXT, True, NONE, Reason.NO_DOSE_OBJECT),
    ("FL", FL, (), True, NONE, Reason.NO_DOSE_OBJECT),
    ("CT", CT, WITH_RDSR, True, REPORTS, Reason.RDSR),
    ("CT", CT, ONLY_ESR, True, {"esr/1"}, Reason.ESR),
    ("CT", CT, ONLY_UNKNOWN, True, UNKNOWN, Reason.UNKNOWN_SR),
    ("CT", CT, ONLY_UNKNOWN, False, NONE, Reason.UNKNOWN_SR_OPTION_OFF),
    ("CT", CT, ONLY_TEXT, True, NONE, Reason.NO_DOSE_OBJECT),
    ("NM", PET, WITH_RRDSR, True, {"dose/1"} | PET_FIRST, Reason.RRDSR),
    ("NM", NM, WITH_RRDSR, True, {"dose/1"}, Reason.RRDSR),
    ("NM", PET, WITH_RDSR, True, PET_FIRST, Reason.FIRST_IMAGE_PET),
    ("NM", NM, WITH_RDSR, True, NM_FIRST, Reason.FIRST_IMAGE_NM),
    ("NM", PET, ONLY_ESR, True, PET_FIRST, Reason.FIRST_IMAGE_PET),
    ("NM", NM, ONLY_ESR, True, NM_FIRST, Reason.FIRST_IMAGE_NM),
    ("NM", PET, ONLY_UNKNOWN, True, UNKNOWN | PET_FIRST, Reason.UNKNOWN_SR),
    ("NM", PET, ONLY_UNKNOWN, False, PET_FIRST, Reason.FIRST_IMAGE_PET),
    ("NM", NM, ONLY_UNKNOWN, False, NM_FIRST, Reason.FIRST_IMAGE_NM),
    ("NM", PET, ONLY_TEXT, True, PET_FIRST, Reason.FIRST_IMAGE_PET),
    ("NM", NM, (), True, NM_FIRST, Reason.FIRST_IMAGE_NM),
    ("SR", (), WITH_RDSR, True, REPORTS, Reason.RDSR),
    ("FL", FL, (sr("dose", ENHANCED_RDSR),), True, {"dose/1"}, Reason.RDSR),
    ("CT", CT, (sr("dose", ENHANCED_RDSR),), True, {"dose/1"}, Reason.RDSR),
    ("SR", (), WITH_RRDSR, True, {"dose/1"}, Reason.RRDSR),
    ("SR", (), (sr("a", RDSR), sr("b", RRDSR), sr("c", ESR)), True, {"a/1", "b/1"}, Reason.RDSR),
    ("SR", (), ONLY_ESR, True, {"esr/1"}, Reason.ESR),
    ("SR", (), ONLY_UNKNOWN, True, UNKNOWN, Reason.UNKNOWN_SR),
    ("SR", (), ONLY_UNKNOWN, False, NONE, Reason.UNKNOWN_SR_OPTION_OFF),
    ("SR", (), ONLY_TEXT, True, NONE, Reason.NO_DOSE_OBJECT),
]


def test_the_table_has_a_row_for_each_type():
    assert set(TABLE) == set(CODES) == set(TYPE_ORDER) == {cell[0] for cell in CELLS}


@pytest.mark.parametrize("modalities", ["right", None, frozenset({" "})], ids=["returned", "absent", "blank"])
@pytest.mark.parametrize(("name", "pictures", "papers", "option", "kept", "reason"), CELLS)
def test_a_cell_keeps_what_stands_in_the_table(name, pictures, papers, option, kept, reason, modalities):
    # Given
    wanted = criteria(name, empty_sr=option)
    # When
    decision, found, archive = run(wanted, *pictures, *papers, modalities=modalities)
    # Then
    assert found == kept
    assert (decision.type, decision.reason) == (name, reason)
    assert decision.decision is (Decision.KEEP if kept else Decision.DROP)
    assert {entry.series_instance_uid for entry in decision.series} == {entry.uid for entry in archive.series}


CT_ROW = [
    # series, toshiba, kept, reason
    (
        [images("a", "CT", 90), images("b", "CT", 1, description="Dose Info")],
        False,
        {"b/1"},
        "philips_dose_info",
    ),
    ([images("b", "CT", 2, description="  DOSE INFO ")], False, {"b/1", "b/2"}, "philips_dose_info"),
    ([images("b", "CT", 1, description="Dose Info")], True, {"b/1"}, "philips_dose_info"),
    ([images("b", "CT", 1, description="Dose Info 2")], False, set(), "no_dose_object"),
    ([images("b", "OT", 1, description="Dose Info"), images("a", "CT", 9)], False, set(), "no_dose_object"),
    # Toshiba: the first image of each series and the secondary captures whole
    (
        [
            images("a", "CT", 90),
            images("b", "CT", 40),
            images("c", "CT", 2, CAPTURE),
            images("d", "OT", 1, CAPTURE),
        ],
        True,
        {"a/1", "b/1", "c/1", "c/2"},
        "toshiba_secondary_capture",
    ),
    ([images("a", "CT", 90, None)], True, {"a/1"}, "toshiba_first_image"),
    ([images("c", "CT", 2, f"{CAPTURE}.4")], True, {"c/1", "c/2"}, "toshiba_secondary_capture"),
    (
        [images("a", "CT", 3, description=None), images("b", "CT", 9, description=None)],
        True,
        {"a/1", "b/1"},
        None,
    ),
    # no description anywhere: series of at most five objects
    (
        [images("a", "CT", 6, description=None), images("b", "CT", 5, description=" ")],
        False,
        {"b/1", "b/2", "b/3", "b/4", "b/5"},
        "philips_maybe_dose_info",
    ),
    (
        [
            images("a", "CT", 6, description=None, counted=False),
            images("b", "CT", 1, description="", counted=False),
        ],
        False,
        {"b/1"},
        "philips_maybe_dose_info",
    ),
    ([images("a", "CT", 1, description=None), images("b", "CT", 90)], False, set(), "no_dose_object"),
    ([images("a", "CT", 1, description=None), images("o", "OT", 1)], False, set(), "no_dose_object"),
    (
        [images("a", "CT", 6, description=None), images("o", "OT", 1, description=None)],
        False,
        set(),
        "no_dose_object",
    ),
    ([images("a", "CT", 2, description=None, counted=False, silent=True)], False, set(), "no_dose_object"),
]


@pytest.mark.parametrize(("pictures", "toshiba", "kept", "reason"), CT_ROW)
def test_ct_without_report_keeps_what_may_show_the_dose(pictures, toshiba, kept, reason):
    # When
    decision, found, _ = run(criteria("CT", toshiba=toshiba), *pictures)
    # Then
    assert found == kept
    assert reason in {None, decision.reason}


def test_a_toshiba_series_of_both_keeps_captures_and_first_image():
    # Given
    mixed = images("mixed", "CT", 4, CAPTURE)
    objects = list(mixed.objects)
    objects[1:3] = images("mixed", "CT", 3, "1.9").objects[1:3]
    # When
    _, found, _ = run(criteria("CT", toshiba=True), replace(mixed, objects=tuple(objects)))
    # Then
    assert found == {"mixed/1", "mixed/2", "mixed/4"}


def test_the_toshiba_option_changes_nothing_beside_a_report():
    _, found, archive = run(criteria("CT", toshiba=True), *CT, sr("dose", RDSR))
    assert found == {"dose/1"}
    assert archive.images_requested == ["dose"]


def test_secondary_captures_among_nm_series_are_no_images():
    decision, _, _ = run(criteria("NM"), *NM)
    assert reason_of(decision, "sc") == Reason.NOT_AN_IMAGE_CLASS


def test_an_nm_class_that_is_not_returned_is_kept_with_a_note():
    # When
    decision, found, _ = run(criteria("NM"), images("nm", "NM", 2, None))
    # Then
    assert found == {"nm/1"}
    assert decision.series[0].note == Reason.SOP_CLASS_NOT_RETURNED


def test_nm_series_beside_pet_are_left():
    decision, _, _ = run(criteria("NM"), *PET)
    assert reason_of(decision, "nm") == Reason.SUPERSEDED_BY_PET
