"""Users whom an OpenID provider knows: by issuer and subject, never by name."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared.database.models.web import User
from shared.errors import InvalidInputError
from shared.users.accounts import NAME_MAX_LENGTH, ROLES, Role, new_session_token, set_role

#: Names that are tried for a new user, one after the other.
_NAMES = 50
#: Characters of an issuer or subject (OpenID Connect Core, 2: 255 for a subject).
_KEY_MAX_LENGTH = 255


def role_of(values: object, role_map: Iterable[str]) -> Role | None:
    """Return the highest role that a claim's value or values have in `value=role`; None: none."""
    held = texts_of(values)
    found = {role for claim, _, role in (entry.rpartition("=") for entry in role_map) if claim in held}
    return next((role for role in reversed(ROLES) if role in found), None)


def texts_of(values: object) -> set[str]:
    """Return the texts of a claim that holds one or several."""
    return set(map(str, values)) if isinstance(values, list) else {str(values)} if values else set()


def user_of(session: Session, issuer: str, subject: str, name: str, role: Role, now: datetime) -> User:
    """Return the user of a subject with this role; at the first log-in one is made.

    A user of the same name is another one: the new one gets a name that is free. Another role ends the
    sessions of before.

    Raises:
        InvalidInputError: there is no such subject, or no name is free.
    """
    if not 1 <= len(subject) <= _KEY_MAX_LENGTH or not subject.isprintable():
        raise InvalidInputError("sub", f"must have 1 to {_KEY_MAX_LENGTH} printable characters")
    known = _find(session, issuer, subject)
    if known is None:
        return _add(session, issuer, subject, name, role, now)
    if known.role != role:
        set_role(known, role, by_provider=True)
    return known


def _find(session: Session, issuer: str, subject: str) -> User | None:
    query = select(User).where(User.oidc_issuer == issuer, User.oidc_subject == subject)
    return session.scalars(query).one_or_none()


def _add(session: Session, issuer: str, subject: str, name: str, role: Role, now: datetime) -> User:
    for number in range(1, _NAMES + 1):
        user = User(
            name=_name(name or subject, number),
            role=role,
            # No password has this hash.
            password_hash="",
            must_change_password=False,
            session_token=new_session_token(),
            created_at=now,
            oidc_issuer=issuer,
            oidc_subject=subject,
        )
        try:
            with session.begin_nested():
                session.add(user)
                session.flush()
        except IntegrityError:
            # The name is taken, or another process was first with this subject.
            known = _find(session, issuer, subject)
            if known is not None:
                return known
        else:
            return user
    raise InvalidInputError("name", f"{_NAMES} users have this name")


def _name(wanted: str, number: int) -> str:
    ending = "" if number == 1 else f" ({number})"
    plain = "".join(character for character in wanted if character.isprintable()).strip() or "user"
    return plain[: NAME_MAX_LENGTH - len(ending)].strip() + ending
