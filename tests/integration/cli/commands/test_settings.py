"""`doseqr settings` shows what holds and no secret."""

from __future__ import annotations

import pytest

from tests.support.services.cli import Doseqr


def test_settings_show_where_each_value_came_from(doseqr: Doseqr, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given
    monkeypatch.setenv("DOSEQR_DATABASE_URL", "postgresql+psycopg://me:hush@db/doseqr")
    # When
    result = doseqr("settings", "--json")
    rows = {row["name"]: row for row in result.json}
    # Then
    assert result.code == 0
    assert rows["DOSEQR_DATABASE_URL"]["source"] == "environment"
    assert "hush" not in result.out
    assert rows["DOSEQR_STORE_PORT"] | {"description": ""} == {
        "name": "DOSEQR_STORE_PORT",
        "value": "11112",
        "source": "default",
        "description": "",
    }


def test_a_malformed_setting_is_named(doseqr: Doseqr, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given
    monkeypatch.setenv("DOSEQR_STORE_PORT", "seven")
    # When
    result = doseqr("nodes", "list")
    # Then
    assert result.code == 2
    assert "DOSEQR_STORE_PORT" in result.err
    assert "DOSEQR_STORE_PORT: 'seven' is refused" in result.err
    assert "a whole number from 1 to 65535" in result.err


def test_secrets_are_never_printed(doseqr: Doseqr, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given
    for name, value in {
        "AMQP_URL": "amqp://me:s3cr3t@host:5672/?heartbeat=30&ssl_options=s3cr3t",
        "DATABASE_URL": "postgresql+psycopg://db/doseqr?user=me&password=s3cr3t&sslmode=require",
        "HANDOVER_URL": "https://s3cr3t:@importer/take?token=s3cr3t&s3cr3t#s3cr3t",
        "HANDOVER_COMMAND": '["/opt/import", "--password", "s3cr3t", "http://u:s3cr3t@h/"]',
    }.items():
        monkeypatch.setenv(f"DOSEQR_{name}", value)
    # When
    as_json, as_text = doseqr("settings", "--json"), doseqr("settings")
    # Then
    rows = {row["name"]: row["value"] for row in as_json.json}
    assert "s3cr3t" not in as_json.out + as_text.out
    assert rows["DOSEQR_AMQP_URL"] == "amqp://me:***@host:5672/?heartbeat=30&ssl_options=***"
    assert rows["DOSEQR_DATABASE_URL"].endswith("//db/doseqr?user=***&password=***&sslmode=require")
    assert rows["DOSEQR_HANDOVER_COMMAND"] == '["/opt/import", "***", "***", "***"]'
    assert rows["DOSEQR_RETRY_PAUSES"] == "[1.0, 4.0, 15.0]"


def test_all_malformed_settings_are_named_together(doseqr: Doseqr, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given
    monkeypatch.setenv("DOSEQR_STORE_PORT", "seven")
    monkeypatch.setenv("DOSEQR_GRACE", "long")
    # When
    result = doseqr("settings")
    # Then
    assert result.code == 2
    assert "DOSEQR_STORE_PORT" in result.err
    assert "DOSEQR_GRACE" in result.err


def test_a_variable_that_is_no_setting_is_named(doseqr: Doseqr, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given
    monkeypatch.setenv("DOSEQR_STORE_PROT", "104")
    # When
    result = doseqr("settings")
    # Then
    assert (result.code, result.err) == (0, "DOSEQR_STORE_PROT is no setting of DoseQR.\n")
