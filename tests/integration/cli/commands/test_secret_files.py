"""`doseqr secrets` makes each secret once."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from shared.settings import load
from shared.users.passwords import check_acceptable
from tests.support.services.cli import Doseqr


def contents(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def made(doseqr: Doseqr, folder: Path) -> dict[str, str]:
    others = [f"--{name}={folder / name}" for name in ("postgres", "rabbitmq", "grafana")]
    result = doseqr("secrets", str(folder / "ours"), *others)
    assert result.code == 0
    found = contents(folder)
    secrets = [text.strip() for name, text in found.items() if not name.endswith(".json")]
    assert not any(secret in result.out + result.err for secret in secrets)
    return found


def test_secrets_are_made_once_and_shown_nowhere(doseqr: Doseqr, tmp_path: Path) -> None:
    # When
    first, second = made(doseqr, tmp_path / "s"), made(doseqr, tmp_path / "s")
    # Then
    assert set(first) >= {"ours/session_key", "ours/admin_password", "ours/broker/doseqr-query"}
    assert first["ours/database_password"] == first["postgres/database_password"]
    assert first == second
    assert len(set(first.values())) == len(first) - 1
    ours = [file for file in (tmp_path / "s/ours").rglob("*") if file.is_file()]
    assert {stat.S_IMODE(file.stat().st_mode) for file in ours} <= {0o400, 0o600}


def test_services_take_the_secrets_that_are_made(
    doseqr: Doseqr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    made(doseqr, tmp_path / "s")
    for name in ("database_password", "session_key", "admin_password"):
        monkeypatch.setenv(f"DOSEQR_{name.upper()}_FILE", str(tmp_path / "s" / "ours" / name))
    # When
    settings = load()
    # Then
    assert len(settings.session_key) >= 64
    check_acceptable(settings.admin_password, "admin")


def test_the_broker_gets_hashes_and_no_password(doseqr: Doseqr, tmp_path: Path) -> None:
    # When
    found = made(doseqr, tmp_path / "s")
    # Then
    users = json.loads(found["rabbitmq/definitions.json"])["users"]
    assert len(users) == 6
    for user in users:
        assert found[f"ours/broker/{user['name']}"].strip() not in found["rabbitmq/definitions.json"]


def test_definitions_are_written_again_only_where_they_differ(doseqr: Doseqr, tmp_path: Path) -> None:
    # Given
    first = made(doseqr, tmp_path / "s")["rabbitmq/definitions.json"]
    file = tmp_path / "s" / "rabbitmq" / "definitions.json"
    written = file.stat().st_mtime_ns
    # When
    made(doseqr, tmp_path / "s")
    unchanged = file.stat().st_mtime_ns == written
    file.write_text(first.replace("query-profile", "of-another-version"))
    second = made(doseqr, tmp_path / "s")["rabbitmq/definitions.json"]
    # Then
    assert unchanged
    assert second == first


def test_a_password_of_an_existing_database_is_kept(
    doseqr: Doseqr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.setenv("DOSEQR_DATABASE_PASSWORD", "of/before#1")
    # When
    found = made(doseqr, tmp_path / "s")
    # Then
    assert found["postgres/database_password"] == "of/before#1\n"
