"""A retrieve that is paused in the middle of a C-MOVE or C-GET, alone or with its node."""

from __future__ import annotations

import time

import pytest

from shared.contract.messages import (
    EchoCompleted,
    EchoNodes,
    NodePaused,
    Paused,
    PauseJob,
    PauseNode,
    ResumeJob,
    ResumeNode,
)
from shared.database.models import Node, NodeLease, RetrieveTask
from simulator.scp import ScriptedPacs
from tests.support.jobs.retrieves import Retrieves
from tests.support.peers.studies import series, study
from tests.support.waiting import wait_until

OBJECTS = 40


@pytest.fixture
def half_way(retrieves: Retrieves, scripted_pacs, request):
    """A retrieve whose PACS is sending the objects, one each 0.1 s, and the service that pauses nodes."""
    ct_study = study(series("ct_image", OBJECTS))
    pacs = scripted_pacs([ct_study], store_pause_s=0.1)
    retrieves.connect(pacs)
    retrieves.system.start("query")
    with retrieves.system.database.write() as session:
        session.get_one(Node, retrieves.remote.id).retrieve_by = getattr(request, "param", "move")
    retrieves.kept([ct_study])
    job_id = retrieves.order()
    wait_until(lambda: pacs.witness.objects_sent >= 3)
    return retrieves, pacs, job_id


def held(retrieves: Retrieves) -> list[object]:
    """Return the tasks in flight and the leases of associations."""
    with retrieves.system.database.read() as session:
        flying = session.query(RetrieveTask).filter(RetrieveTask.state.in_(("queued", "running")))
        return [*flying, *session.query(NodeLease).filter_by(node_id=retrieves.remote.id)]


def sent_later(pacs: ScriptedPacs) -> int:
    """Return how many objects leave the PACS once two seconds have passed."""
    time.sleep(2)
    before = pacs.witness.objects_sent
    time.sleep(0.5)
    return pacs.witness.objects_sent - before


@pytest.mark.parametrize("half_way", ["move", "get"], indirect=True)
def test_nothing_leaves_while_paused_and_resume_ends_the_same(half_way):
    # Given
    retrieves, pacs, job_id = half_way
    system = retrieves.system
    # When
    system.command(PauseJob(job_id=job_id, requested_by="physicist"))
    wait_until(lambda: bool(system.published(Paused)))
    # Then
    assert sent_later(pacs) == 0
    assert held(retrieves) == []
    between = system.retrieve_json(job_id)
    assert (between["status"], between["paused"], between["paused_by"]) == ("running", True, "physicist")
    assert (between["counts"]["failed"], between["counts"]["missing"]) == (0, 0)
    assert between["counts"]["arrived"] == pacs.witness.objects_sent < OBJECTS
    # When
    pacs.change(store_pause_s=0)
    system.command(ResumeJob(job_id=job_id))
    system.wait_for_end(job_id)
    # Then
    after = system.retrieve_json(job_id)
    assert (after["status"], after["counts"]["arrived"], after["paused"]) == ("completed", OBJECTS, False)
    assert pacs.witness.objects_sent == OBJECTS


def test_a_paused_node_is_tested_but_used_by_no_job(half_way):
    # Given
    retrieves, pacs, job_id = half_way
    system = retrieves.system
    system.start("echo")
    # When
    system.command(PauseNode(node="pacs", requested_by="admin"))
    wait_until(lambda: bool(system.published(NodePaused)))
    # Then
    assert sent_later(pacs) == 0
    assert held(retrieves) == []
    assert system.retrieve_json(job_id)["note"].startswith("the node pacs is paused by admin since 20")
    # When
    system.command(EchoNodes(nodes=["pacs"]))
    wait_until(lambda: bool(system.published(EchoCompleted)))
    pacs.change(store_pause_s=0)
    system.command(ResumeNode(node="pacs"))
    system.wait_for_end(job_id)
    # Then
    assert system.published(EchoCompleted)[0].results[0].ok
    after = system.retrieve_json(job_id)
    assert (after["status"], after["counts"]["arrived"]) == ("completed", OBJECTS)


def test_a_worker_that_dies_in_a_pause_loses_nothing(half_way):
    # Given
    retrieves, pacs, job_id = half_way
    system = retrieves.system
    system.command(PauseJob(job_id=job_id))
    wait_until(lambda: held(retrieves) == [])
    # When
    retrieves.stop()
    pacs.change(store_pause_s=0)
    retrieves.start()
    system.command(ResumeJob(job_id=job_id))
    system.wait_for_end(job_id)
    # Then
    after = system.retrieve_json(job_id)
    assert (after["status"], after["counts"]["arrived"]) == ("completed", OBJECTS)
