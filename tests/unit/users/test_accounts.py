"""Users log in with their password and with nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session
from werkzeug.security import generate_password_hash

from shared.errors import InvalidInputError, NotFoundError
from shared.users.accounts import (
    ONE_TIME_LIFE,
    check_password,
    create_user,
    end_sessions,
    ensure_first_admin,
    find_user,
    list_users,
    renew_hash,
    set_disabled,
    set_password,
    set_role,
)

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


def test_a_user_logs_in_with_the_password_only(session: Session) -> None:
    # Given
    user = create_user(session, "ada", "importer", "correct horse", NOW)
    # When / Then
    assert check_password(session, "ada", "correct horse", NOW) is user
    assert check_password(session, "ada", "wrong horse", NOW) is None
    assert check_password(session, "bob", "correct horse", NOW) is None
    assert check_password(session, "ada", "correct horse" + "x" * 300, NOW) is None
    assert "correct horse" not in user.password_hash


def test_a_disabled_user_does_not_log_in(session: Session) -> None:
    # Given
    user = create_user(session, "ada", "viewer", "correct horse", NOW)
    # When
    user.disabled_at = NOW
    # Then
    assert check_password(session, "ada", "correct horse", NOW) is None


def test_another_password_ends_old_sessions(session: Session) -> None:
    # Given
    user = create_user(session, "ada", "viewer", "correct horse", NOW, must_change_password=True)
    token = user.session_token
    # When
    set_password(session, user, "battery staple", NOW)
    # Then
    assert user.session_token != token
    assert not user.must_change_password
    assert check_password(session, "ada", "battery staple", NOW) is user
    assert check_password(session, "ada", "correct horse", NOW) is None


@pytest.mark.parametrize(
    ("field", "name", "role", "password"),
    [
        ("name", "", "viewer", "long enough words"),
        ("name", "a\nb", "viewer", "long enough words"),
        ("name", "x" * 65, "viewer", "long enough words"),
        ("role", "ada", "root", "long enough words"),
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
    admin = check_password(session, "admin", password, NOW)
    assert admin is find_user(session, "admin")
    assert admin.must_change_password


def test_the_first_admin_has_the_given_password_once(session: Session) -> None:
    # When
    password = ensure_first_admin(session, NOW, "one time of the operator")
    # Then
    assert password == "one time of the operator"
    admin = check_password(session, "admin", password, NOW)
    assert admin is not None
    assert admin.must_change_password
    assert ensure_first_admin(session, NOW, "another of the operator") is None


def test_a_given_first_password_that_is_easily_guessed_is_refused(session: Session) -> None:
    # When / Then
    with pytest.raises(InvalidInputError, match="characters"):
        ensure_first_admin(session, NOW, "short")
    assert list_users(session) == []


def test_an_unknown_user_is_not_found(session: Session) -> None:
    # When / Then
    with pytest.raises(NotFoundError):
        find_user(session, "nobody")


def test_a_one_time_password_is_taken_for_a_week(session: Session) -> None:
    # Given
    user = create_user(session, "ada", "viewer", "correct horse", NOW, must_change_password=True)
    # When / Then
    assert check_password(session, "ada", "correct horse", NOW + ONE_TIME_LIFE - timedelta(seconds=1)) is user
    assert check_password(session, "ada", "correct horse", NOW + ONE_TIME_LIFE) is None


def test_an_own_password_does_not_expire(session: Session) -> None:
    # Given
    user = create_user(session, "ada", "viewer", "correct horse", NOW, must_change_password=True)
    # When
    set_password(session, user, "battery staple", NOW)
    # Then
    assert check_password(session, "ada", "battery staple", NOW + timedelta(days=3650)) is user


def test_an_unused_first_password_is_renewed_after_it_expired(session: Session) -> None:
    # Given
    first = ensure_first_admin(session, NOW)
    # When
    second = ensure_first_admin(session, NOW + ONE_TIME_LIFE)
    # Then
    assert first is not None
    assert second is not None
    assert check_password(session, "admin", first, NOW) is None
    assert check_password(session, "admin", second, NOW + ONE_TIME_LIFE) is not None


def test_a_log_in_replaces_a_hash_of_an_earlier_version(session: Session) -> None:
    # Given
    user = create_user(session, "ada", "viewer", "correct horse", NOW)
    user.password_hash = generate_password_hash("correct horse", method="scrypt:1024:8:1")
    token = user.session_token
    # When
    renew_hash(user, "correct horse")
    # Then
    assert user.password_hash.startswith("$argon2id$")
    assert check_password(session, "ada", "correct horse", NOW) is user
    assert user.session_token == token


@pytest.mark.parametrize("change", ["role", "disable", "enable", "log out"])
def test_a_change_of_access_ends_the_sessions(session: Session, change: str) -> None:
    # Given
    user = create_user(session, "ada", "viewer", "correct horse", NOW)
    token = user.session_token
    # When
    {
        "role": lambda: set_role(user, "admin"),
        "disable": lambda: set_disabled(user, NOW),
        "enable": lambda: set_disabled(user, None),
        "log out": lambda: end_sessions(user),
    }[change]()
    # Then
    assert user.session_token != token
