"""Three RabbitMQ nodes on this machine that form a cluster, each with its own name, ports and folder."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

from services.cli.local.private_rabbitmq import PrivateNode, find_epmd, find_server_script
from tests.support.ports import free_port
from tests.support.servers.rabbitmq import MISSING, skip_or_fail
from tests.support.waiting import wait_until

NODES = 3


class ClusterNode(PrivateNode):
    """A node that joins the others when it starts for the first time, and pauses in a minority."""

    members: tuple[str, ...] = ()
    cookie = ""

    def _write_configuration(self) -> None:
        super()._write_configuration()
        listed = "".join(
            f"cluster_formation.classic_config.nodes.{number} = {name}\n"
            for number, name in enumerate(self.members, 1)
        )
        file = self.folder / "rabbitmq.conf"
        file.write_text(
            f"{file.read_text()}cluster_partition_handling = pause_minority\n"
            f"cluster_formation.peer_discovery_backend = classic_config\n{listed}"
        )
        cookie = self.folder / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(self.cookie)
            cookie.chmod(0o400)


class BrokerCluster:
    """The nodes, and where they take connections."""

    def __init__(self, folder: Path, script: Path, epmd: Path) -> None:
        epmd_port, password, cookie = free_port(), secrets.token_urlsafe(18), secrets.token_hex(16)
        # Its port mapper serves all of them, and outlives each.
        self._mapper = PrivateNode(folder / "mapper", script, epmd, free_port(), free_port(), epmd_port)
        self.nodes = [
            ClusterNode(folder / f"node{number}", script, epmd, free_port(), free_port(), epmd_port, password)
            for number in range(NODES)
        ]
        for node in self.nodes:
            node.members, node.cookie = tuple(other.name for other in self.nodes), cookie

    @property
    def url(self) -> str:
        """The URL with all hosts."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"amqp://doseqr:{self.nodes[0].password}@{hosts}/%2f"

    def start(self) -> None:
        """Start all, the first one first: the others join it."""
        self._mapper.folder.mkdir(parents=True)
        self._mapper._mapper = self._mapper._spawn(
            [str(self._mapper.epmd), "-port", str(self._mapper.epmd_port), "-address", "127.0.0.1"]
        )
        for node in self.nodes:
            node.start()
        wait_until(lambda: self._running() == NODES, 60)

    def stop(self) -> None:
        """End all."""
        for node in (*self.nodes, self._mapper):
            node.stop()

    def leader_of(self, queue: str) -> ClusterNode:
        """Return the node with the leader of a queue."""
        listed = self._any().ctl("--silent", "list_queues", "name", "leader")
        leaders = dict(line.split("\t") for line in listed.splitlines() if "\t" in line)
        return next(node for node in self.nodes if node.name == leaders[queue])

    def members_of(self, queue: str) -> int:
        """Return how many nodes hold a queue."""
        listed = self._any().ctl("--silent", "list_queues", "name", "members")
        return next(line.count("@localhost") for line in listed.splitlines() if line.startswith(f"{queue}\t"))

    def restart(self, node: ClusterNode) -> None:
        """Start a node that was killed, and wait until it is one of the cluster again."""
        node.start()
        wait_until(lambda: self._running() == NODES, 60)

    def _any(self) -> ClusterNode:
        return next(node for node in self.nodes if node.running)

    def _running(self) -> int:
        return int(self._any().ctl("--silent", "eval", "length(rabbit_nodes:all_running())."))


@contextlib.contextmanager
def broker_cluster(folder: Path) -> Iterator[BrokerCluster]:
    """Run a cluster; it is gone afterwards."""
    script, epmd = find_server_script(), find_epmd()
    if script is None or epmd is None:
        skip_or_fail(MISSING)
    assert script is not None
    assert epmd is not None
    cluster = BrokerCluster(folder, script, epmd)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
