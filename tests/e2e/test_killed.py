"""Workers and the store killed with SIGKILL in the middle of jobs; test_away.py kills everything at once."""

from __future__ import annotations

from shared.contract.messages import Completed, RunRetrieve
from shared.database.models import StoredObject
from simulator.archive.model import Study
from tests.e2e.archive import mixed_archive, wanted
from tests.e2e.slow import (
    ONE_BY_ONE,
    SOON_S,
    all_arrived_once,
    as_undisturbed,
    begin_slow_query,
    begin_slow_retrieve,
    many_images,
)
from tests.support.archives.dicomweb_server import web_fault
from tests.support.peers.studies import mg_study
from tests.support.processes.installation import Observed
from tests.support.waiting import wait_until


def test_another_worker_goes_on_with_the_query_of_a_killed_one(serving, scripted_pacs):
    # Given
    pacs = scripted_pacs(mixed_archive(30), **ONE_BY_ONE)
    workers, observer = serving("query", "query")
    observer.add_pacs(pacs)
    job_id = begin_slow_query(observer, pacs)
    observer.task_in_progress_of("query", workers[0])
    # When
    workers[0].kill()
    # Then
    as_undisturbed(observer, pacs, job_id)


def test_a_worker_started_later_goes_on_with_the_query_of_the_only_one(installation, serving, scripted_pacs):
    # Given
    pacs = scripted_pacs(mixed_archive(30), **ONE_BY_ONE)
    (worker,), observer = serving("query")
    observer.add_pacs(pacs)
    job_id = begin_slow_query(observer, pacs)
    observer.task_in_progress_of("query", worker)
    # When
    worker.kill()
    installation.serve("query")
    # Then
    as_undisturbed(observer, pacs, job_id)


def stored(observer: Observed, of: Study) -> dict[str, StoredObject]:
    with observer.database.read() as session:
        rows = session.query(StoredObject).filter_by(study_instance_uid=of.study_instance_uid)
        return {row.sop_instance_uid: row for row in rows}


def test_a_worker_started_later_goes_on_with_the_requests_of_the_only_one(
    installation, serving, scripted_pacs
):
    # Given one worker in the middle of a C-MOVE, and of a C-GET without bulk data
    archive = {content: mg_study(images=60) for content in ("whole", "headers")}
    pacs = scripted_pacs(archive.values(), without_bulk_data=True, store_pause_s=0.1)
    workers, observer = serving("retrieve", "query", "store")
    observer.add_pacs(pacs)
    query = observer.finished_query({"types": ["MG"]})
    jobs = {
        content: observer.command(
            RunRetrieve(query_id=query["id"], study_instance_uids=[of.study_instance_uid], content=content)
        )
        for content, of in archive.items()
    }
    wait_until(lambda: all(len(stored(observer, of)) >= 3 for of in archive.values()))
    # When
    workers[0].kill()
    before = [len(stored(observer, of)) for of in archive.values()]
    pacs.change(store_pause_s=0.0)
    installation.serve("retrieve")
    # Then
    assert max(before) < 60
    for content, job_id in jobs.items():
        observer.wait_for_end(job_id, SOON_S)
        retrieve, arrived = observer.retrieve_json(job_id), stored(observer, archive[content])
        assert retrieve["status"] == "completed"
        assert retrieve["counts"]["asked"] == retrieve["counts"]["arrived"] == len(arrived) == 60
        assert {(row.content, row.conflicts) for row in arrived.values()} == {(content, 0)}
        assert [type(event) for event in observer.endings(job_id)] == [Completed]
    assert observer.files() == wanted([*archive.values()])
    # And the headers did not come by the next way, with pixels
    moved = {uid for move in pacs.witness.of("move") for uid in move.keys["StudyInstanceUID"]}
    assert moved == {archive["whole"].study_instance_uid}


def test_another_worker_goes_on_with_the_multipart_of_a_killed_one(serving, dicomweb_server):
    # Given
    archive = [mg_study(images=12) for _ in range(2)]
    server = dicomweb_server(archive, web_fault("drip", "retrieve"))
    workers, observer = serving("retrieve", "retrieve", "query", "store")
    observer.add_dicomweb("pacs", server.url, max_associations=16)
    query = observer.finished_query({"types": ["MG"]})
    job_id = observer.command(RunRetrieve(query_id=query["id"]))
    observer.task_in_progress_of("retrieve", workers[0])
    wait_until(lambda: len(observer.files()) >= 3)
    # When
    workers[0].kill()
    server.change(faults=())
    # Then
    observer.wait_for_end(job_id, SOON_S)
    retrieve = observer.retrieve_json(job_id)
    assert (retrieve["status"], retrieve["verification"]) == ("completed", "receipts")
    assert retrieve["counts"]["asked"] == retrieve["counts"]["arrived"] == len(wanted(archive))
    assert observer.files() == wanted(archive)
    assert [type(event) for event in observer.endings(job_id)] == [Completed]


def test_a_retrieve_goes_on_after_the_store_was_killed_in_mid_association(
    installation, serving, scripted_pacs
):
    # Given
    archive = many_images()
    pacs = scripted_pacs(archive)
    processes, observer = serving("store", "retrieve", "query")
    observer.add_pacs(pacs)
    job_id = begin_slow_retrieve(observer, pacs)
    # When
    processes[0].kill()
    stored = observer.files()
    wait_until(lambda: any(request.status not in {0x0000, None} for request in pacs.witness.of("move")))
    installation.serve("store")
    # Then
    all_arrived_once(observer, pacs, job_id, archive)
    assert stored <= observer.files()
