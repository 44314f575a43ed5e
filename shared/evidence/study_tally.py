"""What all queries of a node together found of one study, and what it adds to the numbers of its days. Pure.

The findings of queries can be merged in any order, one at a time, as the queries end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from shared.contract.criteria import CODES
from shared.contract.json_types import JsonDocument
from shared.contract.reasons import Reason
from shared.evidence.coverage import source_of

#: In place of a source: only what is stored shows where the dose of the study is.
KNOWN_SOURCE = "known"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one query found of a study."""

    job_id: str
    requested_at: datetime
    #: Whether its decision rests on all series of the study.
    settled: bool
    type: str | None
    reason: str
    day: date | None
    time: str = ""
    station: str = ""
    accession_number: str = ""

    @property
    def source(self) -> str:
        """Where the dose is; KNOWN_SOURCE if only what is stored shows it."""
        return KNOWN_SOURCE if self.reason == Reason.KNOWN else source_of(self.reason).value

    def _order(self) -> tuple[bool, bool, bool, bool, float, str]:
        known, latest = self.reason == Reason.KNOWN, -self.requested_at.timestamp()
        return (self.day is None, not self.settled, self.type is None, known, latest, self.job_id)

    def better(self, other: Finding) -> Finding:
        """Return the more informative of the two.

        One with a day comes before one without, settled before not settled, a requested type before none,
        what the study holds before that it is known already, then the latest.
        """
        return min(self, other, key=Finding._order)


OpenTypes = Mapping[date, frozenset[str]]


@dataclass(frozen=True, slots=True)
class StudyTally:
    """The findings of all queries of a node on a study."""

    best: Finding
    #: The types for which a query has settled it.
    settled_types: frozenset[str] = frozenset()
    #: The types for which a query could not settle it, by the day that the study had then.
    open_types: OpenTypes = field(default_factory=dict)

    def merged(self, other: StudyTally) -> StudyTally:
        """Return both together."""
        open_types = dict(self.open_types)
        for day, types in other.open_types.items():
            open_types[day] = open_types.get(day, frozenset()) | types
        return StudyTally(self.best.better(other.best), self.settled_types | other.settled_types, open_types)

    def numbers(self) -> Iterator[StudyNumber]:
        """Yield what the study adds to the numbers of its days."""
        best = self.best
        if best.day is not None:
            if not best.settled:
                yield StudyNumber(best.day, NumberKind.UNDECIDED, best.type or "")
            elif best.type is not None:
                yield StudyNumber(best.day, NumberKind.SETTLED, best.type, best.station, best.source)
        for day, types in self.open_types.items():
            for name in types - self.settled_types:
                yield StudyNumber(day, NumberKind.OPEN, name)


class NumberKind(StrEnum):
    """Which number a study adds to."""

    #: Settled, by type, station and source.
    SETTLED = "settled"
    #: Found, and not settled for a requested type, by type.
    OPEN = "open"
    #: Found, and settled by no query at all; the type is empty where none is known.
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class StudyNumber:
    """One more study of a day."""

    day: date
    kind: NumberKind
    type: str
    station: str = ""
    source: str = ""


def tally_of(
    finding: Finding, requested_types: frozenset[str], modalities: Iterable[str] | None
) -> StudyTally:
    """Return what one query found of a study, for the types that it requested."""
    if finding.settled:
        return StudyTally(finding, requested_types)
    if finding.day is None:
        return StudyTally(finding)
    return StudyTally(finding, open_types={finding.day: possible_types(requested_types, modalities)})


def requested_types(criteria: JsonDocument) -> frozenset[str]:
    """Return the types of criteria in the ledger, SR for reports alone."""
    return frozenset([*criteria.get("types", ()), *(["SR"] if criteria.get("include_sr_only") else [])])


def possible_types(requested: frozenset[str], modalities: Iterable[str] | None) -> frozenset[str]:
    """Return the requested types of which the study may be, as far as the PACS returned its modalities."""
    if not modalities:
        return requested
    present = set(modalities)
    return frozenset(name for name in requested if not present.isdisjoint(CODES.get(name, ())))


def open_types_json(open_types: OpenTypes) -> dict[str, list[str]] | None:
    """Return the open types as the ledger keeps them; None for none."""
    kept = {day.isoformat(): sorted(types) for day, types in open_types.items() if types}
    return kept or None


def read_open_types(kept: JsonDocument | None) -> OpenTypes:
    """Return the open types that the ledger holds."""
    return {date.fromisoformat(day): frozenset(types) for day, types in (kept or {}).items()}
