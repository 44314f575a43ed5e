"""What was learned of a node, and what follows from it for the next question. Pure.

Defaults are careful; what was measured is used. Each method that learns returns a new profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

#: So many answers to one request are believed to be all of them without a proof.
UNPROVEN = 20

#: The widest window of days for a node of which nothing is known.
CAREFUL_DAYS = 7

#: No window is planned wider.
WIDEST_DAYS = 366

#: Answers that a planned window should bring at most, as long as no cap is known.
COMFORTABLE = 500

#: UIDs in one list: beyond this, fewer requests gain little and a lost one costs much (SERIES level answers
#: several series a study).
LIST_LENGTH = 50
SHORT_LIST_LENGTH = 10


@dataclass(frozen=True, slots=True)
class Profile:
    """What was learned of a node; None: not measured."""

    #: UIDs that it takes in one list at SERIES and IMAGE level; 0: it takes none.
    series_list: int | None = None
    image_list: int | None = None
    #: The largest number of answers to one request that was proven to be all there were.
    proven: int = UNPROVEN
    #: The number of answers beyond which it says nothing, although it says success.
    cap: int | None = None
    #: The widest window of days that answered with something.
    widest_days: int = 1
    #: The most studies of one code a day.
    busiest: float = 0.0

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read stored values; what this version does not know is left out."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in data.items() if name in names})

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def window_days(self) -> int:
        """Return how many days a query's slices begin with."""
        if not self.busiest:
            return CAREFUL_DAYS
        comfortable = min(COMFORTABLE, max(self.proven, 50) * 2, (self.cap or 2 * COMFORTABLE) // 2)
        fitting = int(comfortable / self.busiest)
        return max(1, min(fitting, max(self.widest_days * 4, CAREFUL_DAYS), WIDEST_DAYS))

    def believes_empty(self, days: int) -> bool:
        """Tell whether no answer to a window of so many days means that there is nothing."""
        return days <= self.widest_days

    def believes_all(self, answers: int) -> bool:
        """Tell whether so many answers are all there are, as far as is known."""
        return answers <= self.proven and (self.cap is None or answers < self.cap)

    def answered(self, days: int, answers: int) -> Self:
        """Learn from a window that answered with something."""
        return replace(
            self, widest_days=max(self.widest_days, days), busiest=max(self.busiest, answers / days)
        )

    def proved(self, answers: int) -> Self:
        """Learn that so many answers were all there were."""
        cap = None if self.cap is not None and self.cap <= answers else self.cap
        return replace(self, proven=max(self.proven, answers), cap=cap)

    def capped(self, answers: int) -> Self:
        """Learn that it stops at so many answers."""
        return replace(self, cap=answers, proven=min(self.proven, max(answers - 1, 0)))

    def list_length(self, level: str) -> int:
        """Return how many UIDs to ask for at once; unknown: try."""
        known = self.series_list if level == "SERIES" else self.image_list
        length = LIST_LENGTH if known is None else known
        return length if self.cap is None else min(length, max(self.cap // 10, 1))

    def takes_lists(self, level: str, length: int) -> Self:
        """Learn how many UIDs in a list it takes; 0: none."""
        return replace(self, series_list=length) if level == "SERIES" else replace(self, image_list=length)
