"""Nodes that cannot be reached leave workers to the others, and are tried once at a time."""

from __future__ import annotations

import pytest

from shared.database.models import NodeBudget, QueryTask
from tests.integration.query.test_sharing import LAST, of_days
from tests.support.peers.studies import ct_study, days_of
from tests.support.ports import free_port, swallowing_port
from tests.support.services.in_process import System
from tests.support.waiting import wait_until

SICK = 40


@pytest.fixture
def patient(system: System) -> System:
    """A system that waits longer for a connection than any test does."""
    values = {"dimse_timeout": 120.0, "connect_timeout": 120.0}
    system.settings = system.settings.model_copy(update=values)
    system.add_own_store()
    return system


def test_nodes_that_swallow_packets_leave_a_worker_to_the_others(patient, scripted_pacs):
    # Given
    healthy = scripted_pacs(days_of(5, LAST, LAST, ct_study))
    patient.add_remote("healthy", healthy.host, healthy.port, healthy.ae_title)
    with swallowing_port() as port:
        for number in range(SICK):
            patient.add_remote(f"sick-{number}", "127.0.0.1", port, "SICK")
        patient.start("query")
        held = [patient.query(of_days(1), remote=f"sick-{number}") for number in range(SICK)]

        def running_tasks() -> int:
            with patient.database.read() as session:
                return int(session.query(QueryTask).filter_by(state="running").count())

        wait_until(lambda: running_tasks() >= SICK, 60)
        # When
        query = patient.finished_query(of_days(1), remote="healthy")
        states = {patient.status(job_id) for job_id in held}
        patient.stop()
    # Then
    assert query["status"] == "completed"
    assert states == {"running"}


def test_a_node_that_is_away_is_tried_once_at_a_time_until_it_is_back(system, scripted_pacs):
    # Given
    port = free_port()
    node = system.add_remote("pacs", "127.0.0.1", port, "PACS")
    system.add_own_store()
    system.start("query", "query")
    jobs = [system.query(of_days(20)) for _ in range(5)]

    def failures() -> int:
        with system.database.read() as session:
            budget = session.get(NodeBudget, node.id)
            return budget.away_failures if budget is not None else 0

    def notes_name_the_reason() -> bool:
        return all("does not take connections" in system.query_json(job_id)["note"] for job_id in jobs)

    # When
    wait_until(lambda: failures() >= 3, 60)
    tried = failures()
    wait_until(notes_name_the_reason, 60)
    scripted_pacs(days_of(5, LAST, LAST, ct_study), port=port, ae_title="PACS")
    for job_id in jobs:
        system.wait_for_end(job_id)
    # Then
    assert tried == 3
    assert {system.status(job_id) for job_id in jobs} == {"completed"}
    assert failures() == 0
