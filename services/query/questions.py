"""Questions of a measurement and how they are answered. Pure."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, TypeVar

T = TypeVar("T")

#: Answers that are taken of one question; then it is ended.
MOST_ANSWERS = 500


class Ending(StrEnum):
    """How a question ended."""

    COMPLETE = "complete"
    #: We ended it: there were more answers than wanted.
    CUT = "cut"
    #: The node did not answer it to the end.
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Question:
    """One C-FIND; several UIDs or codes are a list of values of one key."""

    level: str
    first: date | None = None
    last: date | None = None
    #: Minutes of a single day, both included.
    minutes: tuple[int, int] | None = None
    codes: tuple[str, ...] = ()
    studies: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    #: Series of all studies of the days, without naming these (PS3.4 C.4.1.2.2.2).
    relational: bool = False
    #: An empty Modality (0008,0060) at STUDY level.
    with_modality: bool = False
    most: int = MOST_ANSWERS


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered: matches of the level of the question."""

    ending: Ending
    matches: Sequence[Any] = ()

    @property
    def complete(self) -> bool:
        """Whether these are all answers."""
        return self.ending is Ending.COMPLETE


#: Yields questions, is sent replies, returns what follows from them.
Plan = Generator[Question, Reply, T]
