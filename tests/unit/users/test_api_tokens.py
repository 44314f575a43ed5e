"""Tokens of the HTTP API let their owner in, as long as they are valid, and nobody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.database.models import ApiToken, User
from shared.errors import InvalidInputError
from shared.users.accounts import create_user
from shared.users.api_tokens import (
    DAYS_MAX,
    UnknownTokenError,
    authenticate,
    create_token,
    list_tokens,
    record_use,
    revoke_token,
    use_is_due,
)

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def admin(session: Session) -> User:
    return create_user(session, "ada", "admin", "correct horse", NOW)


def test_a_token_stands_for_its_owner(session: Session, admin: User) -> None:
    # Given
    row, token = create_token(session, "cron", admin, "import", NOW)
    # When
    identity = authenticate(session, token, NOW)
    # Then
    assert identity is not None
    assert (identity.name, identity.owner, identity.scope) == ("cron", "ada", "import")
    assert identity.allows("read")
    assert identity.allows("import")
    assert not identity.allows("admin")
    assert row.expires_at == NOW + timedelta(days=365)


def test_only_the_hash_of_a_token_is_stored(session: Session, admin: User) -> None:
    # Given
    _, token = create_token(session, "cron", admin, "read", NOW)
    # When
    columns = session.execute(select(*ApiToken.__table__.columns)).one()
    # Then
    assert not any(token in str(value) or token[7:] in str(value) for value in columns)
    assert len(token) == len("doseqr_") + 43


def test_two_tokens_are_never_the_same(session: Session, admin: User) -> None:
    tokens = {create_token(session, f"t{number}", admin, "read", NOW)[1] for number in range(20)}
    assert len(tokens) == 20


@pytest.mark.parametrize("text", ["", "doseqr_", "doseqr_" + "x" * 43, "x" * 10_000, "doseqr_\0", "🗝"])
def test_any_other_text_is_no_token(session: Session, admin: User, text: str) -> None:
    create_token(session, "cron", admin, "read", NOW)
    assert authenticate(session, text, NOW) is None


def test_an_expired_token_is_refused(session: Session, admin: User) -> None:
    # Given
    _, token = create_token(session, "cron", admin, "read", NOW, days=1)
    # Then
    assert authenticate(session, token, NOW + timedelta(hours=23)) is not None
    assert authenticate(session, token, NOW + timedelta(days=1)) is None


def test_a_token_without_an_end_lasts(session: Session, admin: User) -> None:
    _, token = create_token(session, "cron", admin, "read", NOW, days=None)
    assert authenticate(session, token, NOW + timedelta(days=9999)) is not None


def test_a_revoked_token_is_refused(session: Session, admin: User) -> None:
    # Given
    _, token = create_token(session, "cron", admin, "read", NOW)
    # When
    revoke_token(session, " cron ", NOW)
    again = revoke_token(session, "cron", NOW + timedelta(days=1))
    # Then
    assert authenticate(session, token, NOW) is None
    assert again.revoked_at == NOW


def test_a_disabled_owner_takes_the_token_along(session: Session, admin: User) -> None:
    # Given
    _, token = create_token(session, "cron", admin, "read", NOW)
    # When
    admin.disabled_at = NOW
    session.flush()
    # Then
    assert authenticate(session, token, NOW) is None


@pytest.mark.parametrize(("role", "scope"), [("viewer", "read"), ("importer", "import"), ("admin", "admin")])
def test_a_token_does_no_more_than_its_owner_may(
    session: Session, admin: User, role: str, scope: str
) -> None:
    # Given
    _, token = create_token(session, "cron", admin, "admin", NOW)
    # When
    admin.role = role
    session.flush()
    # Then
    identity = authenticate(session, token, NOW)
    assert identity is not None
    assert identity.scope == scope


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "cron"}, "name"),
        ({"scope": "write"}, "scope"),
        ({"scope": "import"}, "scope"),
        ({"days": 0}, "days"),
        ({"days": DAYS_MAX + 1}, "days"),
    ],
)
def test_a_malformed_token_is_refused_by_field(
    session: Session, values: dict[str, object], field: str
) -> None:
    # Given
    viewer = create_user(session, "vera", "viewer", "correct horse", NOW)
    create_token(session, "cron", viewer, "read", NOW)
    given = {"name": "other", "scope": "read", "days": 1, **values}
    # When
    with pytest.raises(InvalidInputError) as caught:
        create_token(session, given["name"], viewer, given["scope"], NOW, days=given["days"])  # type: ignore[arg-type]
    # Then
    assert caught.value.field == field


def test_an_unknown_token_cannot_be_revoked(session: Session) -> None:
    with pytest.raises(UnknownTokenError):
        revoke_token(session, "nobody", NOW)


def test_the_last_use_is_written_once_a_minute(session: Session, admin: User) -> None:
    # Given
    row, _ = create_token(session, "cron", admin, "read", NOW)
    due_at_first = use_is_due(session, row.id, NOW)
    # When
    record_use(session, row.id, NOW)
    # Then
    assert due_at_first
    assert not use_is_due(session, row.id, NOW + timedelta(seconds=59))
    assert use_is_due(session, row.id, NOW + timedelta(seconds=60))
    assert list_tokens(session)[0]["last_used_at"] == "2024-05-01T12:00:00Z"
