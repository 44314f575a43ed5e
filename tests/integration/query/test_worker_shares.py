"""A PACS whose requests never end keeps no other PACS from being queried."""

from __future__ import annotations

import time

import pytest

from shared.database.models import Query, QueryTask
from tests.integration.query.test_sharing import LAST, of_days
from tests.support.peers.studies import ct_study, days_of
from tests.support.services.in_process import System
from tests.support.waiting import wait_until

#: Seconds within which a query of a healthy node ends, on a busy machine.
SOON_S = 5.0


@pytest.fixture
def hanging(system: System, scripted_pacs) -> None:
    """Two nodes that take a minute for each request."""
    system.settings = system.settings.model_copy(update={"dimse_timeout": 60.0, "query_workers": 4})
    archive = days_of(50, LAST, LAST, ct_study)
    nodes = [scripted_pacs(archive, request_delay_s=60.0) for _ in range(2)]
    for number, pacs in enumerate(nodes):
        system.add_remote(f"hanging-{number}", pacs.host, pacs.port, pacs.ae_title)


def busy_nodes(system: System) -> list[str]:
    """Return the node of each task in hand."""
    with system.database.read() as session:
        running = session.query(QueryTask).filter_by(state="running")
        return [session.get_one(Query, task.job_id).remote_name for task in running]


def test_a_query_of_a_healthy_node_ends_while_two_others_hang(system, hanging, scripted_pacs):
    # Given
    healthy = scripted_pacs(days_of(5, LAST, LAST, ct_study))
    system.add_remote("healthy", healthy.host, healthy.port, healthy.ae_title)
    system.add_own_store()
    system.start("query")
    held = [
        system.query(of_days(days), remote=f"hanging-{number}") for number in range(2) for days in (1, 300)
    ]
    wait_until(lambda: len(busy_nodes(system)) >= system.settings.query_workers)
    wait_until(lambda: set(busy_nodes(system)) == {"hanging-0", "hanging-1"})
    # When
    began = time.monotonic()
    query = system.finished_query(of_days(1), remote="healthy")
    took_s = time.monotonic() - began
    # Then
    assert query["status"] == "completed"
    assert took_s < SOON_S
    assert {system.status(job_id) for job_id in held} == {"running"}
