"""The objects of a task that have arrived. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from services.retrieve.planning.attempts import UNNAMED, Attempt
from services.retrieve.planning.moves import SeriesPart
from services.retrieve.planning.payloads import SeriesKey


@dataclass(slots=True)
class Arrivals:
    """Objects that have arrived: the named ones, and those of unlisted series."""

    sop_instance_uids: set[str] = field(default_factory=set)
    unlisted: dict[SeriesKey, set[str]] = field(default_factory=dict)

    def of(self, part: SeriesPart) -> int:
        """Return how many objects of one part have arrived."""
        if part.unlisted:
            return len(self.unlisted.get(part.key, ()))
        return sum(uid in self.sop_instance_uids for uid in part.sop_instance_uids)

    def count(self, parts: Iterable[SeriesPart]) -> int:
        """Return how many objects of these parts have arrived."""
        return sum(self.of(part) for part in parts)

    def missing_of(self, parts: Sequence[SeriesPart]) -> list[SeriesPart]:
        """Return what has not arrived of these parts; an unlisted series stays whole."""
        return [
            rest
            for part in parts
            if (rest := part if part.unlisted else part.without(self.sop_instance_uids)) is not None
        ]

    def add(self, other: Arrivals) -> None:
        """Add what other evidence shows."""
        self.sop_instance_uids |= other.sop_instance_uids
        for key, uids in other.unlisted.items():
            self.unlisted.setdefault(key, set()).update(uids)

    def __bool__(self) -> bool:
        return bool(self.sop_instance_uids) or any(self.unlisted.values())


def add_reported(attempts: Iterable[Attempt], arrivals: Arrivals) -> None:
    """Count as arrived what the PACS reports as sent, where nothing better can be known."""
    for attempt in attempts:
        first = attempt.move.parts[0]
        if not first.unlisted:
            arrivals.sop_instance_uids |= attempt.response.reported_sent(attempt.move.sop_instance_uids)
        elif attempt.response.reported_sent([""]):
            arrivals.unlisted.setdefault(first.key, set(UNNAMED))


def stored_by_c_get(attempts: Iterable[Attempt]) -> Arrivals:
    """Return what the store node accepted from us: its C-STORE responses are the receipts."""
    arrivals = Arrivals()
    for attempt in attempts:
        first = attempt.move.parts[0]
        if not first.unlisted:
            arrivals.sop_instance_uids |= attempt.response.stored
        elif attempt.response.stored:
            arrivals.unlisted.setdefault(first.key, set()).update(attempt.response.stored)
    return arrivals
