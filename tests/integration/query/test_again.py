"""An ended query is run again for what is missing of it, and for nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from shared.broker.memory.broker import MemoryBroker
from shared.clock import utc_now
from shared.contract.messages import Accepted, AskAgain, CancelJob, Rejected
from shared.database.models import QueryFind
from shared.nodes.nodes import find_node
from shared.nodes.removal import remove_node
from shared.reading.query_json import QueryJson
from shared.settings import Settings
from simulator.behaviour import Fault
from tests.support.jobs.rows import a_retrieve
from tests.support.peers.studies import DAY, ct_study, mg_study, objects
from tests.support.services.in_process import System
from tests.support.waiting import wait_until

ALL = {"types": ["CT", "MG"], "date_from": str(DAY), "date_until": str(DAY)}
#: The PACS never answers about mammography.
NO_MG = {"operation": "find", "level": "STUDY", "code": "MG", "kind": "abort", "always": True}


@pytest.fixture
def on_both_databases(make_system, database) -> System:
    broker = MemoryBroker()
    broker.declare()
    system: System = make_system(broker, database)
    return system


def ready(system: System, pacs, *services: str) -> None:
    system.add_remote("pacs", pacs.host, pacs.port, pacs.ae_title)
    system.add_own_store()
    system.start(*(services or ("query",)))


def again(system: System, job_id: str, command_id: str | None = None) -> str:
    return system.command(AskAgain(job_id=job_id, requested_by="physicist"), command_id)


def run_again(system: System, job_id: str) -> QueryJson:
    """Ask again, and wait for the end of that."""
    ends = len(system.endings(job_id))
    again(system, job_id)
    wait_until(lambda: len(system.endings(job_id)) > ends)
    return system.query_json(job_id)


def refused(system: System, job_id: str) -> str:
    command_id = again(system, job_id)
    event: Rejected = system.wait_for_event(Rejected)
    assert event.command_id == command_id
    assert event.field == "data.job_id"
    return event.problem


def codes_searched(system: System, job_id: str) -> list[object]:
    """Return the code of each search at STUDY level; control requests, which only prove, are left out."""
    which = QueryFind.job_id == job_id, QueryFind.level == "STUDY", ~QueryFind.control
    with system.database.read() as session:
        keys = session.scalars(select(QueryFind.keys).where(*which).order_by(QueryFind.id))
        return [searched.get("code") for searched in keys]


def verdict(query: QueryJson) -> Any:
    return query["status"], query["counts"], query["studies"]


def test_only_the_slice_that_failed_is_run_again(on_both_databases, scripted_pacs):
    # Given
    system = on_both_databases
    pacs = scripted_pacs([ct_study(), mg_study(), mg_study()], faults=[Fault(**NO_MG)])
    ready(system, pacs)
    first = system.finished_query(ALL)
    before = codes_searched(system, first["id"])
    pacs.change(faults=())
    # When
    query = run_again(system, first["id"])
    # Then
    assert (first["status"], first["slices"]["failed"], len(first["missing"])) == ("incomplete", 1, 1)
    assert (query["status"], query["round"], query["missing"]) == ("completed", 1, [])
    assert set(codes_searched(system, query["id"])[len(before) :]) == {"MG"}
    assert verdict(query) == verdict(system.finished_query(ALL))
    assert [ending.status for ending in system.endings(query["id"])] == ["incomplete", "completed"]


def test_only_the_study_that_was_missing_is_run_again(on_both_databases, scripted_pacs):
    # Given
    system = on_both_databases
    studies = [ct_study() for _ in range(12)]
    ill = studies[5].study_instance_uid
    fault = Fault(operation="find", level="SERIES", kind="status", status=0xA900, uid=ill, always=True)
    pacs = scripted_pacs(studies, relational="refused", faults=[fault])
    ready(system, pacs)
    first = system.finished_query(ALL)
    before = len(pacs.witness.of("find"))
    pacs.change(faults=())
    # When
    query = run_again(system, first["id"])
    # Then
    assert (first["counts"]["missing"], first["counts"]["kept"]) == (1, 11)
    assert (query["status"], query["counts"]["missing"], query["counts"]["kept"]) == ("completed", 0, 12)
    finds = pacs.witness.of("find")[before:]
    assert [request for request in finds if request.level == "STUDY"] == []
    assert {uid for request in finds for uid in request.keys["StudyInstanceUID"]} == {ill}
    assert verdict(query) == verdict(system.finished_query(ALL))


def test_what_is_missing_still_is_missing_again(system, scripted_pacs):
    # Given
    ready(system, scripted_pacs([ct_study(), mg_study()], faults=[Fault(**NO_MG)]))
    first = system.finished_query(ALL)
    # When
    query = run_again(system, first["id"])
    # Then
    assert verdict(query) == verdict(first)
    assert query["missing"] == first["missing"]
    assert [ending.round for ending in system.endings(query["id"])] == [0, 1]


def test_a_query_that_failed_for_want_of_the_pacs_is_run_again(system, scripted_pacs):
    # Given
    pacs = scripted_pacs([ct_study(), mg_study()], calling_ae_titles=["SOMEBODY"])
    ready(system, pacs)
    first = system.finished_query(ALL)
    pacs.change(calling_ae_titles=())
    # When
    query = run_again(system, first["id"])
    # Then
    assert first["status"] == "failed"
    assert (query["status"], query["failure"], query["detail"]) == ("completed", "", "")
    assert query["counts"]["kept"] == 2
    assert verdict(query) == verdict(system.finished_query(ALL))


def test_a_cancelled_query_goes_on(system, scripted_pacs):
    # Given
    studies = [ct_study() for _ in range(60)]
    pacs = scripted_pacs(studies, relational="refused", uid_lists_series="refused", request_delay_s=0.05)
    ready(system, pacs)
    job_id = system.query(ALL)
    wait_until(lambda: len(pacs.witness.of("find")) >= 20)
    system.command(CancelJob(job_id=job_id))
    system.wait_for_end(job_id)
    found = system.query_json(job_id)["counts"]["examined"]
    pacs.change(request_delay_s=0.0)
    # When
    query = run_again(system, job_id)
    # Then
    assert found < 60
    assert (query["status"], query["counts"]["kept"]) == ("completed", 60)
    assert verdict(query) == verdict(system.finished_query(ALL))


def test_another_worker_goes_on_with_it_after_a_restart_of_all(system, scripted_pacs):
    # Given
    pacs = scripted_pacs([ct_study(), mg_study()], faults=[Fault(**NO_MG)])
    ready(system, pacs)
    first = system.finished_query(ALL)
    system.stop()
    pacs.change(faults=())
    again(system, first["id"], "again-1")
    again(system, first["id"], "again-1")
    # When
    system.start("query", "query")
    # Then
    wait_until(lambda: len(system.endings(first["id"])) == 2)
    query = system.query_json(first["id"])
    assert (query["status"], query["round"]) == ("completed", 1)
    assert {event.round for event in system.published(Accepted) if event.job_id == first["id"]} == {0, 1}


def test_what_the_second_round_found_is_retrieved_too(system, scripted_pacs):
    # Given
    archive = [ct_study(), mg_study()]
    pacs = scripted_pacs(archive, faults=[Fault(**NO_MG)])
    pacs.destinations["DOSEQR"] = ("127.0.0.1", system.settings.store_port)
    ready(system, pacs, "store", "query", "retrieve")
    job_id = system.query(ALL, retrieve=True)
    system.wait_for_end(f"{job_id[:61]}-r")
    pacs.change(faults=())
    # When
    again(system, job_id)
    system.wait_for_end(f"{job_id[:61]}-r1")
    # Then
    second = system.retrieve_json(f"{job_id[:61]}-r1")
    images = objects(*archive, content="mg_image")
    assert (second["status"], second["counts"]["arrived"]) == ("completed", len(images))


def test_a_completed_query_is_refused_with_a_sentence(system, scripted_pacs):
    # Given
    ready(system, scripted_pacs([ct_study()]))
    query = system.finished_query(ALL)
    # When / Then
    assert refused(system, query["id"]) == "nothing is missing: it is completed"
    assert system.query_json(query["id"])["round"] == 0


def test_a_query_of_a_node_that_was_removed_is_refused(system, scripted_pacs):
    # Given
    ready(system, scripted_pacs([mg_study()], faults=[Fault(**NO_MG)]))
    query = system.finished_query(ALL)
    with system.database.write() as session:
        remove_node(session, find_node(session, "pacs"), Settings(), utc_now())
    # When / Then
    assert refused(system, query["id"]) == "the remote node of this query was removed"
    assert system.query_json(query["id"])["status"] == "incomplete"


def test_a_job_that_nobody_knows_is_refused(system, scripted_pacs):
    ready(system, scripted_pacs([]))
    assert refused(system, "nobody") == "there is no such job"


def test_a_retrieve_is_left_to_its_own_service(system, scripted_pacs):
    # Given
    ready(system, scripted_pacs([ct_study()]))
    query = system.finished_query(ALL)
    with system.database.write() as session:
        session.add(a_retrieve("r", query["id"], status="failed"))
    # When
    again(system, "r")
    problem = refused(system, "nobody")
    # Then
    assert problem == "there is no such job"
    assert len(system.published(Rejected)) == 1
