"""Moves wait for what cannot take objects now, the PACS is spared meanwhile, and they go on by themselves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from services.retrieve.planning import fruitless
from services.retrieve.transfer import back_pressure, fruitless_requests, store_check
from services.retrieve.transfer.c_move import MAX_FRUITLESS_REQUESTS
from services.web.live.trouble import Trouble
from shared.backoff import Backoff
from shared.clock import utc_now
from shared.contract.events import WorkerHeartbeat
from shared.contract.text import StoreState
from shared.database.models import HandoverBatch
from shared.node_access import outage
from tests.support.jobs.retrieves import Retrieves, recorded_requests
from tests.support.peers.studies import ct_study
from tests.support.ports import free_port
from tests.support.waiting import wait_until

MIB = 1 << 20
BACKLOG = 10
#: Requests that bring nothing, before single objects are requested.
MOST = 4


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Held moves are tried anew at once."""
    monkeypatch.setattr(back_pressure, "AGAIN_AFTER", timedelta(seconds=0.2))
    monkeypatch.setattr(back_pressure, "COUNT_LASTS_S", 0.0)
    monkeypatch.setattr(fruitless_requests, "OTHER_TRIES", timedelta(seconds=0.2))
    monkeypatch.setattr(store_check, "AGAIN_AFTER", timedelta(seconds=0.2))
    monkeypatch.setattr(outage, "PAUSES", Backoff(0.1, 0.2))
    monkeypatch.setattr(fruitless, "PAUSES", Backoff(0.1, 0.4))
    monkeypatch.setattr(fruitless, "MOST_AT_FIRST", MOST)


def held(retrieves: Retrieves, kind: str) -> float:
    """Return what the metric of the retrieve service says."""
    (lifecycle,) = retrieves._lifecycles
    (metric,) = [metric for metric in lifecycle.health.collect() if metric.name == "doseqr_moves_held"]
    return next(sample.value for sample in metric.samples if sample.labels["reason"] == kind)


def test_moves_wait_for_an_importer_that_is_behind(retrieves: Retrieves, scripted_pacs):
    # Given
    system, pacs = retrieves.system, scripted_pacs([kept := ct_study()])
    system.settings = system.settings.model_copy(update={"handover_backlog": BACKLOG})
    now = utc_now()
    with system.database.write() as session:
        times = {"created_at": now, "last_added_at": now, "due_at": now}
        session.add(HandoverBatch(id="b1", state="waiting", objects=BACKLOG + 1, **times))
        session.add(HandoverBatch(id="b2", state="failed", objects=1000, **times))
    retrieves.connect(pacs)
    retrieves.kept([kept])
    # When
    job_id = retrieves.order()
    wait_until(lambda: "behind: 11 objects are to be handed over" in retrieves.note(job_id))
    complaints = Trouble(system.database, BACKLOG).complaints()
    metric = held(retrieves, "importer")
    moved = pacs.witness.of("move")
    with system.database.write() as session:
        session.execute(update(HandoverBatch).where(HandoverBatch.id == "b1").values(state="done"))
    system.wait_for_end(job_id)
    # Then
    assert not moved
    assert metric == 1
    assert held(retrieves, "importer") == 0
    assert "11 objects" in complaints[0].text
    assert retrieves.job(job_id).status == "completed"


def test_moves_wait_while_the_store_is_nearly_full(retrieves: Retrieves, scripted_pacs):
    # Given
    system, pacs = retrieves.system, scripted_pacs([kept := ct_study()])
    retrieves.connect(pacs)
    retrieves.kept([kept])

    def report(free_bytes: int) -> None:
        state = StoreState(objects_free_bytes=free_bytes, objects_reserve_bytes=100 * MIB)
        system.publisher.event(WorkerHeartbeat(service="store", worker="store-1", store=state), "worker")

    report(150 * MIB)
    wait_until(lambda: held(retrieves, "store") == 1)
    # When
    job_id = retrieves.order()
    wait_until(lambda: "150 MiB are free" in retrieves.note(job_id))
    moved = pacs.witness.of("move")
    report(250 * MIB)
    system.wait_for_end(job_id)
    # Then
    assert not moved
    assert retrieves.job(job_id).status == "completed"


def test_moves_wait_for_our_own_store_that_is_away(retrieves: Retrieves, scripted_pacs):
    # Given
    system, kept = retrieves.system, [ct_study() for _ in range(8)]
    pacs = scripted_pacs(kept)
    retrieves.connect(pacs, system.add_own_store())
    retrieves.kept(kept)
    # When
    job_id = retrieves.order()
    wait_until(lambda: "own store responds again: connection refused" in retrieves.note(job_id))
    tried, metric = len(recorded_requests(pacs)), held(retrieves, "store")
    system.start("store")
    system.wait_for_end(job_id)
    # Then
    assert (metric, held(retrieves, "store")) == (1, 0)
    assert tried <= MAX_FRUITLESS_REQUESTS * system.settings.retrieve_workers
    assert retrieves.job(job_id).status == "completed"


@pytest.mark.parametrize("own", [True, False], ids=["own store", "another store"])
def test_a_pacs_that_cannot_reach_the_store_is_spared(
    retrieves: Retrieves, scripted_pacs, store_scp, own: bool
):
    # Given
    system, kept = retrieves.system, [ct_study() for _ in range(4)]
    pacs = scripted_pacs(kept)
    retrieves.connect(pacs, None if own else system.add_store("st", "127.0.0.1", store_scp.port, "STORE"))
    destination = pacs.destinations[retrieves.store.ae_title]
    pacs.destinations[retrieves.store.ae_title] = ("127.0.0.1", free_port())
    retrieves.kept(kept)
    # When
    job_id = retrieves.order()
    wait_until(lambda: "check that the PACS reaches" in retrieves.note(job_id))
    tried = len(recorded_requests(pacs))
    pacs.destinations[retrieves.store.ae_title] = destination
    system.wait_for_end(job_id)
    # Then
    assert tried <= MOST + MAX_FRUITLESS_REQUESTS * system.settings.retrieve_workers
    assert retrieves.job(job_id).status == "completed"


def test_a_job_ends_of_which_nothing_comes_for_long(retrieves: Retrieves, scripted_pacs, monkeypatch):
    # Given
    monkeypatch.setattr("services.retrieve.transfer.fruitless_requests.LEAST_SINGLE", 2)
    system, kept = retrieves.system, [ct_study() for _ in range(8)]
    system.settings = system.settings.model_copy(update={"patience": 1.0})
    pacs = scripted_pacs(kept, move_refused_with=0xA702)
    retrieves.connect(pacs)
    retrieves.kept(kept)
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["failure"]) == ("failed", "nothing_arrived")
    assert "check that the PACS reaches DOSEQR" in retrieve["detail"]
    assert {entry["reason"] for entry in retrieve["missing"]} == {"out_of_resources"}
    assert retrieve["counts"]["failed"] == retrieve["counts"]["asked"]
