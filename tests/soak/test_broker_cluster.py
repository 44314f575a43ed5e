"""Three RabbitMQ nodes: the leader of a work queue is killed in mid-job, and the job ends as undisturbed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
from tests.support.processes.event_queue import Recording
from tests.support.processes.installation import installed, observed
from tests.support.servers.rabbitmq_cluster import NODES, BrokerCluster, broker_cluster

pytestmark = pytest.mark.timeout(600)

#: The services of a retrieve; its query runs before.
MOVING = ("retrieve", "retrieve", "query", "store")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[BrokerCluster]:
    """One cluster for all tests here; each leaves it whole."""
    with broker_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


def test_a_query_whose_leader_is_killed_ends_as_undisturbed(tmp_path, cluster, own_prefix, scripted_pacs):
    # Given
    pacs = scripted_pacs(mixed_archive(60), **ONE_BY_ONE)
    with installed(tmp_path, cluster.url, own_prefix) as installation:
        installation.serve("query", "query")
        with observed(installation) as observer:
            observer.add_pacs(pacs)
            members = cluster.members_of(f"{own_prefix}.query-tasks")
            leader = cluster.leader_of(f"{own_prefix}.query-tasks")
            job_id = begin_slow_query(observer, pacs)
            # When
            leader.kill()
            # Then
            as_undisturbed(observer, pacs, job_id, BACK_WITHIN_S)
    cluster.restart(leader)
    assert members == NODES


def test_a_retrieve_whose_leader_is_killed_brings_everything_once(
    tmp_path, cluster, own_prefix, scripted_pacs
):
    # Given
    archive = many_images()
    pacs = scripted_pacs(archive)
    with installed(tmp_path, cluster.url, own_prefix) as installation:
        installation.serve(*MOVING)
        with observed(installation) as observer:
            observer.add_pacs(pacs)
            recording = Recording(cluster.url, own_prefix)
            leader = cluster.leader_of(f"{own_prefix}.retrieve-tasks")
            job_id = begin_slow_retrieve(observer, pacs, 0.1)
            # When
            leader.kill()
            # Then
            all_arrived_once(observer, pacs, job_id, archive, BACK_WITHIN_S, recording)
    cluster.restart(leader)
