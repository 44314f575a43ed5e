"""Bearer tokens of the HTTP API (RFC 6750), the same for the page, the command line and the API."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared.clock import iso
from shared.database.models.web import ApiToken, User
from shared.errors import InvalidInputError, NotFoundError
from shared.users.node_groups import scope_of
from shared.users.node_scope import NodeScope

Scope = Literal["read", "import", "admin"]
#: Each scope includes those before it.
SCOPES: tuple[Scope, ...] = get_args(Scope)

#: What the owner's role allows at most.
_SCOPE_OF_ROLE: dict[str, Scope] = {"viewer": "read", "importer": "import", "admin": "admin"}

NAME_MAX_LENGTH = 64
#: Random bytes of a token; guessing one of 256 bits is out of reach, so a plain hash is enough.
TOKEN_BYTES = 32
#: How every token begins, so that it is recognised where it does not belong.
PREFIX = "doseqr_"
#: Characters of a token; a longer text is none.
TOKEN_MAX_LENGTH = 64
#: Days for which a token is valid unless somebody chose otherwise, and at most.
DAYS_DEFAULT, DAYS_MAX = 365, 3650
#: The last use is written down at most once in this time: a poll must not be a write.
LAST_USE_EVERY = timedelta(minutes=1)


class UnknownTokenError(InvalidInputError, NotFoundError):
    """No token has this name."""


@dataclass(frozen=True, slots=True)
class TokenIdentity:
    """Who a valid token stands for, and what it may do now."""

    id: int
    name: str
    owner: str
    scope: Scope
    #: What its owner sees; None: everything.
    node_scope: NodeScope | None

    def allows(self, scope: Scope) -> bool:
        """Return whether this scope is included."""
        return SCOPES.index(scope) <= SCOPES.index(self.scope)


def create_token(
    session: Session, name: str, owner: User, scope: str, now: datetime, *, days: int | None = DAYS_DEFAULT
) -> tuple[ApiToken, str]:
    """Add a token; returns its row, and the token itself, which cannot be shown again.

    `days` is its lifetime; None: until it is revoked.

    Raises:
        InvalidInputError: the name is taken or malformed, the scope unknown or beyond the owner's role, or
            the number of days out of range.
    """
    token = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    row = ApiToken(
        name=_valid_name(name),
        owner_id=owner.id,
        scope=_valid_scope(scope, owner),
        token_hash=_hash(token),
        created_at=now,
        expires_at=_expiry(now, days),
    )
    try:
        with session.begin_nested():
            session.add(row)
            session.flush()
    except IntegrityError:
        raise InvalidInputError("name", "there is already a token of this name; revoked ones count") from None
    return row, token


def authenticate(session: Session, token: str, now: datetime) -> TokenIdentity | None:
    """Return who a token stands for; None if it is unknown, expired or revoked, or its owner is disabled."""
    if not token.startswith(PREFIX) or len(token) > TOKEN_MAX_LENGTH:
        return None
    # Found by its hash, so the time that this takes reveals nothing about tokens that are valid.
    row = session.execute(
        select(ApiToken, User)
        .join(User, User.id == ApiToken.owner_id)
        .where(ApiToken.token_hash == _hash(token))
    ).one_or_none()
    if row is None:
        return None
    found, owner = row
    expired = found.expires_at is not None and found.expires_at <= now
    if expired or found.revoked_at is not None or owner.disabled_at is not None:
        return None
    return TokenIdentity(
        found.id, found.name, owner.name, _effective(found.scope, owner.role), scope_of(owner)
    )


def record_use(session: Session, token_id: int, now: datetime) -> None:
    """Write down when a token was last used."""
    session.execute(update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=now))


def use_is_due(session: Session, token_id: int, now: datetime) -> bool:
    """Return whether the last recorded use is old enough to be written anew."""
    last = session.scalar(select(ApiToken.last_used_at).where(ApiToken.id == token_id))
    return last is None or now - last >= LAST_USE_EVERY


def revoke_token(session: Session, name: str, now: datetime) -> ApiToken:
    """End a token; revoking it again changes nothing.

    Raises:
        UnknownTokenError: there is none of this name.
    """
    row = session.scalars(select(ApiToken).where(ApiToken.name == name.strip())).one_or_none()
    if row is None:
        raise UnknownTokenError("name", "there is no token of this name")
    if row.revoked_at is None:
        row.revoked_at = now
        session.flush()
    return row


def list_tokens(session: Session) -> list[dict[str, str | None]]:
    """Return all tokens by name, without what would let anybody use them."""
    rows = session.execute(
        select(ApiToken, User.name).join(User, User.id == ApiToken.owner_id).order_by(ApiToken.name)
    )
    return [
        {
            "name": token.name,
            "owner": owner,
            "scope": token.scope,
            "created_at": iso(token.created_at),
            "expires_at": iso(token.expires_at),
            "last_used_at": iso(token.last_used_at),
            "revoked_at": iso(token.revoked_at),
        }
        for token, owner in rows
    ]


def _effective(scope: str, role: str) -> Scope:
    allowed = _SCOPE_OF_ROLE.get(role, "read")
    return min(_known_scope(scope), allowed, key=SCOPES.index)


def _known_scope(scope: str) -> Scope:
    for known in SCOPES:
        if scope == known:
            return known
    raise InvalidInputError("scope", f"must be one of {', '.join(SCOPES)}")


def _valid_scope(scope: str, owner: User) -> Scope:
    wanted = _known_scope(scope)
    if _effective(wanted, owner.role) != wanted:
        raise InvalidInputError("scope", f"the role of {owner.name}, {owner.role}, does not allow {wanted}")
    return wanted


def _valid_name(name: str) -> str:
    text = name.strip()
    if not 1 <= len(text) <= NAME_MAX_LENGTH or not text.isprintable():
        raise InvalidInputError("name", f"must have 1 to {NAME_MAX_LENGTH} printable characters")
    return text


def _expiry(now: datetime, days: int | None) -> datetime | None:
    if days is None:
        return None
    if not 1 <= days <= DAYS_MAX:
        raise InvalidInputError("days", f"must be 1 to {DAYS_MAX}")
    return now + timedelta(days=days)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
