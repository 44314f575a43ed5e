"""A RabbitMQ that speaks TLS and wants a client certificate, and a cluster of which one node is gone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cli.local.private_rabbitmq import PrivateNode, find_epmd, find_server_script
from shared.broker.rabbitmq.broker import RabbitBroker
from shared.broker.rabbitmq.connection import parse_address
from shared.broker.tls_files import TlsFiles
from shared.errors import BrokerAwayError, SettingsError
from tests.support.ports import free_port
from tests.support.servers.certificates import Authority
from tests.support.servers.rabbitmq import MISSING, Inbox, a_message, acked, skip_or_fail

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")


class TlsNode(PrivateNode):
    """A node that listens with TLS besides."""

    tls_lines = ""

    def _write_configuration(self) -> None:
        super()._write_configuration()
        file = self.folder / "rabbitmq.conf"
        file.write_text(file.read_text() + self.tls_lines)


class Site:
    """The node, its certificates, and where it listens with TLS."""

    def __init__(self, folder: Path, script: Path, epmd: Path) -> None:
        port, dist_port, epmd_port, self.tls_port = (free_port() for _ in range(4))
        self.authority = Authority(folder / "tls", "hospital")
        self.client = self.authority.issue("doseqr")
        server = self.authority.issue("rabbit", "IP:127.0.0.1")
        self.node = TlsNode(folder / "node", script, epmd, port, dist_port, epmd_port)
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
        return TlsFiles(self.authority.certificate, self.client.certificate, self.client.key)

    def url(self, *hosts: str) -> str:
        listed = ",".join(hosts or (f"127.0.0.1:{self.tls_port}",))
        return f"amqps://doseqr:{self.node.password}@{listed}/%2f"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    """One node for all tests here."""
    script, epmd = find_server_script(), find_epmd()
    if script is None or epmd is None:
        skip_or_fail(MISSING)
    assert script is not None
    assert epmd is not None
    site = Site(tmp_path_factory.mktemp("tls"), script, epmd)
    site.node.start()
    yield site
    site.node.stop()


def reason_away(url: str, prefix: str, files: TlsFiles) -> str:
    broker = RabbitBroker(url, prefix, files)
    try:
        with pytest.raises(BrokerAwayError) as refused:
            broker.declare()
    finally:
        broker.close()
    return str(refused.value)


def test_commands_travel_with_certificates_on_both_sides(site, own_prefix):
    # Given
    broker, inbox = RabbitBroker(site.url(), own_prefix, site.files), Inbox(acked)
    # When
    broker.declare()
    broker.consume("echo", inbox, workers=1)
    broker.command(a_message("m1"))
    inbox.wait_for(1)
    broker.close()
    # Then
    assert inbox.ids == ["m1"]


def test_a_node_that_is_gone_is_passed_over(site, own_prefix):
    # Given
    gone = free_port()
    url = site.url(f"127.0.0.1:{gone}", f"127.0.0.1:{site.tls_port}", f"127.0.0.1:{gone}")
    # When
    for _ in range(4):
        broker = RabbitBroker(url, own_prefix, site.files)
        broker.declare()
        broker.close()


def test_every_host_and_its_reason_is_named_when_none_is_there(site, own_prefix):
    # Given
    first, second = free_port(), free_port()
    # When
    reason = reason_away(site.url(f"127.0.0.1:{first}", f"127.0.0.1:{second}"), own_prefix, site.files)
    # Then
    assert f"127.0.0.1:{first}: the broker is away" in reason
    assert f"127.0.0.1:{second}: the broker is away" in reason
    assert site.node.password not in reason


def test_an_unknown_authority_is_named_with_the_setting(site, own_prefix, tmp_path):
    # Given
    stranger = Authority(tmp_path, "stranger")
    files = TlsFiles(stranger.certificate, site.client.certificate, site.client.key)
    # When
    reason = reason_away(site.url(), own_prefix, files)
    # Then
    assert "its certificate is not accepted" in reason
    assert "set DOSEQR_AMQP_TLS_CA" in reason


def test_a_certificate_for_another_name_is_refused(site, own_prefix):
    # When
    reason = reason_away(site.url(f"localhost:{site.tls_port}"), own_prefix, site.files)
    # Then
    assert "its certificate is not accepted" in reason
    assert "localhost" in reason


def test_a_missing_client_certificate_is_named_with_the_setting(site, own_prefix):
    # When
    reason = reason_away(site.url(), own_prefix, TlsFiles(site.authority.certificate))
    # Then
    assert "DOSEQR_AMQP_TLS_CERT" in reason


def test_a_port_without_tls_is_named_as_such(site, own_prefix):
    # When
    reason = reason_away(site.url(f"127.0.0.1:{site.node.port}"), own_prefix, site.files)
    # Then
    assert "not speak TLS on this port" in reason


@pytest.mark.parametrize(
    ("files", "setting"),
    [
        (TlsFiles("/absent/ca.pem"), "DOSEQR_AMQP_TLS_CA"),
        (TlsFiles("", "/absent/client.pem"), "DOSEQR_AMQP_TLS_CERT"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(files, setting):
    with pytest.raises(SettingsError, match=setting):
        parse_address("amqps://rabbit/", files)
