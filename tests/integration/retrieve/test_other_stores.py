"""A store node that is not ours: it is queried for what it has, or the PACS is believed."""

from __future__ import annotations

import threading

import pytest

from shared.clock import utc_now
from shared.contract.messages import ObjectReference, ObjectsStored, RegisterObjects, StoredObject
from shared.database.models import StoredObject as StoredRow
from shared.database.models.store import STORE
from simulator.archive.model import Study
from simulator.behaviour import Fault
from tests.support.jobs.retrieves import Retrieves, recorded_requests
from tests.support.jobs.rows import stored_objects
from tests.support.peers.query_store import QueryableStore
from tests.support.peers.storage_scp import StoreScp
from tests.support.peers.studies import objects, series, study


@pytest.fixture
def archive():
    """A running store that responds to queries."""
    store = QueryableStore()
    yield store
    store.stop()


@pytest.fixture
def kept_study():
    """A study of two series, with seven objects."""
    return study(series("ct_image", 5), series("ct_image", 2))


def test_a_store_with_c_find_is_searched_for_what_arrived(
    retrieves: Retrieves, scripted_pacs, archive: QueryableStore, kept_study
):
    # Given
    lost = min(objects(kept_study))
    pacs = scripted_pacs([kept_study], never_arrive=[lost])
    retrieves.connect(pacs, retrieves.system.add_store("archive", "127.0.0.1", archive.port, "ARCHIVE"))
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("incomplete", 6)
    assert [row["sop_instance_uid"] for row in retrieve["missing"]] == [lost]
    assert retrieve["verification"] == "find"
    assert archive.finds > 0


def test_a_series_without_names_is_named_by_the_store(
    retrieves: Retrieves, scripted_pacs, archive: QueryableStore
):
    # Given
    kept_study = study(series("rdsr_ct", 2))
    pacs = scripted_pacs([kept_study], image_level_empty_for=["SR"])
    retrieves.connect(pacs, retrieves.system.add_store("archive", "127.0.0.1", archive.port, "ARCHIVE"))
    retrieves.kept([kept_study], named=False)
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("completed", 2)
    assert set(retrieves.objects(retrieve["id"])) == objects(kept_study)


def test_a_store_that_does_not_respond_leaves_the_counts_of_the_pacs(
    retrieves: Retrieves, scripted_pacs, store_scp: StoreScp, kept_study
):
    # Given
    pacs = scripted_pacs([kept_study])
    retrieves.connect(pacs, retrieves.system.add_store("store", "127.0.0.1", store_scp.port, "STORE"))
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("completed", 7)
    assert retrieve["verification"] == "reported"
    assert store_scp.uids == objects(kept_study)


def test_what_the_pacs_reports_as_failed_did_not_arrive(
    retrieves: Retrieves, scripted_pacs, store_scp: StoreScp, kept_study
):
    # Given
    failing = min(objects(kept_study))
    pacs = scripted_pacs([kept_study], fail=[failing], move_failed_list=False)
    retrieves.connect(pacs, retrieves.system.add_store("store", "127.0.0.1", store_scp.port, "STORE"))
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("incomplete", 6)
    assert [row["sop_instance_uid"] for row in retrieve["missing"]] == [failing]
    assert retrieve["verification"] == "reported"


def test_the_counts_of_the_pacs_for_a_series_without_names(
    retrieves: Retrieves, scripted_pacs, store_scp: StoreScp
):
    # Given
    kept_study = study(series("rdsr_ct", 2))
    pacs = scripted_pacs([kept_study], image_level_empty_for=["SR"])
    retrieves.connect(pacs, retrieves.system.add_store("store", "127.0.0.1", store_scp.port, "STORE"))
    retrieves.kept([kept_study], named=False)
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["asked"], retrieve["counts"]["arrived"]) == (
        "completed",
        2,
        2,
    )


@pytest.mark.parametrize(("announced", "number"), [(1, 1), (2, 2), (5, 2), (None, 2)])
def test_a_series_without_names_has_no_more_objects_than_the_pacs_reports_sent(
    retrieves: Retrieves, scripted_pacs, store_scp: StoreScp, announced, number
):
    # Given
    kept_study = study(series("rdsr_ct", 2))
    pacs = scripted_pacs([kept_study], image_level_empty_for=["SR"])
    retrieves.connect(pacs, retrieves.system.add_store("store", "127.0.0.1", store_scp.port, "STORE"))
    retrieves.kept([kept_study], named=False, counted=announced is not None, announced=announced)
    # When
    retrieve = retrieves.run()
    # Then
    counts = retrieve["counts"]
    assert (retrieve["status"], counts["asked"], counts["arrived"]) == ("completed", number, number)
    assert counts["fewer_than_announced"] == max(0, (announced or 0) - 2)


@pytest.mark.parametrize("move_failed_list", [True, False])
def test_a_failure_in_a_series_without_names_is_not_reported_as_sent(
    retrieves: Retrieves, scripted_pacs, store_scp: StoreScp, move_failed_list
):
    # Given
    kept_study = study(series("rdsr_ct", 2))
    failing = max(objects(kept_study))
    pacs = scripted_pacs(
        [kept_study], image_level_empty_for=["SR"], fail=[failing], move_failed_list=move_failed_list
    )
    retrieves.connect(pacs, retrieves.system.add_store("store", "127.0.0.1", store_scp.port, "STORE"))
    retrieves.kept([kept_study], named=False)
    # When
    retrieve = retrieves.run()
    # Then
    assert retrieve["status"] == "incomplete"
    assert "which of them arrived is not known" in retrieve["detail"]
    assert [row["reason"] for row in retrieve["missing"]] == ["status_failure"]
    assert "completed 1, warning 0, failed 1" in retrieve["missing"][0]["detail"]


@pytest.mark.parametrize("by_event", [False, True], ids=["registered", "announced"])
def test_objects_that_another_store_makes_known_are_receipts(
    retrieves: Retrieves, scripted_pacs, store_scp: StoreScp, kept_study, by_event
):
    # Given: another store that publishes each object immediately
    system = retrieves.system
    # What is made known during the last moments of the C-MOVE is waited for, also on a busy machine.
    retrieves.grace_s = 10.0
    pacs = scripted_pacs([kept_study])
    retrieves.connect(pacs, system.add_store("store", "127.0.0.1", store_scp.port, "STORE"))
    system.start("store")
    retrieves.kept([kept_study])
    references = {
        instance.sop_instance_uid: ObjectReference(
            study_instance_uid=kept_study.study_instance_uid,
            series_instance_uid=member.series_instance_uid,
            sop_instance_uid=instance.sop_instance_uid,
        )
        for member in kept_study.series
        for instance in member.instances
    }

    def status_of(uid: str) -> int:
        if by_event:
            stored = StoredObject(**references[uid].model_dump())
            system.publisher.event(ObjectsStored(store_ae_title="STORE", objects=[stored]), "objects")
        else:
            system.command(RegisterObjects(objects=[references[uid]]))
        return 0x0000

    store_scp.status_for = status_of
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("completed", 7)
    assert retrieve["verification"] in ("receipts", "reported")
    assert len(recorded_requests(pacs)) == 1


def test_receipts_count_at_a_node_with_the_title_of_our_own_store_at_another_port(
    retrieves: Retrieves, scripted_pacs, store_scp: StoreScp, kept_study
):
    # Given: our own store, which PACS reach by the port of a load balancer
    system, title = retrieves.system, retrieves.system.settings.store_ae_title
    pacs = scripted_pacs([kept_study])
    retrieves.connect(pacs, system.add_store("behind-a-port", "127.0.0.1", store_scp.port, title))
    pacs.destinations[title] = ("127.0.0.1", system.settings.store_port)
    system.start("store")
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["verification"]) == ("completed", "receipts")
    assert retrieve["counts"]["arrived"] == 7


def test_what_the_pacs_reported_once_stands_though_nobody_knows_which(
    retrieves: Retrieves, scripted_pacs, store_scp: StoreScp
):
    # Given: three of four are sent, without a list of the failed one, and each alone is refused
    kept_study = study(series("ct_image", 4))
    failing = min(objects(kept_study))
    refusal = Fault(operation="move", kind="status", status=0xC001, level="IMAGE", always=True)
    pacs = scripted_pacs([kept_study], fail=[failing], move_failed_list=False, faults=[refusal])
    retrieves.connect(pacs, retrieves.system.add_store("store", "127.0.0.1", store_scp.port, "STORE"))
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert len(store_scp.uids) == 3
    assert (retrieve["status"], retrieve["verification"]) == ("incomplete", "reported")
    assert "which of them arrived is not known" in retrieve["detail"]


@pytest.mark.parametrize("instances", [1, 4])
def test_receipts_that_follow_the_end_of_the_move_are_receipts(
    retrieves: Retrieves, scripted_pacs, store_scp: StoreScp, instances
):
    # Given: another store that makes each object known a moment after its response
    system = retrieves.system
    retrieves.grace_s = 1.0
    kept_study = study(series("ct_image", instances))
    pacs = scripted_pacs([kept_study])
    retrieves.connect(pacs, system.add_store("store", "127.0.0.1", store_scp.port, "STORE"))
    system.start("store")
    retrieves.kept([kept_study])
    timers: list[threading.Timer] = []

    def publish(uid: str) -> None:
        stored = StoredObject(
            study_instance_uid=kept_study.study_instance_uid,
            series_instance_uid=kept_study.series[0].series_instance_uid,
            sop_instance_uid=uid,
        )
        system.publisher.event(ObjectsStored(store_ae_title="STORE", objects=[stored]), "objects")

    def received(uid: str) -> int:
        timers.append(threading.Timer(0.2, publish, args=[uid]))
        timers[-1].start()
        return 0x0000

    store_scp.status_for = received
    # When
    retrieve = retrieves.run()
    for timer in timers:
        timer.join()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("completed", instances)
    assert retrieve["verification"] == "receipts"


def also_in_our_store(retrieves: Retrieves, kept_study: Study) -> None:
    """Let DoseQR's own store have received a study just now."""
    with retrieves.system.database.write() as session:
        session.add_all(stored_objects(kept_study, STORE, utc_now()))


def our_store_holds(retrieves: Retrieves, uid: str) -> bool:
    with retrieves.system.database.read() as session:
        return session.get(StoredRow, uid) is not None


@pytest.mark.parametrize("named", [True, False], ids=["named", "without names"])
def test_what_our_store_holds_is_requested_for_another_store(
    retrieves: Retrieves, scripted_pacs, store_scp: StoreScp, kept_study, named: bool
):
    # Given
    pacs = scripted_pacs([kept_study])
    retrieves.connect(pacs, retrieves.system.add_store("store", "127.0.0.1", store_scp.port, "STORE"))
    retrieves.kept([kept_study], named=named)
    also_in_our_store(retrieves, kept_study)
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["asked"]) == ("completed", 7)
    assert store_scp.uids == objects(kept_study)


def test_what_our_store_receives_meanwhile_is_no_receipt_of_another_store(
    retrieves: Retrieves, scripted_pacs, archive: QueryableStore, kept_study
):
    # Given: one object is lost on the way to the archive, while our own store gets all of them
    lost = min(objects(kept_study))
    pacs = scripted_pacs([kept_study], never_arrive=[lost])
    retrieves.connect(pacs, retrieves.system.add_store("archive", "127.0.0.1", archive.port, "ARCHIVE"))
    retrieves.kept([kept_study])

    def status_of(_uid: str) -> int:
        if not our_store_holds(retrieves, lost):
            also_in_our_store(retrieves, kept_study)
        return 0x0000

    archive.status_for = status_of
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("incomplete", 6)
    assert [row["sop_instance_uid"] for row in retrieve["missing"]] == [lost]
