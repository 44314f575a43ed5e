"""The life of a retrieve: refused, cancelled, taken over from a dead worker."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from services.retrieve.planning.payloads import MOVE
from shared.clock import utc_now
from shared.contract.messages import CancelJob, Progress, Rejected, RunRetrieve
from shared.database.models import Node, RetrieveTask
from shared.dicom.association import sub_operations
from shared.nodes.removal import remove_node
from shared.settings import Settings
from simulator.transfer.c_move import MoveScp
from tests.support.jobs.retrieves import Retrieves, recorded_requests
from tests.support.peers.studies import series, study
from tests.support.waiting import wait_until


@pytest.fixture
def ready(retrieves: Retrieves, scripted_pacs):
    """A retrieve service whose PACS holds one study of 40 images."""
    kept_study = study(series("ct_image", 40))
    pacs = scripted_pacs([kept_study])
    retrieves.connect(pacs)
    return retrieves, pacs, kept_study


def refused(retrieves: Retrieves, **fields: Any) -> str:
    order = RunRetrieve(**({"query_id": "query-1"} | fields))
    retrieves.system.command(order)
    event = retrieves.system.wait_for_event(Rejected)
    assert event.command_type == RunRetrieve.TYPE
    return str(event.field)


def test_an_unknown_query_is_refused(ready):
    retrieves, _, _ = ready
    assert refused(retrieves, query_id="nothing") == "data.query_id"


@pytest.mark.parametrize("status", ["queued", "running", "failed"])
def test_a_query_that_has_no_result_is_refused(ready, status):
    # Given
    retrieves, _, kept_study = ready
    retrieves.kept([kept_study], status=status)
    # Then
    assert refused(retrieves) == "data.query_id"


def test_a_query_that_kept_nothing_is_refused(ready):
    retrieves, _, _ = ready
    retrieves.kept([])
    assert refused(retrieves) == "data.query_id"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"types": ["XX"]}, "data.types"),
        ({"types": ["MG"]}, "data.types"),
        ({"study_instance_uids": ["1.2.3"]}, "data.study_instance_uids"),
    ],
)
def test_a_selection_that_holds_nothing_is_refused(ready, fields, field):
    # Given
    retrieves, _, kept_study = ready
    retrieves.kept([kept_study])
    # Then
    assert refused(retrieves, **fields) == field


def test_a_query_of_a_removed_node_is_refused(ready):
    # Given
    retrieves, _, kept_study = ready
    retrieves.kept([kept_study])
    with retrieves.system.database.write() as session:
        remove_node(session, session.merge(retrieves.remote), Settings(), utc_now())
    # Then
    assert refused(retrieves) == "data.query_id"


@pytest.mark.parametrize("status", ["incomplete", "cancelled"])
def test_what_an_unfinished_query_kept_can_be_retrieved(ready, status):
    # Given
    retrieves, _, kept_study = ready
    retrieves.kept([kept_study], status=status)
    # Then
    assert retrieves.run()["status"] == "completed"


def test_cancelling_ends_the_move_and_keeps_what_arrived(ready):
    # Given
    retrieves, pacs, kept_study = ready
    pacs.change(store_pause_s=0.2)
    retrieves.kept([kept_study])
    job_id = retrieves.order()
    wait_until(lambda: pacs.witness.objects_sent >= 2)
    # When
    retrieves.system.command(CancelJob(job_id=job_id))
    retrieves.system.wait_for_end(job_id)
    wait_until(lambda: bool(recorded_requests(pacs)))
    # Then
    assert recorded_requests(pacs)[0].status == 0xFE00
    retrieve = retrieves.system.retrieve_json(job_id)
    assert retrieve["status"] == "cancelled"
    sent = pacs.witness.objects_sent
    wait_until(lambda: retrieves.system.retrieve_json(job_id)["counts"]["arrived"] == sent)
    rows = retrieves.objects(job_id).values()
    assert {row.reason for row in rows if row.state != "arrived"} == {"cancelled"}


@pytest.mark.parametrize("by", ["move", "get"])
def test_a_pacs_that_sends_fast_is_cancelled_too(retrieves: Retrieves, scripted_pacs, by):
    # Given: there is always another response to read
    many = study(series("ct_image", 600))
    pacs = scripted_pacs([many], store_pause_s=0.005)
    retrieves.connect(pacs)
    with retrieves.system.database.write() as session:
        session.get_one(Node, retrieves.remote.id).retrieve_by = by
    retrieves.kept([many])
    job_id = retrieves.order()
    wait_until(lambda: pacs.witness.objects_sent >= 5)
    # When
    retrieves.system.command(CancelJob(job_id=job_id))
    retrieves.system.wait_for_end(job_id)
    wait_until(lambda: bool(recorded_requests(pacs, by)))
    # Then
    assert recorded_requests(pacs, by)[0].status == 0xFE00
    assert retrieves.system.status(job_id) == "cancelled"


@pytest.mark.parametrize("by", ["move", "get"])
def test_a_pacs_that_is_pending_for_ever_is_left(retrieves: Retrieves, scripted_pacs, monkeypatch, by):
    # Given: pending responses whose counters stand still
    def for_ever(mover: MoveScp, objects, sub_operations, counters) -> int:
        for _ in range(200):
            mover._respond(0xFF00, counters)
            time.sleep(0.05)
        return 0x0000

    monkeypatch.setattr(MoveScp, "_perform_all", for_ever)
    monkeypatch.setattr(sub_operations, "STALLED_S", 0.4)
    kept_study = study(series("ct_image", 1))
    retrieves.connect(scripted_pacs([kept_study]))
    with retrieves.system.database.write() as session:
        session.get_one(Node, retrieves.remote.id).retrieve_by = by
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["failure"]) == ("failed", "timed_out")
    assert retrieve["detail"].endswith("nothing was sent for 0.4 s")


def test_cancelling_an_unknown_job_is_left_to_others(ready):
    # Given
    retrieves, _, kept_study = ready
    retrieves.kept([kept_study])
    # When
    retrieves.system.command(CancelJob(job_id="nothing"))
    retrieves.run()
    # Then
    assert not retrieves.system.published(Rejected)


def test_progress_is_published_while_a_move_runs(ready):
    # Given
    retrieves, pacs, kept_study = ready
    pacs.change(store_pause_s=0.05)
    retrieves.kept([kept_study])
    # When
    retrieves.run()
    # Then
    reported = [event.counts["reported_completed"] for event in retrieves.system.published(Progress)]
    assert any(0 < number < 40 for number in reported)


def test_a_task_that_is_taken_from_its_worker_counts_once(ready):
    # Given: a worker that lost its lease in the middle of a move
    retrieves, pacs, kept_study = ready
    retrieves.kept([kept_study])
    pacs.change(store_pause_s=0.1)
    job_id = retrieves.order()
    wait_until(lambda: pacs.witness.objects_sent >= 5)
    # When
    with retrieves.system.database.write() as session:
        past = utc_now() - timedelta(seconds=1)
        values = {"claim_token": "another", "lease_until": past}
        session.execute(update(RetrieveTask).where(RetrieveTask.kind == MOVE).values(**values))
    retrieves.system.wait_for_end(job_id)
    # Then
    retrieve = retrieves.system.retrieve_json(job_id)
    assert (retrieve["status"], retrieve["counts"]["asked"], retrieve["counts"]["arrived"]) == (
        "completed",
        40,
        40,
    )
    wait_until(lambda: len(recorded_requests(pacs)) >= 2)
    rest = [
        len(request.keys["SOPInstanceUID"]) for request in recorded_requests(pacs) if request.level == "IMAGE"
    ]
    assert 0 < sum(rest) <= 35


def test_a_stop_in_the_middle_hands_the_work_back(ready):
    # Given
    retrieves, pacs, kept_study = ready
    pacs.change(store_pause_s=0.5)
    retrieves.kept([kept_study])
    job_id = retrieves.order()
    wait_until(lambda: pacs.witness.objects_sent >= 2)
    # When
    retrieves.stop()
    status = retrieves.system.status(job_id)
    pacs.change(store_pause_s=0)
    retrieves.start()
    retrieves.system.wait_for_end(job_id)
    # Then
    assert status == "running"
    assert retrieves.system.retrieve_json(job_id)["counts"]["arrived"] == 40
