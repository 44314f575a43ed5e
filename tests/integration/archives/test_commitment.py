"""Orthanc as a store node with storage commitment; it reports on an association of its own."""

from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy import select

from shared.clock import utc_now
from shared.database.models import CommitmentReport, Node, RetrieveCommitment
from shared.dicom.storage_commitment.association import open_commitment_association
from shared.dicom.storage_commitment.messages import Reference, new_transaction_uid
from shared.nodes.peers import peer_of, timeouts_of
from tests.support.archives.orthanc import Orthanc
from tests.support.jobs.retrieves import GRACE_S, Retrieves, recorded_requests
from tests.support.jobs.rows import a_query, a_retrieve
from tests.support.peers.studies import objects, series, study
from tests.support.waiting import wait_until


@pytest.fixture
def kept_study():
    """A study of two series, with seven objects."""
    return study(series("ct_image", 5), series("rdsr_ct", 2))


@pytest.fixture
def archive(make_orthanc) -> Orthanc:
    """A store node, with nothing in it."""
    made: Orthanc = make_orthanc("ARCHIVE")
    return made


@pytest.fixture
def retrieves(system):
    """Retrieve services that wait a few seconds for a report."""
    system.settings = system.settings.model_copy(update={"commitment_timeout": 20.0})
    retrieves = Retrieves(system)
    retrieves.grace_s = GRACE_S
    yield retrieves
    retrieves.stop()


def connect(retrieves: Retrieves, pacs, archive: Orthanc, *, knows_us: bool = True) -> None:
    """Add both nodes, the archive with storage commitment; our store takes its reports, if it knows us."""
    system = retrieves.system
    store = system.add_store("archive", archive.host, archive.port, archive.ae_title)
    with system.database.write() as session:
        session.get_one(Node, store.id).verify_by = "commitment"
    if knows_us:
        archive.send_to(system.settings.store_ae_title, "127.0.0.1", system.settings.store_port)
    system.start("store")
    retrieves.connect(pacs, store)


def transactions(retrieves: Retrieves) -> list[RetrieveCommitment]:
    with retrieves.system.database.read() as session:
        return list(session.scalars(select(RetrieveCommitment).order_by(RetrieveCommitment.asked_at)))


def reported(archive: Orthanc) -> list[str]:
    """Return the states of the jobs in which it reports."""
    jobs = archive.get("/jobs?expand")
    return [job["State"] for job in jobs if job["Type"] == "StorageCommitmentScp"]


def has_reported(archive: Orthanc, times: int) -> bool:
    """Return whether it has reported so often."""
    return reported(archive) == ["Success"] * times


def test_what_an_orthanc_holds_it_commits_to(retrieves, scripted_pacs, archive, kept_study):
    # Given
    connect(retrieves, scripted_pacs([kept_study]), archive)
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["verification"]) == ("completed", "commitment")
    assert archive.sop_instance_uids() == objects(kept_study)
    assert [(row.state, row.committed) for row in transactions(retrieves)] == [("answered", 7)]


def test_object_absent_from_orthanc_is_requested_again_then_named(
    retrieves, scripted_pacs, archive, kept_study
):
    # Given: the PACS reports an object as sent
    lost = min(objects(kept_study))
    pacs = scripted_pacs([kept_study], never_arrive=[lost])
    connect(retrieves, pacs, archive)
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("incomplete", 6)
    [missing] = retrieve["missing"]
    assert (missing["sop_instance_uid"], missing["reason"]) == (lost, "not_committed")
    assert missing["detail"].startswith("ARCHIVE: 0x0112 no such object instance")
    assert len(recorded_requests(pacs)) > 1
    assert archive.sop_instance_uids() == objects(kept_study) - {lost}


def test_an_object_that_reaches_an_orthanc_the_second_time_is_committed_to(
    retrieves, scripted_pacs, archive, kept_study
):
    # Given
    connect(
        retrieves, scripted_pacs([kept_study], never_arrive=[min(objects(kept_study))], fail_times=1), archive
    )
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["verification"]) == ("completed", "commitment")
    assert archive.sop_instance_uids() == objects(kept_study)


def test_orthanc_that_does_not_know_us_leaves_objects_reported(retrieves, scripted_pacs, archive, kept_study):
    # Given
    retrieves.system.settings = retrieves.system.settings.model_copy(update={"commitment_timeout": 2.0})
    connect(retrieves, scripted_pacs([kept_study]), archive, knows_us=False)
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["verification"]) == ("completed", "reported")
    assert "ARCHIVE got a request for storage commitment" in retrieve["detail"]
    assert {row.state for row in transactions(retrieves)} <= {"refused", "unanswered"}


def request_commitment(retrieves: Retrieves, transaction_uid: str, uids: list[str]) -> None:
    """Request a commitment under our AE title, without any job."""
    system = retrieves.system
    peer = peer_of(retrieves.store, system.settings)
    association = open_commitment_association(peer, timeouts_of(system.settings))
    association.request(transaction_uid, [Reference("1.2.840.10008.5.1.4.1.1.2", uid) for uid in uids], None)
    association.release()


def reports(retrieves: Retrieves) -> list[CommitmentReport]:
    with retrieves.system.database.read() as session:
        return list(session.scalars(select(CommitmentReport)))


def test_unrequested_report_of_an_orthanc_is_refused(retrieves, scripted_pacs, archive, kept_study):
    # Given
    connect(retrieves, scripted_pacs([kept_study]), archive)
    # When
    request_commitment(retrieves, new_transaction_uid(), ["1.2.3"])
    wait_until(lambda: bool(reported(archive)) and reported(archive)[0] in ("Failure", "Success"))
    # Then
    assert reported(archive) == ["Failure"]
    assert reports(retrieves) == []


def test_the_second_report_of_an_orthanc_on_a_transaction_changes_nothing(
    retrieves, scripted_pacs, archive, kept_study
):
    # Given
    connect(retrieves, scripted_pacs([kept_study]), archive)
    transaction_uid = new_transaction_uid()
    nodes = {"remote_id": retrieves.remote.id, "store_id": retrieves.store.id}
    with retrieves.system.database.write() as session:
        session.add(a_query(**nodes))
        session.flush()
        session.add(a_retrieve(status="running", **nodes))
        session.add(
            RetrieveCommitment(
                transaction_uid=transaction_uid,
                job_id="retrieve-1",
                task_id=1,
                objects=1,
                asked_at=utc_now(),
            )
        )
    # When
    for number, uid in enumerate(["1.2.3", "1.2.4"], start=1):
        request_commitment(retrieves, transaction_uid, [uid])
        wait_until(partial(has_reported, archive, number))
    # Then
    [report] = reports(retrieves)
    assert report.failed == {"1.2.3": 0x0112}
