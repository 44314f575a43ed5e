"""What DoseQR's own store says of its disk stands in the banner of the pages that need it."""

from __future__ import annotations

import pytest

from services.web.live.event_results import STORE_STATE_S, STORES, EchoResults
from services.web.live.service_status import store_complaints
from shared.contract.events import WorkerHeartbeat
from shared.contract.text import StoreState
from shared.database.models import Node
from tests.support.jobs.rows import a_query, a_study
from tests.support.waiting import wait_until

FULL = StoreState(problem="the disk of the objects is full: 3 MiB free", refused_recently=874)


def heartbeat(state: StoreState | None = FULL, worker: str = "store-1") -> WorkerHeartbeat:
    return WorkerHeartbeat(service="store", worker=worker, store=state)


@pytest.mark.parametrize("address", ["/imports/query", "/banner", "/jobs/q1", "/imports/query?job=q1"])
def test_a_full_disk_is_named_where_objects_are_to_arrive(site, address):
    # Given: a query whose store node is DoseQR's own
    site.listen_all()
    with site.database.write() as session:
        store = session.get_one(Node, 2)
        store.host, store.port = site.settings.store_address, site.settings.store_port
        store.ae_title = site.settings.store_ae_title
    site.add(a_query("q1", studies_kept=1, store_id=2), a_study("1.2", "q1"))
    person = site.person("importer")
    before = person.text(address)
    # When
    site.publisher.event(heartbeat(), "worker")
    wait_until(lambda: bool(site.components.live.event_results.store_states()))
    after = person.text(address)
    # Then
    assert "takes no objects" not in before
    assert "the disk of the objects is full: 3 MiB free" in after
    assert "This is not the PACS&#39;s fault." in after


def test_refusals_of_the_last_minute_are_named():
    assert "refused 12 objects" in store_complaints([StoreState(refused_recently=12)])[0].text


def test_a_healthy_store_gives_no_complaint():
    assert store_complaints([StoreState(objects_free_bytes=1 << 40)]) == []


def test_processes_on_one_disk_complain_once():
    assert len(store_complaints([FULL, FULL])) == 1


def test_a_store_that_is_silent_or_stops_proves_nothing_any_more():
    # Given
    now = [0.0]
    results = EchoResults(lambda: now[0])
    results.record(heartbeat())
    results.record(heartbeat(worker="store-2"))
    # When
    results.record(WorkerHeartbeat(service="store", worker="store-2", state="stopping"))
    stopped = results.store_states()
    now[0] += STORE_STATE_S + 1
    # Then
    assert stopped == [FULL]
    assert results.store_states() == []


def test_the_stores_remembered_are_bounded():
    # Given
    results = EchoResults()
    # When
    for number in range(STORES + 10):
        results.record(heartbeat(worker=f"store-{number}"))
    # Then
    assert len(results.store_states()) == STORES
