"""`doseqr check`: every problem at once, nothing changed."""

from __future__ import annotations

import shutil
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from services.cli.checks.certificates import check_certificates
from services.cli.checks.check_result import CheckState
from services.cli.checks.connections import check_database_and_nodes
from shared.database.session import Database
from shared.settings import Settings
from tests.support.ports import free_port
from tests.support.servers.certificates import Authority
from tests.support.services.cli import Doseqr


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports that are free, whatever runs on this machine."""
    for name in ("STORE", "WEB"):
        monkeypatch.setenv(f"DOSEQR_{name}_PORT", str(free_port()))


def test_an_installation_without_trouble_passes(doseqr: Doseqr, ports: None) -> None:
    # When
    result = doseqr("check", "--no-nodes", "--json")
    # Then
    assert result.code == 0
    assert result.json["ok"]
    assert {check["check"] for check in result.json["checks"]} >= {"settings", "database", "broker", "port"}


def test_every_problem_is_named_at_once(
    doseqr: Doseqr, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Given
    with socket.create_server(("127.0.0.1", 0)) as other:
        for name, value in {
            "AMQP_URL": "amqp://me:s3cr3t@127.0.0.1:1/",
            "DATABASE_URL": "postgresql+psycopg://me:s3cr3t@127.0.0.1:1/doseqr",
            "WEB_PORT": str(other.getsockname()[1]),
            "STORE_PORT": str(free_port()),
            "STORE_TLS_CERT": str(tmp_path / "absent.pem"),
            "STORE_PROT": "1",
        }.items():
            monkeypatch.setenv(f"DOSEQR_{name}", value)
        # When
        result = doseqr("check", "--json")
    # Then
    assert result.code == 4
    wrong = {(check["check"], check["subject"]) for check in result.json["checks"] if check["state"] != "ok"}
    assert wrong >= {
        ("settings", "DOSEQR_STORE_PROT"),
        ("database", "connection"),
        ("broker", "connection"),
        ("port", "DOSEQR_WEB_PORT"),
        ("certificate", "DOSEQR_STORE_TLS_CERT"),
    }
    assert "s3cr3t" not in result.out + result.err


def test_a_node_that_does_not_respond_is_named(doseqr: Doseqr, ports: None) -> None:
    # Given
    where = ("--host", "127.0.0.1", "--port", "1", "--ae-title", "PACS")
    assert doseqr("nodes", "add", "remote", "pacs", *where).code == 0
    # When
    result = doseqr("check", "--json")
    # Then
    assert result.code == 3
    assert ("pacs", "failed") in {(check["subject"], check["state"]) for check in result.json["checks"]}


def test_rights_that_a_database_user_lacks_are_named(postgres_url: str, tmp_path: Path) -> None:
    # Given
    database = Database(postgres_url)
    role = f"limited_{database.url.database}".replace("-", "_")
    with database.transaction() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'limited'"))
        connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"))
    settings = Settings(
        data_dir=tmp_path,
        database_url=postgres_url,
        database_user=role,
        database_password="limited",
        amqp_url="memory://",
    )
    # When
    found = {checked.subject: checked for checked in check_database_and_nodes(settings, with_nodes=False)}
    # Then
    with database.transaction() as connection:
        connection.execute(text(f"DROP OWNED BY {role}"))
        connection.execute(text(f"DROP ROLE {role}"))
    database.close()
    assert found["rights"].state is CheckState.FAILED
    assert "INSERT on query_tasks" in found["rights"].detail
    assert "SELECT on" not in found["rights"].detail
    assert found["schema"].state is CheckState.OK
    assert found["clock"].state is CheckState.OK


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_a_certificate_is_reported_before_its_end(tmp_path: Path) -> None:
    # Given
    issued = Authority(tmp_path, "hospital").issue("store", days=60)
    settings = Settings(data_dir=tmp_path, store_tls_cert=issued.certificate, store_tls_key=issued.key)
    now = datetime.now(UTC)
    # When
    states = [check_certificates(settings, now + timedelta(days=days))[0].state for days in (0, 40, 61)]
    # Then
    assert states == [CheckState.OK, CheckState.WARNING, CheckState.FAILED]
