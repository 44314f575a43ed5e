"""Users and their passwords, shared by page and command line."""

from __future__ import annotations

import secrets
from datetime import datetime
from functools import cache
from typing import Literal, get_args

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from werkzeug.security import check_password_hash, generate_password_hash

from shared.database.models.web import User
from shared.errors import InvalidInputError, NotFoundError

Role = Literal["viewer", "importer", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)

NAME_MAX_LENGTH = 64
#: NIST SP 800-63B 5.1.1: at least 8 characters; the upper bound keeps hashing cheap.
PASSWORD_MIN_LENGTH, PASSWORD_MAX_LENGTH = 8, 256
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
        InvalidInputError: the name is taken or malformed, the role unknown, the password too short.
    """
    user = User(
        name=_valid_name(name),
        role=valid_role(role),
        password_hash=_hash(password),
        must_change_password=must_change_password,
        session_token=_token(),
        created_at=now,
    )
    try:
        with session.begin_nested():
            session.add(user)
            session.flush()
    except IntegrityError:
        raise InvalidInputError("name", "there is already a user of this name") from None
    return user


def set_password(session: Session, user: User, password: str, *, must_change_password: bool = False) -> None:
    """Set the password of a user; their sessions end.

    Raises:
        InvalidInputError: the password is too short or too long.
    """
    user.password_hash = _hash(password)
    user.must_change_password = must_change_password
    user.session_token = _token()
    session.flush()


def check_password(session: Session, name: str, password: str) -> User | None:
    """Return the user if the password is right and they may log in; as slow for unknown names."""
    user = session.scalars(select(User).where(User.name == name.strip())).one_or_none()
    expected = user.password_hash if user is not None else _hash_of_nobody()
    matches = check_password_hash(expected, password[:PASSWORD_MAX_LENGTH])
    too_long = len(password) > PASSWORD_MAX_LENGTH
    if user is None or not matches or too_long or user.disabled_at is not None:
        return None
    return user


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


def ensure_first_admin(session: Session, now: datetime) -> str | None:
    """Create the user `admin` if there are no users; returns the one-time password, or None."""
    if session.scalar(select(func.count()).select_from(User)):
        return None
    password = secrets.token_urlsafe(12)
    try:
        create_user(session, FIRST_ADMIN, "admin", password, now, must_change_password=True)
    except InvalidInputError:  # another process was first
        return None
    return password


def valid_role(role: str) -> Role:
    """Return the role.

    Raises:
        InvalidInputError: there is no such role.
    """
    for known in ROLES:
        if role == known:
            return known
    raise InvalidInputError("role", f"must be one of {', '.join(ROLES)}")


def _valid_name(name: str) -> str:
    text = name.strip()
    if not 1 <= len(text) <= NAME_MAX_LENGTH or not text.isprintable():
        raise InvalidInputError("name", f"must have 1 to {NAME_MAX_LENGTH} printable characters")
    return text


def _hash(password: str) -> str:
    if not PASSWORD_MIN_LENGTH <= len(password) <= PASSWORD_MAX_LENGTH:
        raise InvalidInputError(
            "password", f"must have {PASSWORD_MIN_LENGTH} to {PASSWORD_MAX_LENGTH} characters"
        )
    return generate_password_hash(password)


@cache
def _hash_of_nobody() -> str:
    return generate_password_hash(secrets.token_urlsafe(12))


def _token() -> str:
    return secrets.token_hex(32)
