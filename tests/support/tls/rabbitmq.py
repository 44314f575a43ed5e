"""A RabbitMQ that speaks TLS and wants a client certificate."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from services.cli.local.private_rabbitmq import PrivateNode, find_epmd, find_server_script
from shared.broker.tls_files import TlsFiles
from tests.support.ports import free_port
from tests.support.servers.certificates import Authority
from tests.support.servers.rabbitmq import MISSING, skip_or_fail


class _TlsNode(PrivateNode):
    """A node that listens with TLS besides."""

    tls_lines = ""

    def _write_configuration(self) -> None:
        super()._write_configuration()
        file = self.folder / "rabbitmq.conf"
        file.write_text(file.read_text() + self.tls_lines)


class TlsRabbit:
    """The node, its certificates, and where it listens with TLS."""

    def __init__(self, folder: Path, script: Path, epmd: Path) -> None:
        port, dist_port, epmd_port, self.tls_port = (free_port() for _ in range(4))
        self.authority = Authority(folder / "tls", "hospital")
        self.client = self.authority.issue("doseqr")
        server = self.authority.issue("rabbit", "IP:127.0.0.1")
        self.node = _TlsNode(folder / "node", script, epmd, port, dist_port, epmd_port)
        self.node.tls_lines = (
            f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}\n"
            f"ssl_options.cacertfile = {self.authority.certificate}\n"
            f"ssl_options.certfile = {server.certificate}\n"
            f"ssl_options.keyfile = {server.key}\n"
            "ssl_options.verify = verify_peer\n"
            "ssl_options.fail_if_no_peer_cert = true\n"
        )

    @property
    def files(self) -> TlsFiles:
        """What a client shows and trusts."""
        return TlsFiles(self.authority.certificate, self.client.certificate, self.client.key)

    def url(self, *hosts: str) -> str:
        """Return the URL of these hosts; by default of the node itself."""
        listed = ",".join(hosts or (f"127.0.0.1:{self.tls_port}",))
        return f"amqps://doseqr:{self.node.password}@{listed}/%2f"


@contextlib.contextmanager
def tls_rabbit(folder: Path) -> Iterator[TlsRabbit]:
    """Run a node of this kind; skips where there is no RabbitMQ."""
    script, epmd = find_server_script(), find_epmd()
    if script is None or epmd is None:
        skip_or_fail(MISSING)
    assert script is not None
    assert epmd is not None
    rabbit = TlsRabbit(folder, script, epmd)
    rabbit.node.start()
    try:
        yield rabbit
    finally:
        rabbit.node.stop()
