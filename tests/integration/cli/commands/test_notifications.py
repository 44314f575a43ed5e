"""`doseqr notifications` adds, lists, tests and removes addresses."""

from __future__ import annotations

import io

import pytest

from tests.support.servers.receivers import webhook
from tests.support.services.cli import Doseqr


def test_an_address_is_added_tested_listed_and_removed(
    doseqr: Doseqr, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.setenv("DOSEQR_NOTIFICATION_LOCAL_HOSTS", "true")
    doseqr("nodes", "list")
    with webhook() as hook:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{hook.url}/s3cr3t\n"))
        # When
        added = doseqr("notifications", "add", "-", "--name", "hook", "--kind", "store", "--json")
        tested = doseqr("notifications", "test", "hook")
        listed = doseqr("notifications", "list")
        hook.status = 500
        removed = doseqr("notifications", "remove", str(added.json["id"]))
    # Then
    assert added.json["address"] == "json://127.0.0.1/…"
    assert (tested.code, tested.out) == (0, "hook: sent. The server accepted it.\n")
    assert hook.titles == ["DoseQR: test"]
    assert "s3cr3t" not in listed.out
    assert "store" in listed.out
    assert removed.out == f"removed address {added.json['id']} hook\n"
    assert doseqr("notifications", "list", "--json").json == []


def test_an_address_that_is_not_allowed_is_wrong_usage(doseqr: Doseqr) -> None:
    # Given
    doseqr("nodes", "list")
    # When
    refused = doseqr("notifications", "add", "dbus://s3cr3t", "--name", "bus", "--kind", "store")
    # Then
    assert refused.code == 2
    assert "dbus:// is not allowed" in refused.err
    assert "s3cr3t" not in refused.err
