"""Storage commitment as the proof of what a store node that is not ours got (PS3.4 annex J)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import select, update

from shared.contract.messages import CancelJob
from shared.database.models import CommitmentReport, Node, QueryObject, RetrieveCommitment
from shared.dicom.storage_commitment.messages import ALL_COMMITTED
from simulator.scp import ScriptedPacs
from tests.support.jobs.retrieves import Retrieves, recorded_requests
from tests.support.peers.commitment_scp import (
    NEW,
    SAME,
    SILENT,
    CommittingStore,
    report_data_set,
    send_report,
)
from tests.support.peers.studies import objects, series, study
from tests.support.waiting import wait_until

Connect = Callable[..., ScriptedPacs]


@pytest.fixture
def kept_study():
    """A study of two series, with seven objects."""
    return study(series("ct_image", 5), series("rdsr_ct", 2))


@pytest.fixture
def node(retrieves: Retrieves) -> Iterator[CommittingStore]:
    """A store node that commits on the association of the request."""
    store = CommittingStore(SAME, reports_to=retrieves.system.settings.store_port)
    store.start()
    yield store
    store.stop()


@pytest.fixture
def connect(retrieves: Retrieves, scripted_pacs, node: CommittingStore, kept_study) -> Connect:
    """Connect a PACS with one study to the node, which gets requests for storage commitment."""

    def connected(*, timeout_s: float = 1.0, fetch: bool = False, own_store: bool = False, **faults):
        retrieves.system.settings = retrieves.system.settings.model_copy(
            update={"commitment_timeout": timeout_s}
        )
        pacs = scripted_pacs([kept_study], **faults)
        store = retrieves.system.add_store("archive", "127.0.0.1", node.port, node.ae_title)
        with retrieves.system.database.write() as session:
            session.get_one(Node, store.id).verify_by = "commitment"
        if own_store:
            retrieves.system.start("store")
        retrieves.connect(pacs, store)
        if fetch:
            with retrieves.system.database.write() as session:
                session.get_one(Node, retrieves.remote.id).retrieve_by = "get"
        retrieves.kept([kept_study])
        return pacs

    return connected


def test_reports_come_by_way_of_either_database(
    retrieves_on_each_database: Retrieves, scripted_pacs, node_elsewhere: CommittingStore
):
    # Given: more objects than one request holds, of which the node refuses one
    retrieves, many = retrieves_on_each_database, study(series("ct_image", 260), series("rdsr_ct", 2))
    refused = min(objects(many))
    node_elsewhere.reports_to = retrieves.system.settings.store_port
    node_elsewhere.failing = {refused: 0x0119}
    store = retrieves.system.add_store("archive", "127.0.0.1", node_elsewhere.port, "STORE")
    with retrieves.system.database.write() as session:
        session.get_one(Node, store.id).verify_by = "commitment"
    retrieves.system.start("store")
    retrieves.connect(scripted_pacs([many]), store)
    retrieves.kept([many])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["verification"]) == ("incomplete", "commitment")
    assert [entry["sop_instance_uid"] for entry in retrieve["missing"]] == [refused]
    assert retrieve["commitment"] == {"requests": 3, "committed": 261, "not_confirmed": 0}
    assert sorted(len(request.references) for request in node_elsewhere.requests) == [2, 60, 200]
    assert node_elsewhere.statuses == [0x0000] * 3


@pytest.fixture
def node_elsewhere() -> Iterator[CommittingStore]:
    """A store node that reports on associations of its own."""
    store = CommittingStore(NEW)
    store.start()
    yield store
    store.stop()


def transactions(retrieves: Retrieves) -> list[RetrieveCommitment]:
    with retrieves.system.database.read() as session:
        return list(session.scalars(select(RetrieveCommitment).order_by(RetrieveCommitment.asked_at)))


@pytest.mark.parametrize("fetch", [False, True], ids=["move", "get"])
def test_what_the_node_commits_to_on_the_same_association_has_arrived(
    retrieves: Retrieves, node: CommittingStore, connect: Connect, kept_study, fetch
):
    # Given
    connect(fetch=fetch)
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("completed", 7)
    assert (retrieve["verification"], retrieve["detail"]) == ("commitment", "")
    [transaction] = transactions(retrieves)
    assert node.requests[0].transaction_uid == transaction.transaction_uid
    assert set(node.requests[0].references) == objects(kept_study)
    assert (transaction.state, transaction.committed, transaction.failed) == ("answered", 7, 0)
    rows = retrieves.objects(retrieve["id"]).values()
    assert {row.committed_in for row in rows} == {transaction.transaction_uid}
    assert node.statuses == [0x0000]


def test_a_report_on_an_association_of_its_own_comes_by_way_of_our_store(
    retrieves: Retrieves, node: CommittingStore, connect: Connect
):
    # Given: the same report comes twice
    node.way, node.times = NEW, 2
    connect(own_store=True, timeout_s=30.0)
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("completed", 7)
    assert retrieve["verification"] == "commitment"
    wait_until(lambda: len(node.statuses) == 2)
    assert node.statuses == [0x0000, 0x0000]
    assert [transaction.state for transaction in transactions(retrieves)] == ["answered"]


def test_an_object_that_the_node_does_not_have_is_sent_again(
    retrieves: Retrieves, node: CommittingStore, connect: Connect, kept_study
):
    # Given: an object that gets lost once
    lost = min(objects(kept_study))
    pacs = connect()
    node.edit = lambda report: without_first_time(node, report, lost)
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["verification"]) == ("completed", "commitment")
    assert retrieve["counts"]["arrived"] == 7
    assert [request.level for request in recorded_requests(pacs)] == ["SERIES", "IMAGE"]
    assert retrieves.objects(retrieve["id"])[lost].asked == 2


def without_first_time(node: CommittingStore, report: Dataset, lost: str) -> Dataset:
    if len(requests_for(node, lost)) > 2:
        return report
    references = {uid: sop_class for uid, sop_class in node.requests[-1].references.items() if uid != lost}
    return report_data_set(report.TransactionUID, references, {lost: 0x0112})


def requests_for(node: CommittingStore, uid: str) -> list[str]:
    return [request.transaction_uid for request in node.requests if uid in request.references]


def test_a_pacs_that_sends_later_gets_no_other_request_within_the_grace_period(
    retrieves: Retrieves, node: CommittingStore, connect: Connect
):
    # Given
    retrieves.grace_s = 30.0
    pacs = connect(move_later_s=0.5)
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["verification"]) == ("completed", "commitment")
    assert retrieve["counts"]["arrived"] == 7
    assert len(recorded_requests(pacs)) == 1
    assert len(node.requests) >= 2


def test_objects_that_never_reach_the_node_stand_in_the_ledger(
    retrieves: Retrieves, node: CommittingStore, connect: Connect, kept_study
):
    # Given
    lost = min(objects(kept_study))
    connect(never_arrive=[lost])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("incomplete", 6)
    assert retrieve["verification"] == "commitment"
    [missing] = retrieve["missing"]
    assert (missing["sop_instance_uid"], missing["state"]) == (lost, "missing")
    assert missing["reason"] == "not_committed"
    assert missing["detail"].startswith("STORE: 0x0112 no such object instance")
    assert retrieves.objects(retrieve["id"])[lost].asked == 3


def test_an_object_that_the_node_refuses_is_not_sent_again(
    retrieves: Retrieves, node: CommittingStore, connect: Connect, kept_study
):
    # Given
    refused = min(objects(kept_study))
    node.failing = {refused: 0x0122}
    pacs = connect()
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("incomplete", 6)
    [missing] = retrieve["missing"]
    assert (missing["sop_instance_uid"], missing["state"]) == (refused, "failed")
    assert "0x0122 SOP class not supported" in missing["detail"]
    assert len(recorded_requests(pacs)) == 1
    assert [(transaction.committed, transaction.failed) for transaction in transactions(retrieves)] == [
        (6, 1)
    ]


def test_a_node_that_never_reports_leaves_the_counts_of_the_pacs_and_is_named(
    retrieves: Retrieves, node: CommittingStore, connect: Connect
):
    # Given
    node.way = SILENT
    connect(timeout_s=0.6)
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("completed", 7)
    assert retrieve["verification"] == "reported"
    assert "STORE got a request for storage commitment" in retrieve["detail"]
    assert "7 objects (it did not report within 0.6 s)" in retrieve["detail"]
    assert [transaction.state for transaction in transactions(retrieves)] == ["unanswered"]
    assert {row.reason for row in retrieves.objects(retrieve["id"]).values()} == {"not_confirmed"}


@pytest.mark.parametrize("status", [0x0112, 0x0122, 0x0124, 0x0211])
def test_a_node_that_refuses_for_good_gets_one_request(
    retrieves: Retrieves, node: CommittingStore, connect: Connect, status
):
    # Given
    node.action_status = lambda _number: status
    connect()
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["verification"]) == ("completed", "reported")
    assert f"0x{status:04X}" in retrieve["detail"]
    assert [transaction.state for transaction in transactions(retrieves)] == ["refused"]


@pytest.mark.parametrize("status", [0x0110, 0x0213, 0xA700])
def test_a_node_that_refuses_for_the_moment_gets_another_request(
    retrieves: Retrieves, node: CommittingStore, connect: Connect, status
):
    # Given
    node.action_status = lambda number: status if number == 1 else 0x0000
    connect()
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["verification"]) == ("completed", "commitment")
    assert [transaction.state for transaction in transactions(retrieves)] == ["refused", "answered"]
    assert len({request.transaction_uid for request in node.requests}) == 2


def test_a_node_without_storage_commitment_leaves_the_counts_of_the_pacs(
    retrieves: Retrieves, scripted_pacs, store_scp, kept_study
):
    # Given
    pacs = scripted_pacs([kept_study])
    store = retrieves.system.add_store("plain", "127.0.0.1", store_scp.port, "STORE")
    with retrieves.system.database.write() as session:
        session.get_one(Node, store.id).verify_by = "commitment"
    retrieves.connect(pacs, store)
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["verification"]) == ("completed", "reported")
    assert "does not accept storage commitment" in retrieve["detail"]


def test_what_a_report_does_not_name_is_not_committed(
    retrieves: Retrieves, node: CommittingStore, connect: Connect, kept_study
):
    # Given
    forgotten = min(objects(kept_study))
    node.edit = lambda report: without(report, forgotten)
    connect()
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["verification"]) == ("completed", "reported")
    assert "1 object (its report does not name them)" in retrieve["detail"]
    committed = {uid for uid, row in retrieves.objects(retrieve["id"]).items() if row.committed_in}
    assert committed == objects(kept_study) - {forgotten}


def without(report: Dataset, uid: str) -> Dataset:
    report.ReferencedSOPSequence = [
        item for item in report.ReferencedSOPSequence if item.ReferencedSOPInstanceUID != uid
    ]
    return report


def test_what_a_report_names_beside_what_was_requested_changes_nothing(
    retrieves: Retrieves, node: CommittingStore, connect: Connect, kept_study
):
    # Given
    def with_strangers(report: Dataset) -> Dataset:
        references = dict(node.requests[-1].references) | {"1.2.3.4": "1.2.840.10008.5.1.4.1.1.2"}
        return report_data_set(report.TransactionUID, references, {"1.2.3.5": 0x0112})

    node.edit = with_strangers
    connect()
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["verification"]) == ("completed", "commitment")
    assert set(retrieves.objects(retrieve["id"])) == objects(kept_study)
    assert [(transaction.committed, transaction.failed) for transaction in transactions(retrieves)] == [
        (7, 0)
    ]


def test_a_report_on_another_transaction_is_not_believed(
    retrieves: Retrieves, node: CommittingStore, connect: Connect
):
    # Given
    def of_another(report: Dataset) -> Dataset:
        report.TransactionUID = "2.25.1"
        return report

    node.edit = of_another
    connect(timeout_s=0.6)
    # When
    retrieve = retrieves.run()
    # Then
    assert retrieve["verification"] == "reported"
    assert node.statuses == [0x0110]


def test_what_nobody_can_name_cannot_be_requested(retrieves: Retrieves, scripted_pacs, node: CommittingStore):
    # Given
    nameless = study(series("rdsr_ct", 2))
    pacs = scripted_pacs([nameless], image_level_empty_for=["SR"])
    store = retrieves.system.add_store("archive", "127.0.0.1", node.port, node.ae_title)
    with retrieves.system.database.write() as session:
        session.get_one(Node, store.id).verify_by = "commitment"
    retrieves.connect(pacs, store)
    retrieves.kept([nameless], named=False)
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("completed", 2)
    assert retrieve["verification"] == "reported"
    assert "2 objects (the PACS does not name them)" in retrieve["detail"]
    assert node.requests == []


def test_objects_of_unknown_class_cannot_be_requested(
    retrieves: Retrieves, node: CommittingStore, connect: Connect, kept_study
):
    # Given
    connect()
    classless = min(objects(kept_study))
    with retrieves.system.database.write() as session:
        which = update(QueryObject).where(QueryObject.sop_instance_uid == classless)
        session.execute(which.values(sop_class_uid=None))
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["verification"]) == ("completed", "reported")
    assert "1 object (the PACS does not return their SOP classes" in retrieve["detail"]
    assert set(node.requests[0].references) == objects(kept_study) - {classless}


def test_a_report_after_the_end_changes_nothing(
    retrieves: Retrieves, node: CommittingStore, connect: Connect
):
    # Given
    node.way = SILENT
    connect(timeout_s=0.5, own_store=True)
    retrieve = retrieves.run()
    report, event_type_id = node.report_on(node.requests[0])
    # When
    status = send_report(retrieves.system.settings.store_port, report, event_type_id)
    # Then
    assert status == 0x0000
    assert retrieves.system.retrieve_json(retrieve["id"]) == retrieve
    with retrieves.system.database.read() as session:
        assert session.scalars(select(CommitmentReport)).first() is None


def test_what_is_waited_for_stands_in_the_note(retrieves: Retrieves, node: CommittingStore, connect: Connect):
    # Given
    node.way = SILENT
    connect(timeout_s=2.0)
    # When
    job_id = retrieves.order()
    # Then
    wait_until(lambda: bool(retrieves.system.status(job_id)))
    wait_until(lambda: "STORE has not reported on a storage commitment" in retrieves.job(job_id).note)
    retrieves.system.wait_for_end(job_id)
    assert retrieves.job(job_id).note == ""


def test_a_cancelled_retrieve_waits_for_no_report(
    retrieves: Retrieves, node: CommittingStore, connect: Connect
):
    # Given
    node.way = SILENT
    connect(timeout_s=60.0)
    job_id = retrieves.order()
    wait_until(lambda: bool(node.requests))
    # When
    retrieves.system.command(CancelJob(job_id=job_id))
    retrieves.system.wait_for_end(job_id)
    # Then
    assert retrieves.system.status(job_id) == "cancelled"
    wait_until(lambda: [transaction.state for transaction in transactions(retrieves)] == ["unanswered"])


def test_an_unknown_transaction_is_refused(retrieves: Retrieves):
    # Given
    retrieves.system.start("store")
    report = report_data_set("2.25.4711", {"1.2.3": "1.2.840.10008.5.1.4.1.1.2"}, {})
    # When
    status = send_report(retrieves.system.settings.store_port, report, ALL_COMMITTED)
    # Then
    assert status == 0x0115
    with retrieves.system.database.read() as session:
        assert session.scalars(select(CommitmentReport)).first() is None
