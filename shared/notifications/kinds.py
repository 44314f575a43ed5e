"""What people can be notified of, and who may be. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class NoticeKind(StrEnum):
    """What a notification is about."""

    SCHEDULE = "schedule"
    COVERAGE = "coverage"
    STORE = "store"
    DEAD_LETTERS = "dead_letters"
    NODE = "node"
    JOB = "job"


class Phase(StrEnum):
    """What became of a cause."""

    #: It is not well, for the first time.
    BEGAN = "began"
    #: It is not well, and there is more of it than people were notified of.
    GREW = "grew"
    #: It is well again.
    OVER = "over"
    #: It changes to and fro; nothing more until it has been steady for the quiet time.
    FLAPPING = "flapping"
    #: After that it is well, or not.
    STEADY = "steady"
    STUCK = "stuck"
    #: A job ended.
    ENDED = "ended"


#: Ends of a job of which its owner can be notified; whoever cancels one knows.
OUTCOMES = ("completed", "incomplete", "failed")

#: Roles of the users who may see what a kind is about on the page.
ROLES_OF: Mapping[NoticeKind, tuple[str, ...]] = {
    NoticeKind.SCHEDULE: ("importer", "admin"),
    NoticeKind.COVERAGE: ("viewer", "importer", "admin"),
    NoticeKind.STORE: ("importer", "admin"),
    NoticeKind.DEAD_LETTERS: ("admin",),
    NoticeKind.NODE: ("importer", "admin"),
    NoticeKind.JOB: ("viewer", "importer", "admin"),
}


def kinds_of(role: str) -> list[NoticeKind]:
    """Return the kinds that a user of this role can be notified of."""
    return [kind for kind, roles in ROLES_OF.items() if role in roles]
