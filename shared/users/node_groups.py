"""Which groups of nodes users may use: one place decides, for page, API and tokens."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.database.models.web import Node, User
from shared.errors import InvalidInputError
from shared.users.accounts import end_sessions
from shared.users.node_scope import NodeScope


def scope_of(user: User) -> NodeScope | None:
    """Return what a user sees; None: everything. Administrators see everything: they set the limits."""
    if user.role == "admin" or user.node_groups is None:
        return None
    return NodeScope(frozenset(user.node_groups), user.name)


def set_groups(session: Session, user: User, text: str) -> list[str] | None:
    """Limit a user to groups, separated by commas, or to none if there are none; their sessions end.

    Returns the groups, by name; None: all nodes.

    Raises:
        InvalidInputError: no node belongs to one of them.
    """
    wanted = sorted({name.strip() for name in text.split(",") if name.strip()})
    known = list_groups(session)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        names = ", ".join(known) or "none"
        raise InvalidInputError("groups", f"no node belongs to {unknown[0][:64]!r}; known: {names}")
    user.node_groups = wanted or None
    end_sessions(user)
    return user.node_groups


def set_groups_of_provider(user: User, names: Iterable[str]) -> None:
    """Limit a user to the groups that a provider names; to none if it names none."""
    wanted = sorted(set(names))
    if user.node_groups != wanted:
        user.node_groups = wanted
        end_sessions(user)


def list_groups(session: Session) -> list[str]:
    """Return the groups of all nodes that are not removed, by name."""
    groups = select(Node.group).where(Node.removed_at.is_(None), Node.group != "").distinct()
    return sorted(session.scalars(groups))
