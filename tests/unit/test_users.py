"""Users log in with their password and with nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from shared.database.session import Database
from shared.errors import InvalidInputError, NotFoundError
from shared.users import (
    check_password,
    create_user,
    ensure_first_admin,
    find_user,
    list_users,
    set_password,
)
from tests.support.servers.databases import prepare

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    database = Database(f"sqlite:///{tmp_path / 'users.sqlite'}")
    prepare(database)
    with database.write() as opened:
        yield opened
    database.close()


def test_a_user_logs_in_with_the_password_only(session: Session) -> None:
    # Given
    user = create_user(session, "ada", "importer", "correct horse", NOW)
    # When / Then
    assert check_password(session, "ada", "correct horse") is user
    assert check_password(session, "ada", "wrong horse") is None
    assert check_password(session, "bob", "correct horse") is None
    assert check_password(session, "ada", "correct horse" + "x" * 300) is None
    assert "correct horse" not in user.password_hash


def test_a_disabled_user_does_not_log_in(session: Session) -> None:
    # Given
    user = create_user(session, "ada", "viewer", "correct horse", NOW)
    # When
    user.disabled_at = NOW
    # Then
    assert check_password(session, "ada", "correct horse") is None


def test_another_password_ends_old_sessions(session: Session) -> None:
    # Given
    user = create_user(session, "ada", "viewer", "correct horse", NOW, must_change_password=True)
    token = user.session_token
    # When
    set_password(session, user, "battery staple")
    # Then
    assert user.session_token != token
    assert not user.must_change_password
    assert check_password(session, "ada", "battery staple") is user
    assert check_password(session, "ada", "correct horse") is None


@pytest.mark.parametrize(
    ("field", "name", "role", "password"),
    [
        ("name", "", "viewer", "long enough"),
        ("name", "a\nb", "viewer", "long enough"),
        ("name", "x" * 65, "viewer", "long enough"),
        ("role", "ada", "root", "long enough"),
        ("password", "ada", "viewer", "short"),
        ("password", "ada", "viewer", "x" * 257),
    ],
)
def test_a_malformed_user_is_refused(
    session: Session, field: str, name: str, role: str, password: str
) -> None:
    # When / Then
    with pytest.raises(InvalidInputError) as refused:
        create_user(session, name, role, password, NOW)
    assert refused.value.field == field


def test_names_are_unique(session: Session) -> None:
    # Given
    create_user(session, "ada", "viewer", "correct horse", NOW)
    # When / Then
    with pytest.raises(InvalidInputError, match="already"):
        create_user(session, " ada ", "admin", "correct horse", NOW)
    assert [user.role for user in list_users(session)] == ["viewer"]


def test_the_first_admin_is_made_once(session: Session) -> None:
    # When
    password = ensure_first_admin(session, NOW)
    again = ensure_first_admin(session, NOW)
    # Then
    assert password is not None
    assert again is None
    admin = check_password(session, "admin", password)
    assert admin is find_user(session, "admin")
    assert admin.must_change_password


def test_an_unknown_user_is_not_found(session: Session) -> None:
    # When / Then
    with pytest.raises(NotFoundError):
        find_user(session, "nobody")
