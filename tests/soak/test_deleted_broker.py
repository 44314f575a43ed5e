"""All that an installation has on the broker is deleted in mid-job, or its virtual host: as undisturbed."""

from __future__ import annotations

import pytest

from services.cli.local.private_rabbitmq import PrivateNode
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


def delete_topology(node: PrivateNode, url: str, prefix: str) -> None:
    """Delete exchanges and queues with all messages."""
    del node
    remove_topology(url, prefix)


def delete_virtual_host(node: PrivateNode, url: str, prefix: str) -> None:
    """Delete the virtual host with all that is in it, and make it again, as an administrator does."""
    del url
    node.ctl("delete_vhost", prefix)
    make_virtual_host(node, prefix)


def make_virtual_host(node: PrivateNode, name: str) -> str:
    """Make a virtual host with the permissions of the user; return its URL."""
    node.ctl("add_vhost", name)
    node.ctl("set_permissions", "-p", name, "doseqr", ".*", ".*", ".*")
    return f"{node.url.removesuffix('/%2f')}/{name}"


def recorded(url: str, prefix: str) -> Recording:
    """Return what records events from now on."""
    with connected(url) as connection:
        make_topology(connection.channel(), Names(prefix))
    return Recording(url, prefix)


DELETE = pytest.mark.parametrize("delete", [delete_topology, delete_virtual_host])


@DELETE
def test_a_query_whose_broker_is_emptied_ends_as_undisturbed(
    delete, tmp_path, own_node, own_prefix, scripted_pacs
):
    # Given
    pacs, url = scripted_pacs(mixed_archive(60), **ONE_BY_ONE), make_virtual_host(own_node, own_prefix)
    with installed(tmp_path, url, own_prefix) as installation:
        installation.serve("query", "query")
        with observed(installation) as observer:
            observer.add_pacs(pacs)
            job_id = begin_slow_query(observer, pacs)
            # When
            delete(own_node, url, own_prefix)
            # Then
            as_undisturbed(observer, pacs, job_id, BACK_WITHIN_S, recorded(url, own_prefix))


@DELETE
def test_a_retrieve_whose_broker_is_emptied_brings_everything_once(
    delete, tmp_path, own_node, own_prefix, scripted_pacs
):
    # Given
    archive = many_images()
    pacs, url = scripted_pacs(archive), make_virtual_host(own_node, own_prefix)
    with installed(tmp_path, url, own_prefix) as installation:
        installation.serve("retrieve", "query", "store")
        with observed(installation) as observer:
            observer.add_pacs(pacs)
            job_id = begin_slow_retrieve(observer, pacs, 0.1)
            # When
            delete(own_node, url, own_prefix)
            # Then
            all_arrived_once(observer, pacs, job_id, archive, BACK_WITHIN_S, recorded(url, own_prefix))
