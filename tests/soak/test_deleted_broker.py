"""Everything of an installation is deleted from the broker in mid-job: the job ends as undisturbed, once."""

from __future__ import annotations

import pytest

from shared.broker.rabbitmq.connection import remove_topology
from shared.broker.rabbitmq.declaration import make_topology
from shared.broker.topology import Names
from tests.e2e.archive import mixed_archive
from tests.e2e.away import BACK_WITHIN_S
from tests.e2e.slow import (
    ONE_BY_ONE,
    all_arrived_once,
    as_undisturbed,
    begin_slow_query,
    begin_slow_retrieve,
    many_images,
)
from tests.support.processes.event_queue import Recording, connected
from tests.support.processes.installation import installed, observed

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def attentive(monkeypatch) -> None:
    """Let the observer, which does not poll as pages and commands do, soon receive events again."""
    monkeypatch.setattr("shared.broker.rabbitmq.consumer.RESTORE_INTERVAL_S", 0.2)


def delete_all(url: str, prefix: str) -> Recording:
    """Delete exchanges and queues with all messages; return what records events from then on."""
    remove_topology(url, prefix)
    with connected(url) as connection:
        make_topology(connection.channel(), Names(prefix))
    return Recording(url, prefix)


def test_a_query_whose_queues_are_deleted_ends_as_undisturbed(tmp_path, own_node, own_prefix, scripted_pacs):
    # Given
    pacs = scripted_pacs(mixed_archive(60), **ONE_BY_ONE)
    with installed(tmp_path, own_node.url, own_prefix) as installation:
        installation.serve("query", "query")
        with observed(installation) as observer:
            observer.add_pacs(pacs)
            job_id = begin_slow_query(observer, pacs)
            # When
            recording = delete_all(own_node.url, own_prefix)
            # Then
            as_undisturbed(observer, pacs, job_id, BACK_WITHIN_S, recording)


def test_a_retrieve_whose_queues_are_deleted_brings_everything_once(
    tmp_path, own_node, own_prefix, scripted_pacs
):
    # Given
    archive = many_images()
    pacs = scripted_pacs(archive)
    with installed(tmp_path, own_node.url, own_prefix) as installation:
        installation.serve("retrieve", "query", "store")
        with observed(installation) as observer:
            observer.add_pacs(pacs)
            job_id = begin_slow_retrieve(observer, pacs, 0.1)
            # When
            recording = delete_all(own_node.url, own_prefix)
            # Then
            all_arrived_once(observer, pacs, job_id, archive, BACK_WITHIN_S, recording)
