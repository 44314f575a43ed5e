"""The numbers of one day of a node, added up over all its queries, and what is proven of the day. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from shared.contract.json_types import JsonDocument
from shared.evidence.day_proof import WHOLE_DAY, DayProof, DaySearch
from shared.evidence.study_tally import NumberKind, StudyNumber

#: In place of all minutes of a day.
_WHOLE = "*"

StationKey = tuple[str, str, str]
#: Type, station, software version.
Version = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class ProvenPart:
    """Minutes of a day, as bits, that queries until a moment have found complete."""

    requested_at: datetime
    minutes: int


@dataclass(frozen=True, slots=True)
class CodeProof:
    """What ended queries prove of a day for one code.

    A query proves the minutes only if it was requested when the day was over, and when that is follows from
    the time zone of the site. So the moments are kept, the latest first, each with what it adds.
    """

    requested: bool = False
    parts: Sequence[ProvenPart] = ()

    def with_search(self, search: DaySearch, day: date, code: str) -> CodeProof:
        """Return it with what an ended query adds."""
        complete, failed = search.minutes_of(day, code)
        requested = self.requested or bool(complete or failed)
        if search.lacks_undated or not complete:
            return CodeProof(requested, self.parts)
        return CodeProof(requested, _latest([*self.parts, ProvenPart(search.requested_at, complete)]))

    def proof(self, end_of_day: datetime) -> DayProof:
        """Return what is proven, with the moment at which the day was over."""
        minutes = 0
        for part in self.parts:
            minutes |= part.minutes if part.requested_at >= end_of_day else 0
        return DayProof(minutes, self.requested)


def _latest(parts: Iterable[ProvenPart]) -> list[ProvenPart]:
    """Return the parts, the latest first, each without the minutes of those before."""
    kept: list[ProvenPart] = []
    covered = 0
    for part in sorted(parts, key=lambda part: part.requested_at, reverse=True):
        more = part.minutes & ~covered
        if more:
            kept.append(ProvenPart(part.requested_at, more))
            covered |= more
    return kept


@dataclass(slots=True)
class DayTally:
    """The numbers of a day."""

    #: By type, station and source.
    settled: Counter[StationKey] = field(default_factory=Counter)
    #: By type: found, and not settled for it.
    open: Counter[str] = field(default_factory=Counter)
    #: By type, empty where none is known: settled by no query at all.
    undecided: Counter[str] = field(default_factory=Counter)
    #: Whether a query found a study, and whether one of them had an accession number.
    found: bool = False
    named: bool = False

    def add(self, number: StudyNumber, times: int = 1) -> None:
        """Count a study, or take it out."""
        if number.kind is NumberKind.SETTLED:
            self.settled[number.type, number.station, number.source] += times
        elif number.kind is NumberKind.OPEN:
            self.open[number.type] += times
        else:
            self.undecided[number.type] += times

    def note(self, has_accession_number: bool) -> None:
        """Note that a query found a study of the day."""
        self.found = True
        self.named = self.named or has_accession_number

    def numbers_json(self) -> JsonDocument:
        """Return the numbers as the ledger keeps them."""
        return {
            "settled": _nested(self.settled),
            "open": {name: number for name, number in self.open.items() if number},
            "undecided": {name: number for name, number in self.undecided.items() if number},
            "found": self.found,
            "named": self.named,
        }


def read_numbers(kept: JsonDocument) -> DayTally:
    """Return the numbers that the ledger holds."""
    settled = Counter(
        {
            (type_name, station, source): number
            for type_name, stations in kept["settled"].items()
            for station, sources in stations.items()
            for source, number in sources.items()
        }
    )
    return DayTally(settled, Counter(kept["open"]), Counter(kept["undecided"]), kept["found"], kept["named"])


def _nested(settled: Mapping[StationKey, int]) -> dict[str, dict[str, dict[str, int]]]:
    nested: dict[str, dict[str, dict[str, int]]] = {}
    for (type_name, station, source), number in settled.items():
        if number:
            nested.setdefault(type_name, {}).setdefault(station, {})[source] = number
    return nested


def proofs_json(proofs: Mapping[str, CodeProof]) -> JsonDocument:
    """Return the proofs of a day, by code, as the ledger keeps them."""
    return {
        code: {
            "requested": proof.requested,
            "parts": [[part.requested_at.isoformat(), _minutes_text(part.minutes)] for part in proof.parts],
        }
        for code, proof in proofs.items()
    }


def read_proofs(kept: JsonDocument) -> dict[str, CodeProof]:
    """Return the proofs that the ledger holds."""
    return {
        code: CodeProof(
            proof["requested"],
            [ProvenPart(datetime.fromisoformat(at), _minutes(text)) for at, text in proof["parts"]],
        )
        for code, proof in kept.items()
    }


def _minutes_text(minutes: int) -> str:
    return _WHOLE if minutes == WHOLE_DAY else f"{minutes:x}"


def _minutes(text: str) -> int:
    return WHOLE_DAY if text == _WHOLE else int(text, 16)


def versions_json(versions: Iterable[Version]) -> JsonDocument:
    """Return software versions as the ledger keeps them."""
    return {"versions": [list(version) for version in sorted(versions)]}


def read_versions(kept: JsonDocument) -> set[Version]:
    """Return the software versions that the ledger holds."""
    return {(type_name, station, version) for type_name, station, version in kept["versions"]}
