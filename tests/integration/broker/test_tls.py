"""A RabbitMQ that wants a client certificate, alone and in an installation that has TLS on every leg."""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.error import URLError

import psycopg
import pytest

from shared.broker.rabbitmq.broker import RabbitBroker
from shared.broker.rabbitmq.connection import parse_address
from shared.broker.tls_files import TlsFiles
from shared.errors import BrokerAwayError, SettingsError
from tests.support.ports import free_port
from tests.support.servers.certificates import Authority
from tests.support.servers.rabbitmq import Inbox, a_message, acked
from tests.support.services.store import data_set_in
from tests.support.tls.rabbitmq import TlsRabbit, tls_rabbit
from tests.support.tls.site import TlsSite, tls_site
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[TlsRabbit]:
    """One node for all tests here."""
    with tls_rabbit(tmp_path_factory.mktemp("tls")) as rabbit:
        yield rabbit


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


@pytest.fixture(scope="module")
def hospital(site, tmp_path_factory) -> Iterator[TlsSite]:
    """An installation at this node with TLS on every leg."""
    with tls_site(tmp_path_factory.mktemp("hospital"), site) as hospital:
        yield hospital


def ended_retrieve(hospital: TlsSite, store: str) -> dict[str, Any]:
    """Order a query with its retrieve over HTTPS; return the retrieve once it has ended."""
    criteria = {"types": ["CT", "MG", "DX", "FL", "NM"], "ignore_known": False}
    order = {"remote": "pacs", "store": store, "criteria": criteria, "retrieve": True}
    query_id = hospital.send("POST", "/queries", order)["id"]

    def job(job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = hospital.send("GET", f"/jobs/{job_id}?studies=false")
        return found

    wait_until(lambda: bool(job(query_id)["ended_at"]))
    query = job(query_id)
    assert query["status"] == "completed", query
    wait_until(lambda: bool(job(query_id)["retrieves"]))
    (retrieve_id,) = job(query_id)["retrieves"]
    wait_until(lambda: bool(job(retrieve_id)["ended_at"]))
    return job(retrieve_id)


def test_with_tls_on_every_leg_each_object_arrives_verified(hospital):
    # Given
    settings = hospital.installation.settings
    # When
    moved = ended_retrieve(hospital, "doseqr")
    hospital.installation.doseqr("nodes", "edit", "pacs", "--retrieve-with", "get")
    relayed = ended_retrieve(hospital, "reference")
    # Then
    for retrieve in (moved, relayed):
        assert (retrieve["status"], retrieve["verification"]) == ("completed", "receipts")
        assert retrieve["counts"]["arrived"] == retrieve["counts"]["asked"] > 5
    stored = {path.stem: data_set_in(path) for path in settings.objects_dir.glob("*/*/*.dcm")}
    assert stored == hospital.reference.data_sets()
    assert len(stored) == moved["counts"]["arrived"]
    # And the database saw no connection without TLS
    with psycopg.connect(settings.database.replace("+psycopg", "")) as connection:
        states = connection.execute(
            "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE client_addr IS NOT NULL"
        )
        assert {state for (state,) in states} == {True}


def test_behind_a_tls_proxy_the_session_cookie_is_for_https_only(hospital):
    # When
    context = hospital.trusting(hospital.authority)
    with urllib.request.urlopen(f"{hospital.page}/login", timeout=30, context=context) as response:
        cookies = response.headers.get_all("Set-Cookie")
    # Then
    assert cookies
    assert all("Secure" in cookie for cookie in cookies)


def test_a_proxy_of_an_unknown_authority_is_not_trusted(hospital):
    # When / Then
    with pytest.raises(URLError, match="certificate verify failed"):
        urllib.request.urlopen(
            f"{hospital.page}/login", timeout=30, context=hospital.trusting(hospital.stranger)
        )


@pytest.mark.parametrize(
    ("variables", "subject", "words"),
    [
        ({}, "misled-pacs", "its certificate is not accepted"),
        ({}, "misled-reference", "its certificate is not accepted"),
        ({"DOSEQR_AMQP_TLS_CA": "{stranger}"}, "connection", "its certificate is not accepted"),
        ({"DOSEQR_AMQP_TLS_CERT": "", "DOSEQR_AMQP_TLS_KEY": ""}, "connection", "DOSEQR_AMQP_TLS_CERT"),
        ({"DOSEQR_DATABASE_URL": "{url}={stranger}"}, "connection", "its certificate is not accepted"),
        ({"DOSEQR_DATABASE_URL": "{url}=/absent"}, "connection", "sslrootcert"),
        ({"DOSEQR_DATABASE_URL": "{plain}"}, "connection", "TLS"),
    ],
)
def test_a_check_names_the_leg_whose_certificate_is_wrong(hospital, variables, subject, words):
    # Given
    url = hospital.installation.settings.database.rpartition("=")[0]
    values = {
        "url": url,
        "plain": f"{url.partition('?')[0]}?sslmode=disable",
        "stranger": hospital.stranger.certificate,
    }
    changed = {name: value.format(**values) for name, value in variables.items()}
    # When
    checked = hospital.installation.doseqr("check", "--json", **changed)
    # Then
    failed = {
        result["subject"]: result["detail"]
        for result in checked.json["checks"]
        if result["state"] == "failed"
    }
    assert words in failed[subject]
