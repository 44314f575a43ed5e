"""A node's limits over several query services: no more requests than it allows, and none out of hours."""

from __future__ import annotations

import datetime as dt

import pytest

from shared.broker.memory.broker import MemoryBroker
from shared.contract.messages import Progress
from shared.database.models import Query, QueryTask
from shared.nodes.nodes import change_node, find_node
from shared.settings import Settings
from tests.support.peers.studies import DAY, ct_study
from tests.support.services.in_process import System
from tests.support.waiting import wait_until

CT = {"types": ["CT"], "date_from": str(DAY), "date_until": str(DAY)}


@pytest.fixture
def on_both_databases(make_system, database, test_settings: Settings) -> System:
    broker = MemoryBroker()
    broker.declare()
    system: System = make_system(broker, database)
    return system


def ready(system: System, pacs, services: int, **limits) -> None:
    system.add_remote("pacs", pacs.host, pacs.port, pacs.ae_title)
    system.add_own_store()
    limit(system, **limits)
    system.start(*["query"] * services)


def limit(system: System, **limits) -> None:
    """Change the limits of the PACS."""
    with system.database.write() as session:
        node = find_node(session, "pacs")
        change_node(session, node, limits)


def note(system: System, job_id: str) -> str:
    with system.database.read() as session:
        query = session.get(Query, job_id)
        return query.note if query is not None else ""


def failures(system: System, job_id: str) -> int:
    with system.database.read() as session:
        return sum(task.failures for task in session.query(QueryTask).filter_by(job_id=job_id))


def test_four_services_together_keep_to_two_associations(on_both_databases, scripted_pacs):
    # Given
    system = on_both_databases
    pacs = scripted_pacs([ct_study() for _ in range(100)], request_delay_s=0.005)
    ready(system, pacs, 4, max_associations=2)
    # When
    query = system.finished_query(CT)
    # Then
    assert query["status"] == "completed"
    assert len(query["studies"]) == 100
    assert pacs.witness.associations_most == 2
    assert failures(system, query["id"]) == 0


def test_a_limit_that_is_raised_meanwhile_is_used(system, scripted_pacs):
    # Given
    pacs = scripted_pacs([ct_study() for _ in range(100)], request_delay_s=0.05)
    ready(system, pacs, 4, max_associations=1)
    job_id = system.query(CT)
    wait_until(lambda: len(pacs.witness.of("find")) >= 5)
    before = pacs.witness.associations_most
    # When
    limit(system, max_associations=3)
    system.wait_for_end(job_id)
    # Then
    assert before == 1
    assert 2 <= pacs.witness.associations_most <= 3
    assert system.status(job_id) == "completed"


def test_all_services_together_keep_to_the_requests_of_a_minute(system, scripted_pacs):
    # Given
    pacs = scripted_pacs(
        [ct_study() for _ in range(12)], uid_lists_series="refused", uid_lists_image="refused"
    )
    ready(system, pacs, 3, requests_per_minute=240)
    # When
    query = system.finished_query(CT)
    # Then
    sent = sorted(
        dt.datetime.fromisoformat(request.time) - dt.timedelta(seconds=request.duration_s)
        for request in pacs.witness.of("find")
    )
    elapsed_s = (sent[-1] - sent[0]).total_seconds()
    assert query["status"] == "completed"
    assert len(sent) > 12
    # Four a second, as many at once, and one for the clocks of two threads.
    assert len(sent) <= elapsed_s * 4 + 4 + 1


def test_a_query_waits_for_the_hours_of_the_node_and_goes_on_when_they_change(
    system, scripted_pacs, monkeypatch
):
    # Given
    monkeypatch.setattr("shared.jobs.engine.REREAD_LIMITS_AFTER", dt.timedelta(seconds=1))
    pacs = scripted_pacs([ct_study() for _ in range(20)])
    later = dt.datetime.now(tz=dt.UTC) + dt.timedelta(hours=6)
    hours = f"{later:%H}:00-{later:%H}:30"
    ready(system, pacs, 2, hours=hours, time_zone="UTC")
    # When
    job_id = system.query(CT)
    wait_until(lambda: note(system, job_id) == f"pacs takes requests from {later:%H}:00")
    wait_until(lambda: any("takes requests from" in event.note for event in system.published(Progress)))
    finds_before = len(pacs.witness.requests)
    limit(system, hours="")
    system.wait_for_end(job_id)
    # Then
    assert finds_before == 0
    assert pacs.witness.associations > 0
    assert system.status(job_id) == "completed"
    assert failures(system, job_id) == 0


def test_a_pacs_that_stands_fewer_associations_gets_no_request_for_more_again_and_again(
    system, scripted_pacs
):
    # Given
    pacs = scripted_pacs([ct_study() for _ in range(60)], maximum_associations=1, request_delay_s=0.02)
    ready(system, pacs, 3, max_associations=6)
    # When
    query = system.finished_query(CT)
    # Then
    assert query["status"] == "completed"
    assert pacs.witness.associations_most == 1
    assert pacs.witness.associations_rejected < 12
