"""Moves into DoseQR's own store wait for it and for the importer behind it, and go on by themselves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from services.retrieve.transfer import back_pressure
from services.web.live.trouble import Trouble
from shared.clock import utc_now
from shared.contract.events import WorkerHeartbeat
from shared.contract.text import StoreState
from shared.database.models import HandoverBatch
from tests.support.jobs.retrieves import Retrieves
from tests.support.peers.studies import ct_study
from tests.support.waiting import wait_until

MIB = 1 << 20
BACKLOG = 10


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Held moves are tried anew at once."""
    monkeypatch.setattr(back_pressure, "AGAIN_AFTER", timedelta(seconds=0.2))
    monkeypatch.setattr(back_pressure, "COUNT_LASTS_S", 0.0)


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
