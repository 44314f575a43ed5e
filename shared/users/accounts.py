"""Users and their passwords, shared by page and command line."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from functools import cache
from typing import Literal, get_args

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared.database.models.web import User
from shared.errors import InvalidInputError, NotFoundError
from shared.users.passwords import (
    PASSWORD_MAX_LENGTH,
    check_acceptable,
    hash_password,
    needs_rehash,
    one_time_password,
    verify_password,
)

Role = Literal["viewer", "importer", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)

NAME_MAX_LENGTH = 64
#: Time in which a one-time password must be changed.
ONE_TIME_LIFE = timedelta(days=7)
#: Name of the first user, made with a one-time password.
FIRST_ADMIN = "admin"


class UnknownUserError(InvalidInputError, NotFoundError):
    """No user has this name."""


def create_user(
    session: Session,
    name: str,
    role: str,
    password: str,
    now: datetime,
    *,
    must_change_password: bool = False,
) -> User:
    """Add a user who may log in.

    Raises:
        InvalidInputError: the name is taken or malformed, the role unknown, or the password not acceptable.
    """
    valid_name = _valid_name(name)
    check_acceptable(password, valid_name)
    user = User(
        name=valid_name,
        role=valid_role(role),
        password_hash=hash_password(password),
        must_change_password=must_change_password,
        password_expires_at=now + ONE_TIME_LIFE if must_change_password else None,
        session_token=new_session_token(),
        created_at=now,
    )
    try:
        with session.begin_nested():
            session.add(user)
            session.flush()
    except IntegrityError:
        raise InvalidInputError("name", "there is already a user of this name") from None
    return user


def set_password(
    session: Session, user: User, password: str, now: datetime, *, must_change_password: bool = False
) -> None:
    """Set the password of a user; their sessions end.

    Raises:
        InvalidInputError: the password is not acceptable, or the user logs in elsewhere.
    """
    _check_is_local(user)
    check_acceptable(password, user.name)
    user.password_hash = hash_password(password)
    user.must_change_password = must_change_password
    user.password_expires_at = now + ONE_TIME_LIFE if must_change_password else None
    end_sessions(user)
    session.flush()


def end_sessions(user: User) -> None:
    """End all sessions of a user: what they hold of the old token is worth nothing."""
    user.session_token = new_session_token()


def set_role(user: User, role: str, *, by_provider: bool = False) -> None:
    """Give a user another role; their sessions end.

    Raises:
        InvalidInputError: there is no such role, or only their provider gives them one.
    """
    if not by_provider:
        _check_is_local(user)
    user.role = valid_role(role)
    end_sessions(user)


def set_disabled(user: User, disabled_at: datetime | None) -> None:
    """Disable a user, or enable them again (None); their sessions end."""
    user.disabled_at = disabled_at
    end_sessions(user)


def check_password(session: Session, name: str, password: str, now: datetime) -> User | None:
    """Return the user if the password is right and they may log in; as slow for unknown names.

    A one-time password that has expired is wrong.
    """
    user = session.scalars(select(User).where(User.name == name.strip())).one_or_none()
    # A user of an OpenID provider has no password here.
    expected = user.password_hash if user is not None and user.password_hash else _hash_of_nobody()
    matches = verify_password(expected, password[:PASSWORD_MAX_LENGTH])
    too_long = len(password) > PASSWORD_MAX_LENGTH
    if user is None or not matches or too_long or user.disabled_at is not None:
        return None
    expires_at = user.password_expires_at
    return user if expires_at is None or now < expires_at else None


def renew_hash(user: User, password: str) -> None:
    """Replace a hash of an earlier version while the right password is at hand."""
    if needs_rehash(user.password_hash):
        user.password_hash = hash_password(password)


def find_user(session: Session, name: str) -> User:
    """Return the user of this name.

    Raises:
        UnknownUserError: there is none.
    """
    user = session.scalars(select(User).where(User.name == name.strip())).one_or_none()
    if user is None:
        raise UnknownUserError("name", "there is no user of this name")
    return user


def list_users(session: Session) -> list[User]:
    """Return all users by name."""
    return list(session.scalars(select(User).order_by(User.name)))


def ensure_first_admin(session: Session, now: datetime, given: str = "") -> str | None:
    """Create the user `admin` if there are no users; returns the one-time password, or None.

    `given` is used instead of a made-up one. If `admin` is the only user and let the one-time password
    expire, there is a new one.

    Raises:
        InvalidInputError: the given password is not acceptable.
    """
    password = given or one_time_password()
    if session.scalar(select(func.count()).select_from(User)):
        only = _unused_admin(session, now)
        if only is None:
            return None
        set_password(session, only, password, now, must_change_password=True)
        return password
    check_acceptable(password, FIRST_ADMIN)
    try:
        create_user(session, FIRST_ADMIN, "admin", password, now, must_change_password=True)
    except InvalidInputError:  # another process was first
        return None
    return password


def _unused_admin(session: Session, now: datetime) -> User | None:
    users = list_users(session)
    if len(users) > 1 or users[0].name != FIRST_ADMIN:
        return None
    expires_at = users[0].password_expires_at
    return users[0] if expires_at is not None and expires_at <= now else None


def valid_role(role: str) -> Role:
    """Return the role.

    Raises:
        InvalidInputError: there is no such role.
    """
    for known in ROLES:
        if role == known:
            return known
    raise InvalidInputError("role", f"must be one of {', '.join(ROLES)}")


def _check_is_local(user: User) -> None:
    if user.oidc_subject is not None:
        raise InvalidInputError("name", "logs in at the OpenID provider, which has password and role")


def _valid_name(name: str) -> str:
    text = name.strip()
    if not 1 <= len(text) <= NAME_MAX_LENGTH or not text.isprintable():
        raise InvalidInputError("name", f"must have 1 to {NAME_MAX_LENGTH} printable characters")
    return text


@cache
def _hash_of_nobody() -> str:
    return hash_password(one_time_password())


def new_session_token() -> str:
    """Return what the sessions of a user hold until they are ended."""
    return secrets.token_hex(32)
