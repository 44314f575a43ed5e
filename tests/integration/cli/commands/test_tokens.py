"""`doseqr tokens` adds, lists and revokes tokens of the HTTP API."""

from __future__ import annotations

import pytest

from shared.clock import utc_now
from shared.database.session import Database
from shared.users.accounts import create_user
from shared.users.api_tokens import authenticate
from tests.support.services.cli import Doseqr


@pytest.fixture
def owned(doseqr: Doseqr) -> Doseqr:
    """Give a `doseqr` whose database has an importer of the name ada."""
    doseqr("nodes", "list")
    database = Database(doseqr.settings.database)
    with database.write() as session:
        create_user(session, "ada", "importer", "correct horse", utc_now())
    database.close()
    return doseqr


def is_valid(doseqr: Doseqr, token: str) -> bool:
    database = Database(doseqr.settings.database)
    try:
        with database.read() as session:
            return authenticate(session, token, utc_now()) is not None
    finally:
        database.close()


def test_a_token_is_added_listed_and_revoked(owned: Doseqr) -> None:
    # When
    added = owned("tokens", "add", "cron", "--owner", "ada", "--scope", "import", "--json")
    listed = owned("tokens", "list", "--json")
    valid = is_valid(owned, added.json["token"])
    revoked = owned("tokens", "revoke", "cron", "--json")
    # Then
    assert (added.code, listed.code, revoked.code) == (0, 0, 0)
    assert valid
    assert [(token["name"], token["owner"], token["scope"]) for token in listed.json] == [
        ("cron", "ada", "import")
    ]
    assert added.json["token"] not in listed.out
    assert not is_valid(owned, added.json["token"])
    assert (revoked.json["name"], revoked.json["scope"]) == ("cron", "import")
    assert revoked.json["revoked_at"]


def test_a_token_alone_is_on_standard_output(owned: Doseqr) -> None:
    # When
    added = owned("tokens", "add", "cron", "--owner", "ada", "--scope", "read", "--days", "0")
    # Then
    assert is_valid(owned, added.out.strip())
    assert owned("tokens", "list", "--json").json[0]["expires_at"] is None


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("cron", "--owner", "nobody", "--scope", "read"), "no user of this name"),
        (("cron", "--owner", "ada", "--scope", "admin"), "does not allow admin"),
        (("cron", "--owner", "ada", "--scope", "write"), "write"),
        (("cron", "--owner", "ada", "--scope", "read", "--days", "99999"), "3650"),
    ],
)
def test_what_cannot_be_a_token_is_wrong_usage(owned: Doseqr, options: tuple[str, ...], problem: str) -> None:
    # When
    added = owned("tokens", "add", *options)
    # Then
    assert added.code == 2
    assert problem in added.err


def test_an_unknown_token_is_wrong_usage(doseqr: Doseqr) -> None:
    assert doseqr("tokens", "revoke", "cron").code == 2
