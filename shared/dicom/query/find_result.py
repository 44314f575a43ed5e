"""The result of one C-FIND: its matches, its final status, and what went wrong; pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from shared.dicom.errors import InterruptedWorkError, PeerError

T = TypeVar("T")


@dataclass(slots=True)
class FindResult(Generic[T]):
    """The result of one C-FIND; only a complete one holds all matches there are."""

    matches: list[T] = field(default_factory=list)
    #: Matches that could not be read, and what was wrong with the first of them.
    broken: int = 0
    problem: str = ""
    #: Final status; None if no final response came.
    status_code: int | None = None
    error: PeerError | InterruptedWorkError | None = None
    duration_ms: int = 0

    @property
    def complete(self) -> bool:
        """Whether the peer ended with success and every match was readable."""
        return self.error is None

    def complete_matches(self) -> list[T]:
        """Return all matches.

        Raises:
            PeerError, InterruptedWorkError: the result is not complete.
        """
        if self.error is not None:
            raise self.error
        return self.matches
