"""Names that people give to nodes and recurring queries, and that stand where an id may stand. Pure."""

from __future__ import annotations

NAME_MAX_LENGTH = 64
#: In the name of what was removed; nothing else may carry it.
REMOVED_MARK = "#removed-"


def trimmed(value: object) -> object:
    """Return text without blanks around it, and anything else as it is."""
    return value.strip() if isinstance(value, str) else value


def checked_name(value: str) -> str:
    """Return a name that can stand beside ids.

    Raises:
        ValueError: it is empty, too long, not printable, a number, or marks something removed.
    """
    if not 1 <= len(value) <= NAME_MAX_LENGTH:
        raise ValueError(f"must have 1 to {NAME_MAX_LENGTH} characters")
    if not value.isprintable():
        raise ValueError("must hold only printable characters")
    if value.isdecimal():
        raise ValueError("must not be a number only: it would be taken for an id")
    if REMOVED_MARK in value:
        raise ValueError(f"must not hold {REMOVED_MARK}")
    return value


def checked_group(value: str) -> str:
    """Return the name of a group of nodes, or an empty one; lists of groups are separated by commas.

    Raises:
        ValueError: it is too long, not printable or holds a comma.
    """
    if len(value) > NAME_MAX_LENGTH or not value.isprintable() or "," in value:
        raise ValueError(f"must have up to {NAME_MAX_LENGTH} printable characters, and no comma")
    return value


def removed_name(name: str, row_id: int) -> str:
    """Return the name under which a removed row stays, so that its name is free again."""
    mark = f"{REMOVED_MARK}{row_id}"
    return name[: NAME_MAX_LENGTH - len(mark)] + mark


def name_before_removal(name: str) -> str:
    """Return the name that a removed row had, as far as it was kept."""
    return name.partition(REMOVED_MARK)[0]
