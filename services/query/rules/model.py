"""What the rules need next and what they decide; the outcome of examining a study: decided, or missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from shared.contract.reasons import Reason
from shared.dicom.query.matches import MODALITIES, OTHER_CODES, ObjectMatch, SeriesMatch, StudyMatch, returned

#: Modality (0008,0060) of structured reports.
SR_CODE = "SR"


#: IMAGE level matches by Series Instance UID; a series that was searched without a match has none.
Objects = Mapping[str, Sequence[ObjectMatch]]


@dataclass(frozen=True, slots=True)
class KnownObjects:
    """The objects of one study that the database has: Series Instance UID by SOP Instance UID."""

    series_of: Mapping[str, str] = field(default_factory=dict)

    def has(self, sop_instance_uid: str) -> bool:
        """Return whether the object is known."""
        return sop_instance_uid in self.series_of

    def touches(self, series_instance_uid: str) -> bool:
        """Return whether an object of the series is known."""
        return series_instance_uid in self.series_of.values()


@dataclass(frozen=True, slots=True)
class Needs:
    """What to request before the study can be decided: its series, or the objects of these series."""

    series: bool = False
    images: frozenset[str] = frozenset()


class Decision(StrEnum):
    """Whether something is to be moved."""

    KEEP = "keep"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class ObjectDecision:
    """An object that was decided by itself."""

    sop_instance_uid: str
    sop_class_uid: str | None
    decision: Decision
    reason: Reason


@dataclass(frozen=True, slots=True)
class SeriesDecision:
    """A series of an examined study."""

    series_instance_uid: str
    modality: str | None
    decision: Decision
    reason: Reason
    note: Reason | None
    #: All of the series is kept; otherwise, where it is kept, those of `objects` that are kept.
    whole: bool
    #: The objects, where the image level was needed to decide about them.
    objects: tuple[ObjectDecision, ...]
    #: Objects that are kept; None: not known before they are moved.
    instance_count: int | None


@dataclass(frozen=True, slots=True)
class StudyDecision:
    """A decided study; `series` is empty where the study level was enough to drop it."""

    study_instance_uid: str
    type: str | None
    decision: Decision
    reason: Reason
    note: Reason | None
    series: tuple[SeriesDecision, ...] = ()


@dataclass(frozen=True, slots=True)
class Decided:
    """A decided study with its series, empty where the study level was enough."""

    decision: StudyDecision
    series: Sequence[SeriesMatch] = ()

    @property
    def study_instance_uid(self) -> str:
        """The study."""
        return self.decision.study_instance_uid


@dataclass(frozen=True, slots=True)
class Missing:
    """A study that could not be examined, and why."""

    study_instance_uid: str
    reason: Reason
    detail: str


Outcome = Decided | Missing


def distinct_series(series: Iterable[SeriesMatch]) -> tuple[SeriesMatch, ...]:
    """Return each series once, in an order that does not depend on that of the matches.

    Of matches of one series, each attribute is taken from one that has it: one may lack what another returns.
    """
    by_uid: dict[str, SeriesMatch] = {}
    for entry in sorted(series, key=repr):
        first = by_uid.get(entry.series_instance_uid)
        by_uid[entry.series_instance_uid] = _merged_series(first, entry) if first else entry
    numbered = ((match.series_number is None, match.series_number or 0, uid) for uid, match in by_uid.items())
    return tuple(by_uid[uid] for _, _, uid in sorted(numbered))


def distinct_objects(objects: Iterable[ObjectMatch]) -> tuple[ObjectMatch, ...]:
    """Return each object once, the first image first: by Instance Number (none: last), then by UID."""
    by_uid: dict[str, ObjectMatch] = {}
    for match in sorted(objects, key=repr):
        first = by_uid.get(match.sop_instance_uid)
        by_uid[match.sop_instance_uid] = _merged_object(first, match) if first else match
    numbered = (
        (match.instance_number is None, match.instance_number or 0, uid) for uid, match in by_uid.items()
    )
    return tuple(by_uid[uid] for _, _, uid in sorted(numbered))


def _merged_series(first: SeriesMatch, second: SeriesMatch) -> SeriesMatch:
    """Merge two matches of one series; of two codes it has both, and its objects decide."""
    texts = {text.strip() for match in (first, second) for text in (match.modality or "").split("\\")}
    codes = {text.upper() for text in texts} & MODALITIES
    return replace(
        first,
        modality="\\".join(sorted(codes or texts)) or None,
        description=returned(first.description) or returned(second.description),
        station_name=returned(first.station_name) or returned(second.station_name),
        instance_count=max(first.count() or 0, second.count() or 0) or None,
        series_number=first.series_number if second.series_number is None else second.series_number,
    )


def _merged_object(first: ObjectMatch, second: ObjectMatch) -> ObjectMatch:
    return replace(
        first,
        sop_class_uid=returned(second.sop_class_uid) or returned(first.sop_class_uid),
        instance_number=first.instance_number if second.instance_number is None else second.instance_number,
    )


def merge_matches(first: StudyMatch, second: StudyMatch) -> StudyMatch:
    """Merge two matches of one study (a PACS may return only the requested code)."""
    modalities = first.codes() | second.codes()
    if OTHER_CODES in {*(first.modalities or ()), *(second.modalities or ())}:
        modalities |= {OTHER_CODES}
    return StudyMatch(
        study_instance_uid=first.study_instance_uid,
        modalities=tuple(sorted(modalities)) or None,
        description=returned(first.description) or returned(second.description),
        station_name=returned(first.station_name) or returned(second.station_name),
        series_count=max(first.series_count or 0, second.series_count or 0) or None,
        instance_count=max(first.instance_count or 0, second.instance_count or 0) or None,
        study_date=first.study_date or second.study_date,
        study_time=first.study_time or second.study_time,
        accession_number=first.accession_number or second.accession_number,
    )
