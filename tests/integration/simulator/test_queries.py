"""C-ECHO and C-FIND of the scripted PACS: what it returns, and how each fault shows to a peer."""

from __future__ import annotations

import datetime as dt
import json
import threading

import pytest

from simulator.archive.model import Study
from simulator.generator.generated_archive import generate
from tests.support.peers import studies as factories
from tests.support.peers.query_retrieve_scu import FIND, Scu, identifier_of

STUDY_KEYS = dict.fromkeys(["StudyInstanceUID", "StudyDate", "ModalitiesInStudy", "StudyDescription"])


def studies(number: int = 5) -> list[Study]:
    return [factories.ct_study() for _ in range(number)]


def test_echo_gets_success(scripted_pacs):
    # Given
    pacs = scripted_pacs()

    # When
    with Scu(pacs, ae_title="HELLO") as scu:
        status = scu.assoc.send_c_echo()

    # Then
    assert status.Status == 0
    assert [
        (request.operation, request.calling_ae_title, request.status) for request in pacs.witness.requests
    ] == [("echo", "HELLO", 0)]


def test_find_goes_down_all_levels(scripted_pacs):
    # Given
    wanted = factories.ct_study(description="Schädel-CT")
    pacs = scripted_pacs([wanted, factories.mr_study()])

    # When
    with Scu(pacs) as scu:
        [found], _status = scu.find(
            "STUDY", **{**STUDY_KEYS, "ModalitiesInStudy": "CT"}, NumberOfStudyRelatedSeries=None
        )
        uid = found.StudyInstanceUID
        series, _status = scu.find("SERIES", StudyInstanceUID=uid, SeriesInstanceUID=None, Modality="SR")
        image, status = scu.find(
            "IMAGE",
            StudyInstanceUID=uid,
            SeriesInstanceUID=series[0].SeriesInstanceUID,
            SOPInstanceUID=None,
            SOPClassUID=None,
            InstanceNumber=None,
        )

    # Then
    assert (found.StudyInstanceUID, found.StudyDescription) == (wanted.study_instance_uid, "Schädel-CT")
    assert (list(found.ModalitiesInStudy), found.NumberOfStudyRelatedSeries) == (["CT", "SR"], 2)
    assert [match.SOPInstanceUID for match in image] == [wanted.series[1].instances[0].sop_instance_uid]
    assert (image[0].SOPClassUID, image[0].InstanceNumber, status) == ("1.2.840.10008.5.1.4.1.1.88.67", 1, 0)


def test_thousands_of_matches_arrive_complete(scripted_pacs):
    # Given
    archive = generate(3000, 5, dt.date(2024, 1, 1), dt.date(2024, 3, 31))
    pacs = scripted_pacs(archive)

    # When
    with Scu(pacs) as scu:
        found, status = scu.find("STUDY", **STUDY_KEYS)

    # Then
    assert status == 0
    assert {match.StudyInstanceUID for match in found} == {
        study.study_instance_uid for study in archive.studies()
    }


def test_relational_query_is_negotiated(scripted_pacs):
    # Given
    pacs = scripted_pacs(studies(3), relational="negotiated")

    # When
    with Scu(pacs, relational=True) as scu:
        with_it = scu.find("SERIES", StudyDate="20240305", SeriesInstanceUID=None)
    with Scu(pacs) as scu:
        without = scu.find("SERIES", StudyDate="20240305", SeriesInstanceUID=None)

    # Then
    assert (len(with_it[0]), with_it[1]) == (6, 0)
    assert without == ([], 0xA900)


@pytest.mark.parametrize(
    ("effect", "matches", "status"),
    [("silent", 3, 0x0000), ("refuse_after", 3, 0xA700), ("refuse_at_once", 0, 0xA700), ("warn", 3, 0xB001)],
)
def test_cap_ends_the_matches(scripted_pacs, effect, matches, status):
    pacs = scripted_pacs(studies(5), cap=3, cap_effect=effect)

    with Scu(pacs) as scu:
        found, final = scu.find("STUDY", **STUDY_KEYS)

    assert (len(found), final) == (matches, status)


def test_as_many_studies_as_the_cap_are_no_excess(scripted_pacs):
    pacs = scripted_pacs(studies(3), cap=3, cap_effect="refuse_after")

    with Scu(pacs) as scu:
        found, final = scu.find("STUDY", **STUDY_KEYS)

    assert (len(found), final) == (3, 0)


def test_every_nth_study_is_returned_twice(scripted_pacs):
    pacs = scripted_pacs(studies(4), duplicate_every=2)

    with Scu(pacs) as scu:
        found, _final = scu.find("STUDY", **STUDY_KEYS)

    assert (len(found), len({match.StudyInstanceUID for match in found})) == (6, 4)


@pytest.mark.parametrize("kind", ["abort", "close", "garbage"])
def test_association_ends_in_the_middle_of_the_matches(scripted_pacs, kind):
    # Given
    pacs = scripted_pacs(studies(5))
    pacs.add_fault(operation="find", kind=kind, after_responses=2)

    # When
    with Scu(pacs, timeout_s=1) as scu:
        found, final = scu.find("STUDY", **STUDY_KEYS)
        scu.assoc.join(10)
        is_established = scu.assoc.is_established
    with Scu(pacs) as scu:
        again, again_final = scu.find("STUDY", **STUDY_KEYS)

    # Then
    assert (len(found) <= 2, final, is_established) == (True, None, False)
    assert (len(again), again_final) == (5, 0)


def test_failure_status_comes_after_some_matches(scripted_pacs):
    # Given
    pacs = scripted_pacs(studies(5))
    pacs.add_fault(
        operation="find", kind="status", status="0xC001", after_responses=2, comment="Out of order"
    )

    # When
    with Scu(pacs) as scu:
        responses = list(scu.assoc.send_c_find(identifier_of("STUDY", **STUDY_KEYS), FIND))

    # Then
    assert [status.Status for status, _identifier in responses] == [0xFF00, 0xFF00, 0xC001]
    assert responses[-1][0].ErrorComment == "Out of order"


def test_request_without_response_times_out(scripted_pacs):
    pacs = scripted_pacs(studies(1))
    pacs.add_fault(operation="find", kind="never_answer")

    with Scu(pacs, timeout_s=0.3) as scu:
        found, final = scu.find("STUDY", **STUDY_KEYS)

    assert (found, final) == ([], None)
    assert pacs.witness.of("find")[0].fault == "never_answer"


def test_delay_holds_up_and_loses_nothing(scripted_pacs):
    # Given
    pacs = scripted_pacs(studies(3))
    pacs.add_fault(operation="find", kind="delay", delay_s=0.2, after_responses=1)

    # When
    with Scu(pacs) as scu:
        found, final = scu.find("STUDY", **STUDY_KEYS)

    # Then
    assert (len(found), final) == (3, 0)
    assert pacs.witness.of("find")[0].duration_s >= 0.2


def test_match_without_study_uid(scripted_pacs):
    pacs = scripted_pacs(studies(3))
    pacs.add_fault(operation="find", kind="missing_study_uid", after_responses=1)

    with Scu(pacs) as scu:
        found, final = scu.find("STUDY", **STUDY_KEYS)

    assert ["StudyInstanceUID" in match for match in found] == [True, False, True]
    assert final == 0


def test_match_without_the_uid_of_its_level(scripted_pacs):
    # Given
    study = factories.ct_study()
    pacs = scripted_pacs([study])
    pacs.add_fault(operation="find", level="SERIES", kind="missing_uid", after_responses=1)

    # When
    with Scu(pacs) as scu:
        found, final = scu.find("SERIES", StudyInstanceUID=study.study_instance_uid, SeriesInstanceUID=None)

    # Then
    assert ["SeriesInstanceUID" in match for match in found] == [True, False]
    assert final == 0


@pytest.mark.filterwarnings("ignore:Unknown encoding:UserWarning")
def test_match_in_an_unknown_character_set(scripted_pacs):
    # Given
    pacs = scripted_pacs(studies(1))
    pacs.add_fault(operation="find", kind="unknown_character_set")

    # When
    with Scu(pacs) as scu:
        [found], final = scu.find("STUDY", **STUDY_KEYS)

    # Then
    assert (found.SpecificCharacterSet, final) == ("ISO_IR 999", 0)


def test_fault_strikes_each_match_of_one_study_only(scripted_pacs):
    # Given
    made = studies(5)
    ill = made[3].study_instance_uid
    pacs = scripted_pacs(made)
    pacs.add_fault(operation="find", kind="drop_answer", answer=ill, always=True)

    # When
    with Scu(pacs) as scu:
        found = [scu.find("STUDY", **STUDY_KEYS)[0] for _ in range(2)]
        series, _ = scu.find("SERIES", StudyInstanceUID=ill, SeriesInstanceUID=None)

    # Then
    others = [study.study_instance_uid for study in made if study.study_instance_uid != ill]
    assert [[match.StudyInstanceUID for match in matches] for matches in found] == [others, others]
    assert series == []
    assert [request.fault for request in pacs.witness.of("find")] == ["drop_answer"] * 3


def test_announced_numbers_can_be_wrong_for_one_study(scripted_pacs):
    # Given
    right, wrong = factories.ct_study(), factories.ct_study()
    pacs = scripted_pacs([right, wrong], count_error=2, count_error_for=[wrong.study_instance_uid])

    # When
    with Scu(pacs) as scu:
        found, _ = scu.find("STUDY", StudyInstanceUID=None, NumberOfStudyRelatedSeries=None)

    # Then
    counted = {match.StudyInstanceUID: match.NumberOfStudyRelatedSeries for match in found}
    assert counted == {right.study_instance_uid: 2, wrong.study_instance_uid: 4}


@pytest.mark.parametrize("effect", ["abort", "never_answer"])
def test_association_that_does_not_survive_the_cap(scripted_pacs, effect):
    # Given
    pacs = scripted_pacs(studies(4), cap=3, cap_effect=effect)

    # When
    with Scu(pacs, timeout_s=0.5) as scu:
        found, final = scu.find("STUDY", **STUDY_KEYS)

    # Then
    assert (len(found), final) == (3, None)


def test_match_with_ten_thousand_characters_of_modalities(scripted_pacs):
    pacs = scripted_pacs(studies(1))
    pacs.add_fault(operation="find", kind="many_modalities")

    with Scu(pacs) as scu:
        [found], _final = scu.find("STUDY", **STUDY_KEYS)

    assert len("\\".join(found.ModalitiesInStudy)) > 9_900
    assert list(found.ModalitiesInStudy)[:2] == ["CT", "SR"]


def test_match_that_lies_about_its_character_set(scripted_pacs):
    pacs = scripted_pacs(studies(1))
    pacs.add_fault(operation="find", kind="wrong_character_set")

    with Scu(pacs) as scu:
        [found], final = scu.find("STUDY", **STUDY_KEYS)

    assert found.get_item("StudyDescription").value.startswith(b"Sch\xe4del")
    assert (found.SpecificCharacterSet, final) == ("ISO_IR 6", 0)


def test_match_that_cannot_be_decoded(scripted_pacs):
    # Given
    pacs = scripted_pacs(studies(2))
    pacs.add_fault(operation="find", kind="bad_data_set")

    # When
    with Scu(pacs) as scu:
        identifier = identifier_of("STUDY", **STUDY_KEYS)
        responses = list(scu.assoc.send_c_find(identifier, FIND))

    # Then
    # pynetdicom reports a response that it cannot decode twice.
    assert [found is not None for _status, found in responses] == [False, False, True, False]
    assert responses[-1][0].Status == 0


def test_match_that_gets_lost(scripted_pacs):
    pacs = scripted_pacs(studies(3))
    pacs.add_fault(operation="find", kind="drop_answer", after_responses=1)

    with Scu(pacs) as scu:
        found, final = scu.find("STUDY", **STUDY_KEYS)

    assert (len(found), final) == (2, 0)


def test_cancel_ends_a_find(scripted_pacs):
    # Given
    pacs = scripted_pacs(studies(200), answer_delay_s=0.01)

    # When
    with Scu(pacs) as scu:
        statuses = []
        for status, _identifier in scu.assoc.send_c_find(
            identifier_of("STUDY", **STUDY_KEYS), FIND, msg_id=7
        ):
            statuses.append(status.Status)
            if len(statuses) == 3:
                scu.assoc.send_c_cancel(7, None, FIND)

    # Then
    assert statuses[-1] == 0xFE00
    assert len(statuses) < 200


def test_echo_can_fail(scripted_pacs):
    pacs = scripted_pacs()
    pacs.add_fault(operation="echo", kind="status", status=0x0122)

    with Scu(pacs) as scu:
        assert [scu.assoc.send_c_echo().Status for _ in range(2)] == [0x0122, 0x0000]


def test_identifier_without_level_is_refused(scripted_pacs):
    pacs = scripted_pacs(studies(1))

    with Scu(pacs) as scu:
        assert scu.find("WRONG", StudyInstanceUID=None) == ([], 0xA900)


def test_behaviour_changes_while_an_association_lasts(scripted_pacs):
    pacs = scripted_pacs(studies(5))

    with Scu(pacs) as scu:
        before, _final = scu.find("STUDY", **STUDY_KEYS)
        pacs.change(cap=2)
        after, _final = scu.find("STUDY", **STUDY_KEYS)

    assert (len(before), len(after)) == (5, 2)


def test_requests_are_recorded_without_what_speaks_of_patients(scripted_pacs, tmp_path):
    # Given
    log = tmp_path / "requests.jsonl"
    pacs = scripted_pacs(studies(2), log=log)

    # When
    with Scu(pacs) as scu:
        scu.find("STUDY", **STUDY_KEYS, PatientName="DOE^JOHN", StudyTime="080000-090000")
    pacs.stop()

    # Then
    [line] = log.read_text().splitlines()
    record = json.loads(line)
    assert (record["operation"], record["level"], record["status"]) == ("find", "STUDY", 0)
    assert record["keys"] == {"PatientName": ["…"], "StudyTime": ["080000-090000"]}
    assert "DOE" not in line


def test_finds_side_by_side_are_all_complete(scripted_pacs):
    # Given
    archive = generate(400, 5, dt.date(2024, 1, 1), dt.date(2024, 1, 31))
    pacs = scripted_pacs(archive)
    counts: list[tuple[int, int | None]] = []

    def run_query() -> None:
        with Scu(pacs) as scu:
            for _ in range(3):
                found, final = scu.find("STUDY", **STUDY_KEYS)
                counts.append((len(found), final))

    # When
    threads = [threading.Thread(target=run_query) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # Then
    assert counts == [(400, 0)] * 12
    assert pacs.witness.associations == 4
    assert pacs.witness.associations_most <= 4
    assert pacs.witness.associations_open == 0
