"""Parsing a request, and what this PACS makes of it."""

from __future__ import annotations

import datetime as dt
from io import BytesIO
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode

from simulator.archive.model import ArchiveMatch, StudyList
from simulator.behaviour import Behaviour
from simulator.content import encode
from simulator.query.responses import ResponseEncoder
from simulator.query.search import RefusedError, admit, find, parse
from tests.support.peers import studies as factories
from tests.support.peers.query_retrieve_scu import identifier_of


def found(
    archive: StudyList, level: str, behaviour: Behaviour | None = None, relational: bool = True, **keys: Any
) -> list[str]:
    behaviour = behaviour or Behaviour()
    query = admit(parse(identifier_of(level, **keys)), behaviour, relational=relational)
    return [] if query is None else [match.uid for match in find(query, archive, behaviour)]


def test_studies_come_in_the_order_of_their_dates():
    # Given
    days = [dt.date(2024, 3, day) for day in (9, 2, 5)]
    studies = [factories.ct_study(date=day) for day in days]

    # When
    uids = found(StudyList(studies), "STUDY", StudyInstanceUID=None)

    # Then
    assert uids == [
        studies[1].study_instance_uid,
        studies[2].study_instance_uid,
        studies[0].study_instance_uid,
    ]


def test_study_without_a_date_is_found_only_without_a_date_range():
    # Given
    undated = factories.ct_study(date=None)
    archive = StudyList([undated])

    # Then
    assert found(archive, "STUDY", StudyInstanceUID=None) == [undated.study_instance_uid]
    assert found(archive, "STUDY", StudyDate="19000101-20991231") == []


@pytest.mark.parametrize(
    ("trait", "number"), [("matched", 1), ("returned", 2), ("absent", 2), ("matched_not_returned", 1)]
)
def test_modalities_in_study_is_matched_or_not(trait, number):
    archive = StudyList([factories.ct_study(), factories.mr_study()])

    assert (
        len(found(archive, "STUDY", Behaviour(modalities_in_study=trait), ModalitiesInStudy="CT")) == number
    )


@pytest.mark.parametrize(
    ("treatment", "number"), [("accepted", 2), ("ignored", 3), ("first_only", 1), ("empty", 0)]
)
def test_uid_lists_are_treated_as_configured(treatment, number):
    # Given
    studies = [factories.sr_only_study() for _ in range(3)]
    uids = tuple(study.study_instance_uid for study in studies[:2])

    # Then
    behaviour = Behaviour(uid_lists_series=treatment, relational="always")
    assert len(found(StudyList(studies), "SERIES", behaviour, StudyInstanceUID=uids)) == number


@pytest.mark.parametrize(
    ("traits", "level", "keys"),
    [
        ({"uid_lists_series": "refused"}, "SERIES", {"StudyInstanceUID": ("1.2", "1.3")}),
        (
            {"uid_lists_image": "refused"},
            "IMAGE",
            {"StudyInstanceUID": "1.2", "SeriesInstanceUID": ("1.2", "1.3")},
        ),
        ({"uid_list_maximum": 2}, "STUDY", {"StudyInstanceUID": ("1.2", "1.3", "1.4")}),
        ({"code_lists": "refused"}, "STUDY", {"ModalitiesInStudy": ("CT", "MG")}),
        ({"study_modality_key": "refused"}, "STUDY", {"Modality": None}),
        ({"refused_keys": {"STUDY.StationName"}}, "STUDY", {"StationName": None}),
        ({"relational": "refused"}, "SERIES", {"StudyDate": "20240305"}),
        ({}, "NOTHING", {}),
    ],
)
def test_request_that_the_pacs_does_not_take_is_refused(traits, level, keys):
    with pytest.raises(RefusedError) as refusal:
        admit(parse(identifier_of(level, **keys)), Behaviour(**traits), relational=True)

    assert refusal.value.status == 0xA900


def test_needed_modality_key_makes_other_queries_empty():
    # Given
    archive = StudyList([factories.ct_study()])
    behaviour = Behaviour(study_modality_key="needed")

    # Then
    assert found(archive, "STUDY", behaviour, StudyInstanceUID=None) == []
    assert len(found(archive, "STUDY", behaviour, StudyInstanceUID=None, Modality=None)) == 1


@pytest.mark.parametrize(
    ("window", "number"), [("20240301-20240307", 1), ("20240301-20240308", 0), ("", 0), ("20240301-", 0)]
)
def test_window_wider_than_the_pacs_takes_is_empty(window, number):
    archive = StudyList([factories.ct_study()])

    assert len(found(archive, "STUDY", Behaviour(widest_window_days=7), StudyDate=window)) == number


def test_relational_query_needs_its_negotiation():
    # Given
    study = factories.ct_study()
    archive = StudyList([study])

    # Then
    assert len(found(archive, "SERIES", relational=True, StudyDate="20240305")) == 2
    assert (
        found(archive, "SERIES", Behaviour(relational="empty"), relational=False, StudyDate="20240305") == []
    )
    with pytest.raises(RefusedError):
        found(archive, "SERIES", relational=False, StudyDate="20240305")


def test_image_level_is_empty_for_the_named_modalities():
    # Given
    study = factories.ct_study()
    images, report = study.series
    keys: dict[str, Any] = {"StudyInstanceUID": study.study_instance_uid}
    behaviour = Behaviour(image_level_empty_for={"SR"})

    # Then
    assert (
        found(StudyList([study]), "IMAGE", behaviour, **keys, SeriesInstanceUID=report.series_instance_uid)
        == []
    )
    assert (
        len(
            found(
                StudyList([study]), "IMAGE", behaviour, **keys, SeriesInstanceUID=images.series_instance_uid
            )
        )
        == 3
    )


def test_hidden_entities_are_counted_and_not_returned():
    # Given
    study = factories.ct_study()
    behaviour = Behaviour(hidden={study.series[1].series_instance_uid})

    # Then
    keys: dict[str, Any] = {"StudyInstanceUID": study.study_instance_uid}
    assert found(StudyList([study]), "SERIES", behaviour, **keys) == [study.series[0].series_instance_uid]
    assert len(study.series) == 2


def test_ignored_key_matches_everything():
    archive = StudyList([factories.ct_study(date=dt.date(2024, 1, 1))])

    assert len(found(archive, "STUDY", Behaviour(not_matched={"StudyDate"}), StudyDate="20200101")) == 1


def test_values_that_may_speak_of_a_patient_are_not_recorded():
    query = parse(identifier_of("STUDY", PatientName="Doe^John", StudyDate="20240305"))

    recorded = query.witnessed(frozenset({"StudyDate"}))

    assert recorded == {"PatientName": ("…",), "StudyDate": ("20240305",)}


@pytest.mark.parametrize("implicit_vr", [True, False])
def test_identifier_is_what_a_data_set_library_would_write(implicit_vr):
    # Given
    study = factories.ct_study(description="Schädel")
    requested = dict.fromkeys(
        [
            "StudyInstanceUID",
            "StudyDate",
            "StudyTime",
            "ModalitiesInStudy",
            "StudyDescription",
            "AccessionNumber",
            "NumberOfStudyRelatedInstances",
            "PatientBirthDate",
        ]
    )
    expected = Dataset()
    expected.SpecificCharacterSet = "ISO_IR 192"
    expected.QueryRetrieveLevel = "STUDY"
    expected.RetrieveAETitle = "PACS"
    expected.StudyInstanceUID = study.study_instance_uid
    expected.StudyDate = "20240305"
    expected.StudyTime = f"{study.time:%H%M%S}"
    expected.ModalitiesInStudy = ["CT", "SR"]
    expected.StudyDescription = "Schädel"
    expected.AccessionNumber = study.accession_number
    expected.NumberOfStudyRelatedInstances = 4
    expected.PatientBirthDate = ""

    # When
    query = parse(identifier_of("STUDY", **requested))
    encoded = ResponseEncoder(query, Behaviour(), "PACS", implicit_vr=implicit_vr).encode(ArchiveMatch(study))

    # Then
    assert encoded == encode(expected, implicit_vr=implicit_vr)


def test_matches_lack_what_is_not_returned():
    # Given
    study = factories.ct_study()
    behaviour = Behaviour(not_returned={"StudyDescription", "SERIES.Modality"}, modalities_in_study="absent")
    query = parse(identifier_of("STUDY", StudyDescription=None, ModalitiesInStudy=None, StudyDate=None))

    # When
    encoded = ResponseEncoder(query, behaviour, "PACS", implicit_vr=True).encode(ArchiveMatch(study))

    # Then
    decoded = decode(BytesIO(encoded), True, True)
    assert [element.keyword for element in decoded] == [
        "SpecificCharacterSet",
        "StudyDate",
        "QueryRetrieveLevel",
        "RetrieveAETitle",
    ]


def test_archive_can_change_while_it_is_queried():
    # Given
    first, second = factories.ct_study(), factories.ct_study()
    archive = StudyList([first])
    going = archive.studies()

    # When
    archive.add(second)
    archive.remove(first.study_instance_uid)

    # Then
    assert list(going) == [first] or list(archive.studies()) == [second]
    assert archive.study(first.study_instance_uid) is None
    assert archive.study_of_series(second.series[0].series_instance_uid) is second
