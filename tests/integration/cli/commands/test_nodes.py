"""Nodes, users, settings and files by command line: no service is needed for what is written at once."""

from __future__ import annotations

import io

import pytest

from services.cli.commands.serve import Service
from tests.support.services.cli import Doseqr
from tests.support.services.fake_services import FakeServices

WHERE = ("--host", "127.0.0.1", "--port", "104", "--ae-title", "PACS")


def test_nodes_are_added_and_listed(doseqr: Doseqr) -> None:
    # When
    added = doseqr("nodes", "add", "remote", "pacs", *WHERE, "--calling-ae-title", "ME", "--json")
    again = doseqr("nodes", "add", "remote", "pacs", *WHERE, "--calling-ae-title", "ME")
    listed = doseqr("nodes", "list", "--json")
    # Then
    assert (added.code, again.code, listed.code) == (0, 0, 0)
    assert listed.json == [
        {
            "id": 1,
            "kind": "store",
            "name": "doseqr",
            "host": "127.0.0.1",
            "port": 11112,
            "ae_title": "DOSEQR",
            "calling_ae_title": "",
            "max_associations": 4,
            "requests_per_minute": None,
            "hours": "",
            "time_zone": "",
            "retrieve_by": "move",
            "retrieve_content": "whole",
            "verify_by": "auto",
            "group": "",
            "tls": "off",
            "tls_ca": "",
            "tls_certificate": "",
            "tls_key": "",
            "protocol": "dimse",
            "web_url": "",
            "web_qido_url": "",
            "web_wado_url": "",
            "web_authentication": "none",
            "web_user": "",
            "web_secret_file": "",
            "web_token_url": "",
            "web_scope": "",
            "web_timeout_s": None,
            "paused": False,
            "paused_by": "",
            "paused_at": None,
        },
        added.json,
    ]
    assert added.json["calling_ae_title"] == "ME"


def test_a_node_is_edited_and_removed(doseqr: Doseqr) -> None:
    # Given
    doseqr.with_nodes()
    # When
    edited = doseqr("nodes", "edit", "pacs", "--port", "11112", "--name", "main", "--json")
    removed = doseqr("nodes", "remove", "2")
    names = [node["name"] for node in doseqr("nodes", "list", "--json").json]
    # Then
    assert (edited.json["name"], edited.json["port"], edited.json["id"]) == ("main", 11112, 2)
    assert removed.code == 0
    assert names == ["doseqr", "archive"]
    assert doseqr("nodes", "remove", "2").code == 2
    own = doseqr("nodes", "remove", "doseqr")
    assert (own.code, "own store" in own.err) == (2, True)


def test_limits_of_a_node_are_set_changed_and_taken_away(doseqr: Doseqr) -> None:
    # Given
    doseqr.with_nodes()
    limits = ("--max-associations", "2", "--requests-per-minute", "120", "--hours", "18:00-06:00")
    # When
    limited = doseqr("nodes", "edit", "pacs", *limits, "--time-zone", "Europe/Berlin", "--json").json
    moved = doseqr("nodes", "edit", "pacs", "--port", "105", "--json").json
    freed = doseqr("nodes", "edit", "pacs", "--requests-per-minute", "", "--hours", "", "--json").json
    # Then
    assert (limited["max_associations"], limited["requests_per_minute"]) == (2, 120)
    assert (limited["hours"], limited["time_zone"]) == ("18:00-06:00", "Europe/Berlin")
    assert moved == limited | {"port": 105}
    assert freed == moved | {"requests_per_minute": None, "hours": ""}


def test_tls_of_a_node_is_set_and_taken_away(doseqr: Doseqr) -> None:
    # Given
    doseqr.with_nodes()
    files = ("--tls-ca", "pacs.pem", "--tls-certificate", "us.pem", "--tls-key", "us.key")
    where = ("--host", "h", "--port", "104", "--ae-title", "VAULT")
    # When
    set_ = doseqr("nodes", "edit", "pacs", "--tls", "on", *files, "--json").json
    moved = doseqr("nodes", "edit", "pacs", "--port", "105", "--json").json
    off = doseqr("nodes", "edit", "pacs", "--tls", "off", "--json").json
    added = doseqr("nodes", "add", "store", "vault", *where, "--tls", "any-name", "--json").json
    outside = doseqr("nodes", "edit", "pacs", "--tls-ca", "../secret.pem")
    keyless = doseqr("nodes", "edit", "pacs", "--tls-certificate", "")
    # Then
    names = ("tls", "tls_ca", "tls_certificate", "tls_key")
    assert [set_[name] for name in names] == ["on", "pacs.pem", "us.pem", "us.key"]
    assert moved == set_ | {"port": 105}
    assert off == moved | {"tls": "off"}
    assert (added["tls"], added["tls_ca"]) == ("any-name", "")
    assert (outside.code, keyless.code) == (2, 2)
    assert "must be the name of a file in DOSEQR_TLS_DIR" in outside.err
    assert "tls_key is the key of tls_certificate" in keyless.err


def test_a_node_can_be_retrieved_from_by_c_get(doseqr: Doseqr) -> None:
    # Given
    doseqr.with_nodes()
    # When
    fetched = doseqr("nodes", "edit", "pacs", "--retrieve-with", "get", "--json").json
    moved = doseqr("nodes", "edit", "pacs", "--port", "105", "--json").json
    # Then
    assert (fetched["retrieve_by"], moved["retrieve_by"]) == ("get", "get")


def test_a_store_node_can_be_verified_by_storage_commitment(doseqr: Doseqr) -> None:
    # Given
    doseqr.with_nodes()
    where = ("--host", "h", "--port", "104", "--ae-title", "VAULT")
    # When
    added = doseqr("nodes", "add", "store", "vault", *where, "--verify-with", "commitment", "--json").json
    edited = doseqr("nodes", "edit", "archive", "--verify-with", "commitment", "--json").json
    moved = doseqr("nodes", "edit", "archive", "--port", "105", "--json").json
    back = doseqr("nodes", "edit", "archive", "--verify-with", "auto", "--json").json
    # Then
    assert [node["verify_by"] for node in (added, edited, moved, back)] == [*["commitment"] * 3, "auto"]
    assert "commitment" in doseqr("nodes", "list").out


def test_a_remote_node_has_nothing_to_be_verified(doseqr: Doseqr) -> None:
    # Given
    doseqr.with_nodes()
    # When
    result = doseqr("nodes", "edit", "pacs", "--verify-with", "commitment")
    # Then
    assert result.code == 2
    assert "verify_by is for store nodes only" in result.err


@pytest.mark.parametrize(
    ("option", "value", "field"),
    [
        ("--retrieve-with", "magic", "retrieve_by"),
        ("--max-associations", "0", "max_associations"),
        ("--requests-per-minute", "many", "requests_per_minute"),
        ("--hours", "18-6", "hours"),
        ("--time-zone", "Europe/Atlantis", "time_zone"),
    ],
)
def test_a_malformed_limit_is_wrong_usage(doseqr: Doseqr, option: str, value: str, field: str) -> None:
    # When
    where = ("--host", "h", "--port", "104", "--ae-title", "A")
    result = doseqr("nodes", "add", "remote", "x", *where, option, value, "--json")
    # Then
    assert result.code == 2
    assert result.json["error"]["field"] == field


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("--host", "bad host", "--port", "104", "--ae-title", "A"), "host"),
        (("--host", "h", "--port", "70000", "--ae-title", "A"), "port"),
        (("--host", "h", "--port", "104", "--ae-title", "A" * 17), "ae_title"),
    ],
)
def test_a_malformed_node_is_wrong_usage(doseqr: Doseqr, arguments: tuple[str, ...], field: str) -> None:
    # When
    result = doseqr("nodes", "add", "store", "x", *arguments, "--json")
    # Then
    assert result.code == 2
    assert result.json["error"]["field"] == field


@pytest.mark.parametrize(
    "arguments",
    [("nonsense",), ("query", "--ct"), ("nodes", "add", "remote"), ("echo", "--nope"), ("serve", "nothing")],
)
def test_arguments_that_do_not_fit_are_wrong_usage(doseqr: Doseqr, arguments: tuple[str, ...]) -> None:
    # When
    result = doseqr(*arguments)
    # Then
    assert result.code == 2
    assert not result.out
    assert result.err


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("echo",),
        ("query",),
        ("retrieve",),
        ("show",),
        ("jobs",),
        ("cancel",),
        ("why",),
        ("qr",),
        ("register",),
        ("settings",),
        ("serve",),
        ("ready",),
        ("simulate",),
        ("users", "add"),
        ("nodes", "add", "remote"),
    ],
)
def test_every_command_has_help(doseqr: Doseqr, command: tuple[str, ...]) -> None:
    # When: tests/architecture/test_start_up.py does it with -h
    result = doseqr(*command, "--help")
    # Then
    assert result.code == 0
    assert "sage:" in result.out


def test_users_are_added_with_a_password_from_standard_input(
    doseqr: Doseqr, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\nbattery staple\n"))
    # When
    added = doseqr("users", "add", "ada", "--role", "importer", "--password-stdin")
    changed = doseqr("users", "set-password", "ada", "--password-stdin")
    listed = doseqr("users", "list", "--json")
    # Then
    assert (added.code, changed.code) == (0, 0)
    assert listed.json == [
        {
            "name": "ada",
            "role": "importer",
            "disabled": False,
            "groups": None,
            "second_factor": False,
            "last_login_at": None,
        }
    ]


def test_a_short_password_is_wrong_usage(doseqr: Doseqr, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    # When / Then
    assert doseqr("users", "add", "ada", "--role", "viewer", "--password-stdin").code == 2


def test_what_does_not_respond_is_named_by_ready(doseqr: Doseqr, services: FakeServices) -> None:
    # Given
    services.stop_service("retrieve")
    # When
    result = doseqr("ready", "--timeout", "0", "--service", "query", "--service", "retrieve", "--json")
    # Then
    assert result.code == 4
    assert result.json == {
        "ready": False,
        "missing": ["nobody listens on retrieve", "nobody listens on retrieve-tasks"],
    }


def test_services_that_listen_are_ready(doseqr: Doseqr, services: FakeServices) -> None:
    # When
    result = doseqr("ready", "--timeout", "5", "--service", Service.ECHO, "--service", Service.QUERY)
    # Then
    assert (result.code, result.out) == (0, "ready: echo, query\n")


def test_a_defect_is_not_reported_as_an_incomplete_job(
    doseqr: Doseqr, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    def defect(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("shared.nodes.nodes.list_nodes", defect)
    # When
    result = doseqr("nodes", "list")
    # Then
    assert result.code == 5
    assert "a defect" in result.err
