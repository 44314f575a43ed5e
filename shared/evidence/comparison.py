"""Two holdings of studies and dose objects compared: what one has and the other has not, both ways. Pure.

A series that was kept whole without naming its objects is compared by its number of objects. A study that
either side did not settle is not compared. What is missing on a side that is not complete is uncertain.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class SideName(StrEnum):
    """The sides of a comparison."""

    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class SeriesHolding:
    """The dose objects of a series: named, or only their number; None: not even that is known."""

    sop_instance_uids: frozenset[str] = frozenset()
    named: bool = True
    number: int | None = None

    @property
    def count(self) -> int | None:
        """The number of objects."""
        return len(self.sop_instance_uids) if self.named else self.number


@dataclass(frozen=True, slots=True)
class StudyHolding:
    """A study and its dose objects by series."""

    study_instance_uid: str
    series: Mapping[str, SeriesHolding] = field(default_factory=dict)
    settled: bool = True
    day: str = ""
    type: str = ""
    accession_number: str = ""

    def sop_instance_uids(self) -> frozenset[str]:
        """Return the named objects of all series."""
        return frozenset(uid for held in self.series.values() for uid in held.sop_instance_uids)

    @property
    def objects(self) -> int:
        """The number of objects, as far as known."""
        unnamed = sum(series.count or 0 for series in self.series.values() if not series.named)
        return len(self.sop_instance_uids()) + unnamed


@dataclass(frozen=True, slots=True)
class Side:
    """What one side holds; studies without a dose object may be left out where only objects count."""

    studies: Mapping[str, StudyHolding]
    complete: bool = True
    #: Whether a study without dose objects is expected on it.
    has_studies_without_objects: bool = True


@dataclass(frozen=True, slots=True)
class Difference:
    """A study, series or object that one side has and the other has not."""

    only_in: SideName
    study: StudyHolding
    series_instance_uid: str = ""
    sop_instance_uid: str = ""
    #: How many objects it stands for.
    objects: int = 0
    #: Whether the other side is complete, so that it is proven not to be there.
    certain: bool = True

    @property
    def kind(self) -> str:
        """What differs: study, series or object."""
        if self.sop_instance_uid:
            return "object"
        return "series" if self.series_instance_uid else "study"


class ComparisonStatus(StrEnum):
    """How a comparison ends."""

    WAITING = "waiting"
    #: A side is not complete: whatever differs or not, nothing is proven to be equal.
    INCOMPLETE = "incomplete"
    NOTHING_MATCHED = "nothing_matched"
    NOTHING_DIFFERS = "nothing_differs"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Compared:
    """The differences, and how many studies both sides have or could not be compared."""

    differences: Sequence[Difference]
    both: int
    not_compared: int
    status: ComparisonStatus


def compare(left: Side, right: Side) -> Compared:
    """Compare two sides that have ended."""
    differences: list[Difference] = []
    both = not_compared = 0
    for uid in sorted({*left.studies, *right.studies}):
        ours, theirs = left.studies.get(uid), right.studies.get(uid)
        if any(holding is not None and not holding.settled for holding in (ours, theirs)):
            not_compared += 1
        elif ours is not None and theirs is not None:
            both += 1
            differences += _differences(ours, theirs, left, right)
        elif ours is not None:
            differences += _missing_study(ours, SideName.LEFT, right)
        elif theirs is not None:
            differences += _missing_study(theirs, SideName.RIGHT, left)
    return Compared(differences, both, not_compared, _status(left, right, differences, not_compared))


def _status(
    left: Side, right: Side, differences: Sequence[Difference], not_compared: int
) -> ComparisonStatus:
    if not left.complete or not right.complete or not_compared:
        return ComparisonStatus.INCOMPLETE
    if not left.studies and not right.studies:
        return ComparisonStatus.NOTHING_MATCHED
    return ComparisonStatus.DIFFERENT if differences else ComparisonStatus.NOTHING_DIFFERS


def _missing_study(study: StudyHolding, only_in: SideName, other: Side) -> list[Difference]:
    if not study.series and not other.has_studies_without_objects:
        return []
    return [Difference(only_in, study, objects=study.objects, certain=other.complete)]


def _differences(ours: StudyHolding, theirs: StudyHolding, left: Side, right: Side) -> Iterator[Difference]:
    """Return the differences of a study that both sides have."""
    series: defaultdict[str, list[SeriesHolding]] = defaultdict(list)
    empty = SeriesHolding()
    # An object is one by its UID: some archives list it in two series, and a store has it in one.
    only_ours = set(ours.sop_instance_uids() - theirs.sop_instance_uids())
    only_theirs = set(theirs.sop_instance_uids() - ours.sop_instance_uids())
    for uid in sorted({*ours.series, *theirs.series}):
        series[uid] = [ours.series.get(uid, empty), theirs.series.get(uid, empty)]
    for uid, (mine, other) in series.items():
        if mine.named and other.named:
            yield from _objects(ours, uid, mine, only_ours, SideName.LEFT, certain=right.complete)
            yield from _objects(theirs, uid, other, only_theirs, SideName.RIGHT, certain=left.complete)
        elif mine.count is not None and other.count is not None and mine.count != other.count:
            more = mine.count > other.count
            study, only_in = (ours, SideName.LEFT) if more else (theirs, SideName.RIGHT)
            certain = right.complete if more else left.complete
            yield Difference(only_in, study, uid, objects=abs(mine.count - other.count), certain=certain)
        elif uid not in ours.series or uid not in theirs.series:
            study, only_in = (ours, SideName.LEFT) if uid in ours.series else (theirs, SideName.RIGHT)
            yield Difference(only_in, study, uid, certain=left.complete and right.complete)


def _objects(
    study: StudyHolding,
    series_uid: str,
    held: SeriesHolding,
    lacking: set[str],
    only_in: SideName,
    *,
    certain: bool,
) -> Iterator[Difference]:
    """Yield what the other side lacks of a series, each object once, and take it from `lacking`."""
    for uid in sorted(held.sop_instance_uids & lacking):
        lacking.remove(uid)
        yield Difference(only_in, study, series_uid, uid, 1, certain)
