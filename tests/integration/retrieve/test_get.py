"""A retrieve by C-GET: the objects come over our own association, and go on to the store node from us."""

from __future__ import annotations

from typing import Any

import pytest
from pynetdicom import AllStoragePresentationContexts
from pynetdicom.ae import ApplicationEntity

from services.retrieve.ledger.selection import kept_classes
from services.web.live.trouble import Trouble
from shared.contract.messages import CancelJob
from shared.database.models import Node, QueryObject
from shared.dicom.sop_classes import STUDY_ROOT_GET
from simulator.behaviour import Fault
from tests.support.jobs.retrieves import Retrieves, recorded_requests
from tests.support.peers.storage_scp import StoreScp
from tests.support.peers.studies import objects, series, study
from tests.support.ports import free_port
from tests.support.waiting import wait_until


@pytest.fixture
def kept_study():
    """A study of two series, with seven objects."""
    return study(series("ct_image", 5), series("rdsr_ct", 2))


def connect(retrieves: Retrieves, pacs, store: Node | None = None) -> None:
    """Make both known; the PACS does not know the store."""
    retrieves.connect(pacs, store)
    pacs.destinations.clear()
    with retrieves.system.database.write() as session:
        session.get_one(Node, retrieves.remote.id).retrieve_by = "get"


def plain(retrieves: Retrieves, store: StoreScp) -> Node:
    return retrieves.system.add_store("plain", "127.0.0.1", store.port, store.ae_title)


def test_objects_go_to_our_store_which_the_pacs_does_not_know(
    retrieves: Retrieves, scripted_pacs, kept_study
):
    # Given
    pacs = scripted_pacs([kept_study])
    connect(retrieves, pacs)
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["verification"]) == ("completed", "receipts")
    assert set(retrieves.objects(retrieve["id"])) == objects(kept_study)
    assert [request.level for request in recorded_requests(pacs, "get")] == ["SERIES"]
    assert not recorded_requests(pacs)


def test_the_responses_of_another_store_are_the_receipts(
    retrieves: Retrieves, scripted_pacs, store_scp: StoreScp, kept_study
):
    # Given
    pacs = scripted_pacs([kept_study])
    connect(retrieves, pacs, plain(retrieves, store_scp))
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["verification"]) == ("completed", "receipts")
    assert retrieve["counts"]["arrived"] == 7
    assert store_scp.uids == objects(kept_study)


def test_an_object_that_the_store_refuses_is_requested_again_and_then_named(
    retrieves: Retrieves, scripted_pacs, store_scp: StoreScp, kept_study
):
    # Given
    pacs = scripted_pacs([kept_study])
    connect(retrieves, pacs, plain(retrieves, store_scp))
    refused = min(objects(kept_study))
    store_scp.status_for = lambda uid: 0xA700 if uid == refused else 0x0000
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("incomplete", 6)
    assert [row["sop_instance_uid"] for row in retrieve["missing"]] == [refused]
    assert "the store node refused an object with status 0xA700" in retrieve["missing"][0]["detail"]
    assert store_scp.uids == objects(kept_study) - {refused}


@pytest.mark.parametrize(
    "fault",
    [
        Fault(operation="get", kind="abort", after_responses=3),
        Fault(operation="get", kind="status", status=0xA702, after_responses=2),
        Fault(operation="get", kind="status", status=0xC000),
        Fault(operation="get", kind="never_answer", after_responses=3),
    ],
    ids=lambda fault: fault.kind,
)
def test_what_is_left_after_a_failure_is_requested_again(
    retrieves: Retrieves, scripted_pacs, kept_study, fault
):
    # Given
    pacs = scripted_pacs([kept_study], faults=[fault])
    connect(retrieves, pacs)
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("completed", 7)
    assert pacs.witness.objects_sent <= 8


def test_objects_that_never_come_stand_in_the_ledger(
    retrieves: Retrieves, scripted_pacs, store_scp, kept_study
):
    # Given
    lost = min(objects(kept_study))
    pacs = scripted_pacs([kept_study], never_arrive=[lost])
    connect(retrieves, pacs, plain(retrieves, store_scp))
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("incomplete", 6)
    assert [(row["sop_instance_uid"], row["state"]) for row in retrieve["missing"]] == [(lost, "missing")]


@pytest.fixture
def half_a_pacs():
    """Start a PACS that takes associations for storage and others that are named, and gives nothing."""
    started = []

    def start(*syntaxes: str) -> Any:
        ae = ApplicationEntity(ae_title="HALF")
        ae.supported_contexts = AllStoragePresentationContexts
        for syntax in syntaxes:
            ae.add_supported_context(syntax)
        started.append(ae)
        return ae.start_server(("127.0.0.1", 0), block=False)

    yield start
    for ae in started:
        ae.shutdown()


@pytest.mark.parametrize(
    ("offered", "problem"),
    [
        ([], "HALF does not offer C-GET; choose C-MOVE"),
        ([STUDY_ROOT_GET], "HALF offers C-GET, and would send no"),
    ],
    ids=["no_c_get", "no_role"],
)
def test_a_pacs_that_cannot_be_fetched_from_is_named_at_once(
    retrieves: Retrieves, half_a_pacs, kept_study, offered, problem
):
    # Given
    system = retrieves.system
    port = half_a_pacs(*offered).server_address[1]
    retrieves.remote = system.add_remote("pacs", "127.0.0.1", port, "HALF")
    retrieves.store = system.add_own_store()
    with system.database.write() as session:
        session.get_one(Node, retrieves.remote.id).retrieve_by = "get"
    retrieves.start()
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["failure"]) == ("failed", "context_not_accepted")
    assert problem in retrieve["detail"]
    assert {row["reason"] for row in retrieve["missing"]} == {"context_not_accepted"}


def test_what_the_query_named_is_what_is_negotiated(retrieves: Retrieves, scripted_pacs, kept_study):
    # Given
    connect(retrieves, scripted_pacs([kept_study]))
    retrieves.kept([kept_study])
    with retrieves.system.database.write() as session:
        session.query(QueryObject).update({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.2"})
        session.query(QueryObject).limit(1).one().sop_class_uid = "not a class"
        # When
        session.flush()
        classes = kept_classes(session, "query-1")
    # Then
    assert classes == ("1.2.840.10008.5.1.4.1.1.2",)


def test_cancelling_ends_the_get_and_keeps_what_arrived(retrieves: Retrieves, scripted_pacs):
    # Given
    many = study(series("ct_image", 40))
    pacs = scripted_pacs([many], store_pause_s=0.2)
    connect(retrieves, pacs)
    retrieves.kept([many])
    job_id = retrieves.order()
    wait_until(lambda: pacs.witness.objects_sent >= 2)
    # When
    retrieves.system.command(CancelJob(job_id=job_id))
    retrieves.system.wait_for_end(job_id)
    wait_until(lambda: bool(recorded_requests(pacs, "get")))
    # Then
    assert recorded_requests(pacs, "get")[0].status == 0xFE00
    assert retrieves.system.status(job_id) == "cancelled"
    sent = pacs.witness.objects_sent
    wait_until(lambda: retrieves.system.retrieve_json(job_id)["counts"]["arrived"] == sent)
    assert sent < 40


def test_one_bad_series_does_not_stop_the_others(retrieves: Retrieves, scripted_pacs, kept_study):
    # Given
    bad = kept_study.series[0]
    fault = Fault(operation="get", kind="status", status=0xC001, uid=bad.series_instance_uid, always=True)
    connect(retrieves, scripted_pacs([kept_study], faults=[fault]))
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("incomplete", 2)
    assert {row["series_instance_uid"] for row in retrieve["missing"]} == {bad.series_instance_uid}


def test_a_store_that_is_away_is_waited_for(retrieves: Retrieves, scripted_pacs, kept_study):
    # Given
    store = StoreScp()
    store.port = free_port()
    pacs = scripted_pacs([kept_study])
    connect(retrieves, pacs, plain(retrieves, store))
    retrieves.kept([kept_study], store_name="plain")
    # When
    job_id = retrieves.order()
    wait_until(lambda: retrieves.note(job_id).startswith("plain — connection refused: store node: "))
    complaints = Trouble(retrieves.system.database).complaints()
    store.start()
    retrieves.system.wait_for_end(job_id)
    store.stop()
    # Then
    assert retrieves.system.status(job_id) == "completed"
    assert store.uids == objects(kept_study)
    assert ["The node plain does not respond" in complaint.text for complaint in complaints] == [True]


def test_a_series_without_names_is_named_by_what_comes(retrieves: Retrieves, scripted_pacs, store_scp):
    # Given
    nameless = study(series("rdsr_ct", 2))
    pacs = scripted_pacs([nameless], image_level_empty_for=["SR"])
    connect(retrieves, pacs, plain(retrieves, store_scp))
    retrieves.kept([nameless], named=False)
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("completed", 2)
    assert set(retrieves.objects(retrieve["id"])) == objects(nameless)
