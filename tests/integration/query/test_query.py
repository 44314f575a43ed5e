"""The query service against a scripted PACS: what is found, what is kept, and how a query ends."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import pytest

from shared.clock import utc_now
from shared.contract.messages import Accepted, CancelJob, Rejected, StudiesDecided
from shared.database.models import QueryFind, StoredObject
from simulator.behaviour import Fault
from tests.support.peers.studies import (
    DAY,
    ct_study,
    days_of,
    dx_study,
    fl_study,
    mg_study,
    mr_study,
    nm_study,
    objects,
    petct_study,
    philips_ct_study,
    sr_only_study,
)
from tests.support.ports import free_port
from tests.support.services.in_process import kept_objects, kept_series
from tests.support.waiting import wait_until

ALL = {"types": ["CT", "MG", "FL", "DX", "NM"], "date_from": str(DAY), "date_until": str(DAY)}
CT = ALL | {"types": ["CT"]}


@pytest.fixture
def mixed():
    """Return one study of each kind."""
    return [
        ct_study(),
        ct_study(with_rdsr=False, with_esr=True),
        philips_ct_study(),
        mg_study(),
        mg_study(with_rdsr=True),
        dx_study(),
        fl_study(),
        fl_study(with_rdsr=False),
        nm_study(),
        petct_study(),
        sr_only_study(),
        mr_study(),
    ]


def ready(system, pacs, *services: str) -> None:
    system.add_remote("pacs", pacs.host, pacs.port, pacs.ae_title)
    system.add_own_store()
    system.start(*(services or ("query",)))


def decisions(query) -> dict[str, tuple[str | None, str | None, str | None]]:
    return {
        study["study_instance_uid"]: (study["type"], study["decision"], study["reason"])
        for study in query["studies"]
    }


def everything(query: dict[str, Any]) -> dict[str, Any]:
    """Return all that was decided, without what may differ from run to run."""
    return {
        study["study_instance_uid"]: (
            study["type"],
            study["decision"],
            study["reason"],
            {
                series["series_instance_uid"]: (series["decision"], series["reason"], series["objects"])
                for series in study["series"]
            },
        )
        for study in query["studies"]
        if study["decision"] == "keep"
    }


def test_each_kind_of_study_is_judged_by_its_row_of_the_table(system, scripted_pacs, mixed):
    # Given
    ready(system, scripted_pacs(mixed))
    # When
    query = system.finished_query(ALL)
    # Then
    returned = [decisions(query).get(study.study_instance_uid) for study in mixed]
    assert returned == [
        ("CT", "keep", "rdsr"),
        ("CT", "keep", "esr"),
        ("CT", "keep", "philips_dose_info"),
        ("MG", "keep", "images_no_report"),
        ("MG", "keep", "rdsr"),
        ("DX", "keep", "images_no_report"),
        ("FL", "keep", "rdsr"),
        ("FL", "drop", "no_dose_object"),
        ("NM", "keep", "first_image_nm"),
        ("CT", "keep", "rdsr"),
        None,
        None,
    ]
    assert query["status"] == "completed"
    assert query["counts"]["by_type"] == {"CT": 4, "DX": 1, "FL": 1, "MG": 2, "NM": 1}
    assert query["missing"] == []


def test_a_query_reports_its_way_by_events(system, scripted_pacs, mixed):
    # Given
    ready(system, scripted_pacs(mixed))
    # When
    query = system.finished_query(ALL)
    # Then
    assert [event.job_id for event in system.published(Accepted)] == [query["id"]]
    summaries = [study for event in system.published(StudiesDecided) for study in event.studies]
    assert {study.study_instance_uid: study.decision for study in summaries} == {
        study["study_instance_uid"]: study["decision"] for study in query["studies"]
    }
    assert [ending.status for ending in system.endings(query["id"])] == ["completed"]
    assert system.endings(query["id"])[0].counts["by_type"]["CT"] == 4


@pytest.mark.parametrize("trait", ["returned", "absent", "matched_not_returned"])
def test_a_pacs_that_treats_modalities_in_its_own_way_gives_the_same_result(
    system, scripted_pacs, mixed, trait
):
    # Given
    ready(system, scripted_pacs(mixed))
    expected = everything(system.finished_query(ALL))
    other = scripted_pacs(mixed, modalities_in_study=trait)
    system.add_remote("other", other.host, other.port, other.ae_title)
    # When
    query = system.finished_query(ALL, remote="other")
    # Then
    assert query["status"] == "completed"
    assert everything(query) == expected


def test_a_study_whose_modalities_are_blank_is_judged_by_its_series(system, scripted_pacs):
    # Given
    study = ct_study()
    pacs = scripted_pacs(
        [study], modalities_in_study="returned", blank_modalities_for=[study.study_instance_uid]
    )
    ready(system, pacs)
    # When
    query = system.finished_query(CT)
    # Then
    assert decisions(query)[study.study_instance_uid] == ("CT", "keep", "rdsr")


def test_studies_that_are_returned_twice_count_once(system, scripted_pacs):
    # Given
    ready(system, scripted_pacs([petct_study() for _ in range(9)], duplicate_every=1))
    # When
    query = system.finished_query(ALL)
    # Then
    assert query["counts"]["found"] == query["counts"]["examined"] == 9


def test_a_pacs_that_is_out_of_resources_gets_smaller_windows(system, scripted_pacs):
    # Given
    studies = days_of(24, dt.date(2024, 1, 1), dt.date(2024, 1, 7))
    pacs = scripted_pacs(studies, cap=4, cap_effect="refuse_after", cap_levels=["STUDY"])
    ready(system, pacs)
    # When
    query = system.finished_query({"types": ["CT"], "date_from": "2024-01-01", "date_until": "2024-01-07"})
    # Then
    assert query["status"] == "completed"
    assert query["counts"]["found"] == 24
    assert query["slices"]["total"] == query["slices"]["complete"] > 8


def test_more_studies_in_a_minute_than_the_pacs_can_name_end_incomplete_with_the_window(
    system, scripted_pacs
):
    # Given
    studies = [ct_study(time=dt.time(9, 30, second)) for second in range(10)]
    ready(system, scripted_pacs(studies, cap=5, cap_effect="refuse_after", cap_levels=["STUDY"]))
    # When
    query = system.finished_query(CT)
    # Then
    assert query["status"] == "incomplete"
    (missing,) = query["missing"]
    assert missing["error"] == "status_a700"
    assert missing["window"] == {
        "date_from": str(DAY),
        "date_until": str(DAY),
        "time_from": "09:30",
        "time_until": "09:30",
    }


@pytest.mark.parametrize("level", ["STUDY", "SERIES", "IMAGE"])
@pytest.mark.parametrize(
    "fault", [{"kind": "abort"}, {"kind": "close"}, {"kind": "status", "status": 0xC001}]
)
def test_a_fault_that_passes_leaves_no_trace_in_the_result(system, scripted_pacs, mixed, level, fault):
    # Given
    ready(system, scripted_pacs(mixed))
    expected = everything(system.finished_query(ALL))
    faulty = scripted_pacs(
        mixed, faults=[Fault(operation="find", level=level, nth=2, after_responses=1, **fault)]
    )
    system.add_remote("faulty", faulty.host, faulty.port, faulty.ae_title)
    # When
    query = system.finished_query(ALL, remote="faulty")
    # Then
    assert query["status"] == "completed"
    assert everything(query) == expected


def test_a_study_that_the_pacs_cannot_return_is_missing_and_the_others_are_not(system, scripted_pacs):
    # Given
    studies = [ct_study() for _ in range(12)]
    ill = studies[5].study_instance_uid
    pacs = scripted_pacs(
        studies,
        relational="refused",
        faults=[Fault(operation="find", level="SERIES", kind="status", status=0xA900, uid=ill, always=True)],
    )
    ready(system, pacs)
    # When
    query = system.finished_query(CT)
    # Then
    assert query["status"] == "incomplete"
    assert query["counts"]["kept"] == 11
    assert [gap["study_instance_uid"] for gap in query["missing"]] == [ill]
    assert query["missing"][0]["reason"] == "study_not_answered"


def test_a_study_that_makes_the_pacs_abort_does_not_take_others_with_it(system, scripted_pacs):
    # Given
    studies = [ct_study() for _ in range(8)]
    ill = studies[3].study_instance_uid
    pacs = scripted_pacs(
        studies, faults=[Fault(operation="find", level="SERIES", kind="abort", uid=ill, always=True)]
    )
    ready(system, pacs)
    # When
    query = system.finished_query(CT)
    # Then
    assert query["status"] == "incomplete"
    assert query["counts"]["kept"] == 7
    assert [gap["study_instance_uid"] for gap in query["missing"]] == [ill]


def test_a_series_that_is_counted_but_never_returned_makes_its_study_missing(system, scripted_pacs):
    # Given
    whole, cut = ct_study(), ct_study()
    hidden = next(entry for entry in cut.series if entry.modality == "SR").series_instance_uid
    ready(system, scripted_pacs([whole, cut], hidden=[hidden]))
    # When
    query = system.finished_query(CT)
    # Then
    assert query["status"] == "incomplete"
    assert decisions(query)[whole.study_instance_uid] == ("CT", "keep", "rdsr")
    (missing,) = query["missing"]
    assert missing["study_instance_uid"] == cut.study_instance_uid
    assert missing["reason"] == "fewer_series_than_announced"


def test_a_slice_without_a_response_is_named_as_missing(system, scripted_pacs):
    # Given
    pacs = scripted_pacs(
        [ct_study(), mg_study()],
        faults=[Fault(operation="find", level="STUDY", code="MG", kind="abort", always=True)],
    )
    ready(system, pacs)
    # When
    query = system.finished_query(ALL | {"types": ["CT", "MG"]})
    # Then
    assert query["status"] == "incomplete"
    assert query["slices"] == {"total": 2, "complete": 1, "failed": 1}
    (missing,) = query["missing"]
    assert (missing["code"], missing["error"]) == ("MG", "aborted")


def test_a_window_whose_code_is_refused_is_searched_without_it(system, scripted_pacs):
    # Given
    studies = [ct_study(), mg_study()]
    pacs = scripted_pacs(
        studies,
        faults=[Fault(operation="find", level="STUDY", code="MG", kind="status", status=0xC002, always=True)],
    )
    ready(system, pacs)
    # When
    query = system.finished_query(ALL | {"types": ["CT", "MG"]})
    # Then
    assert query["status"] == "completed"
    assert query["counts"]["by_type"] == {"CT": 1, "MG": 1}


def test_a_pacs_that_does_not_know_us_fails_the_query_at_once(system, scripted_pacs):
    # Given
    pacs = scripted_pacs([ct_study()], calling_ae_titles=["SOMEBODY"])
    ready(system, pacs)
    # When
    query = system.finished_query(CT)
    # Then
    assert query["status"] == "failed"
    assert query["failure"] == "association_rejected"
    assert "DOSEQR" in query["detail"]


def test_a_pacs_that_is_away_is_waited_for(system, scripted_pacs):
    # Given
    port = free_port()
    study = ct_study()
    system.add_remote("pacs", "127.0.0.1", port, "SCRIPTED")
    system.add_own_store()
    system.start("query")
    job_id = system.query(CT)
    system.wait_for_status(job_id, "running")
    wait_until(lambda: "does not take connections" in system.query_json(job_id)["note"])
    # When
    scripted_pacs([study], port=port)
    # Then
    system.wait_for_end(job_id)
    query = system.query_json(job_id)
    assert query["status"] == "completed"
    assert query["note"] == ""
    assert query["counts"]["kept"] == 1


def test_a_pacs_that_rejects_for_congestion_is_waited_for(system, scripted_pacs):
    # Given
    fault = Fault(operation="associate", kind="reject", rejection="temporary_congestion", times=3)
    ready(system, scripted_pacs([ct_study() for _ in range(5)], faults=[fault]))
    # When
    query = system.finished_query(CT)
    # Then
    assert query["status"] == "completed"
    assert query["counts"]["kept"] == 5


def test_cancelling_ends_a_query_within_two_seconds_and_what_was_found_stays(system, scripted_pacs):
    # Given
    studies = days_of(200, dt.date(2024, 1, 1), dt.date(2024, 1, 30))
    pacs = scripted_pacs(studies, answer_delay_s=0.05)
    ready(system, pacs)
    job_id = system.query({"types": ["CT"], "date_from": "2024-01-01", "date_until": "2024-01-30"})
    wait_until(lambda: len(pacs.witness.requests) > 0)
    # When
    began = time.monotonic()
    system.command(CancelJob(job_id=job_id))
    system.wait_for_end(job_id)
    took = time.monotonic() - began
    # Then
    assert took < 2
    system.stop()
    finds = len(pacs.witness.of("find"))
    assert system.status(job_id) == "cancelled"
    assert [ending.status for ending in system.endings(job_id)] == ["cancelled"]
    assert finds < 200


def test_the_same_command_twice_does_the_work_once(system, scripted_pacs):
    # Given
    ready(system, scripted_pacs([ct_study()]))
    # When
    for _ in range(3):
        system.query(CT, job_id="the-same")
    system.wait_for_end("the-same")
    # Then
    with system.database.read() as session:
        finds = session.query(QueryFind).count()
    # Five for the study and its codes; the others show that the one match is all there is.
    assert finds == 21
    assert len(system.endings("the-same")) == 1


def test_two_services_share_a_query_and_it_ends_once(make_system, broker, database, scripted_pacs):
    # Given
    system = make_system(broker, database)
    studies = days_of(150, dt.date(2024, 1, 1), dt.date(2024, 1, 30))
    ready(system, scripted_pacs(studies), "query", "query")
    # When
    query = system.finished_query({"types": ["CT"], "date_from": "2024-01-01", "date_until": "2024-01-30"})
    # Then
    assert query["status"] == "completed"
    assert query["counts"]["found"] == query["counts"]["kept"] == 150
    assert len(system.endings(query["id"])) == 1


def test_known_objects_are_dropped_one_by_one_by_default(system, scripted_pacs):
    # Given
    study = ct_study(reports=2)
    first, second = sorted(objects(study, content="rdsr_ct"))
    report = next(entry for entry in study.series if entry.modality == "SR")
    with system.database.write() as session:
        now = utc_now()
        session.add(
            StoredObject(
                sop_instance_uid=first,
                series_instance_uid=report.series_instance_uid,
                study_instance_uid=study.study_instance_uid,
                source="registered",
                received_at=now,
                last_received_at=now,
            )
        )
    ready(system, scripted_pacs([study]))
    # When
    careful = system.finished_query(CT)
    again = system.finished_query(CT | {"ignore_known": False})
    # Then
    assert kept_objects(careful) == {second}
    assert report.series_instance_uid in kept_series(again) or kept_objects(again) == {first, second}


def test_studies_are_found_by_uid_or_accession_number_without_dates(system, scripted_pacs):
    # Given
    studies = [ct_study() for _ in range(5)]
    ready(system, scripted_pacs(studies))
    # When
    by_uid = system.finished_query(
        {"types": ["CT"], "study_instance_uids": [study.study_instance_uid for study in studies[:2]]}
    )
    by_number = system.finished_query(
        {"types": ["CT"], "accession_numbers": [study.accession_number or "" for study in studies[2:]]}
    )
    # Then
    assert set(decisions(by_uid)) == {study.study_instance_uid for study in studies[:2]}
    assert set(decisions(by_number)) == {study.study_instance_uid for study in studies[2:]}


@pytest.mark.parametrize(
    ("criteria", "field"),
    [
        ({"types": []}, "data.criteria.types"),
        ({"types": ["MR"]}, "data.criteria.types.0"),
        ({"types": ["CT"], "date_from": "2024-02-02", "date_until": "2024-02-01"}, "data.criteria.date_from"),
        ({"types": ["CT"], "date_from": "2024-02-30"}, "data.criteria.date_from"),
        ({"types": ["CT"], "time_from": "08:00"}, "data.criteria.time_from"),
        ({"types": ["CT"], "colour": "red"}, "data.criteria.colour"),
    ],
)
def test_criteria_that_make_no_sense_are_rejected_with_the_field(system, scripted_pacs, criteria, field):
    # Given
    ready(system, scripted_pacs())
    # When
    job_id = system.query(criteria)
    # Then
    rejected = system.wait_for_event(Rejected)
    assert (rejected.command_id, rejected.field) == (job_id, field)
    assert rejected.problem
    assert system.status(job_id) == ""


@pytest.mark.parametrize(("remote", "store", "field"), [("x", 2, "data.remote"), (1, 99, "data.store")])
def test_a_node_that_nobody_knows_is_rejected_with_the_field(system, scripted_pacs, remote, store, field):
    # Given
    ready(system, scripted_pacs())
    # When
    system.query(CT, remote=remote, store=store)
    # Then
    assert system.wait_for_event(Rejected).field == field


def test_cancelling_a_job_that_nobody_knows_is_rejected(system, scripted_pacs):
    # Given
    ready(system, scripted_pacs())
    # When
    system.command(CancelJob(job_id="nothing"))
    # Then
    assert system.wait_for_event(Rejected).field == "data.job_id"
