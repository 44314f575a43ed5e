"""`doseqr users` changes who may log in, and leaves a trace of it."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import pytest
from sqlalchemy import select

from shared.clock import utc_now
from shared.database.models import AuditEntry
from shared.database.session import Database
from shared.users.accounts import create_user, find_user
from shared.users.second_factor import set_up
from tests.support.services.cli import Doseqr


@pytest.fixture
def database(doseqr: Doseqr) -> Iterator[Database]:
    """A database with an administrator who has a second factor."""
    doseqr("nodes", "list")
    opened = Database(doseqr.settings.database)
    with opened.write() as session:
        set_up(
            session, create_user(session, "ada", "admin", "correct horse", utc_now()), "secret", 1, utc_now()
        )
    yield opened
    opened.close()


def test_who_is_locked_out_is_let_in_by_the_operator(doseqr: Doseqr, database: Database) -> None:
    # When
    before = doseqr("users", "list", "--json")
    reset = [doseqr("users", "reset-second-factor", name) for name in ("ada", "ada", "bob")]
    # Then
    assert before.json[0]["second_factor"]
    assert [result.code for result in reset] == [0, 0, 2]
    assert reset[0].out == "reset the second factor of ada\n"
    assert reset[1].out == "ada has no second factor\n"
    with database.read() as session:
        assert find_user(session, "ada").second_factor_since is None
        entries = session.scalars(select(AuditEntry)).all()
        assert [(entry.action, entry.user, entry.details) for entry in entries] == [
            ("second factor reset", "command line", {"about": "ada"})
        ]


@pytest.mark.parametrize(
    ("arguments", "password", "expected"),
    [
        (("add", "bob", "--role", "viewer", "--password-stdin"), "battery staple", ("bob", "viewer", None)),
        (("set-password", "ada", "--password-stdin"), "battery staple", ("ada", "admin", None)),
        (("edit", "eve", "--groups", "Hospital A"), "", ("eve", "importer", ["Hospital A"])),
        (("reset-second-factor", "ada"), "", ("ada", "admin", None)),
    ],
)
def test_each_change_of_a_user_prints_the_user_as_json(
    doseqr: Doseqr,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    password: str,
    expected: tuple[str, str, list[str] | None],
) -> None:
    # Given
    with database.write() as session:
        create_user(session, "eve", "importer", "correct horse", utc_now())
    assert doseqr.with_nodes()("nodes", "edit", "pacs", "--group", "Hospital A").code == 0
    monkeypatch.setattr("sys.stdin", StringIO(f"{password}\n"))
    # When
    changed = doseqr("users", *arguments, "--json")
    # Then
    assert changed.code == 0, changed.err
    assert (changed.json["name"], changed.json["role"], changed.json["groups"]) == expected


def test_an_unknown_user_is_wrong_usage_in_json(doseqr: Doseqr, database: Database) -> None:
    # When
    changed = doseqr("users", "set-password", "nobody", "--password-stdin", "--json")
    # Then
    assert (changed.code, changed.json["error"]["code"]) == (2, "wrong_usage")
