"""A PACS of one study, as data: it returns what the rules need and remembers what that was."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from services.query.rules.decide import decide
from services.query.rules.model import Decision, KnownObjects, Needs, StudyDecision
from shared.contract.criteria import Criteria, parse_criteria
from shared.dicom.query.matches import ObjectMatch, SeriesMatch, StudyMatch

RDSR = "1.2.840.10008.5.1.4.1.1.88.67"
RRDSR = "1.2.840.10008.5.1.4.1.1.88.68"
PATIENT_DOSE = "1.2.840.10008.5.1.4.1.1.88.73"
ESR = "1.2.840.10008.5.1.4.1.1.88.22"
BASIC = "1.2.840.10008.5.1.4.1.1.88.11"
COMPREHENSIVE = "1.2.840.10008.5.1.4.1.1.88.33"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
NM_IMAGE = "1.2.840.10008.5.1.4.1.1.20"
PET_IMAGE = "1.2.840.10008.5.1.4.1.1.128"
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


Item = TypeVar("Item")


@dataclass(frozen=True)
class Series:
    """A series as it lies in the archive."""

    uid: str
    modality: str | None
    objects: tuple[ObjectMatch, ...]
    description: str | None = "described"
    station: str | None = "station"
    counted: bool = True
    silent: bool = False

    def match(self) -> SeriesMatch:
        return SeriesMatch(
            series_instance_uid=self.uid,
            modality=self.modality,
            description=self.description,
            station_name=self.station,
            instance_count=len(self.objects) if self.counted else None,
        )


def sr(uid: str, *classes: str | None, **fields: object) -> Series:
    """An SR series of one object for each class."""
    return _series(uid, "SR", classes, fields)


def silent(uid: str, **fields: object) -> Series:
    """An SR series without a match at image level."""
    return _series(uid, "SR", (RDSR,), {"silent": True, "counted": False, **fields})


def images(
    uid: str, modality: str | None, number: int = 3, sop_class: str | None = "1.9", **fields: object
) -> Series:
    """A series of images."""
    return _series(uid, modality, [sop_class] * number, fields)


def _series(
    uid: str, modality: str | None, classes: Iterable[str | None], fields: dict[str, object]
) -> Series:
    numbered = enumerate(classes, 1)
    objects = tuple(ObjectMatch(f"{uid}/{number}", sop_class, number) for number, sop_class in numbered)
    return Series(uid, modality, objects, **fields)  # type: ignore[arg-type]


@dataclass
class Archive:
    """One study; `modalities` is what it returns for ModalitiesInStudy, "right" what is right."""

    series: tuple[Series, ...]
    modalities: Collection[str] | None = "right"
    description: str | None = "CT Abdomen"
    station: str | None = None
    known: Iterable[str] = ()
    shuffle: random.Random | None = None
    series_requested: bool = False
    images_requested: list[str] = field(default_factory=list)

    def study(self) -> StudyMatch:
        modalities = self.modalities
        if isinstance(modalities, str):
            modalities = {entry.modality for entry in self.series if entry.modality}
        codes = None if modalities is None else tuple(sorted(modalities))
        return StudyMatch("study", codes, self.description, self.station, len(self.series))

    def examine(self, criteria: Criteria) -> StudyDecision:
        """Return what the rules need until they decide."""
        by_uid = {entry.uid: entry for entry in self.series}
        owner = {item.sop_instance_uid: entry.uid for entry in self.series for item in entry.objects}
        known = KnownObjects({uid: owner[uid] for uid in self.known})
        series: list[SeriesMatch] | None = None
        objects: dict[str, list[ObjectMatch]] = {}
        for _ in range(10):
            result = decide(criteria, self.study(), series, objects, known)
            if isinstance(result, StudyDecision):
                return result
            assert result != Needs(), "nothing is requested and nothing decided"
            if result.series:
                assert series is None, "the series level is requested twice"
                series, self.series_requested = self._mixed(entry.match() for entry in self.series), True
            for uid in result.images:
                assert uid not in objects, "a series is requested twice"
                self.images_requested.append(uid)
                objects[uid] = self._mixed([] if by_uid[uid].silent else by_uid[uid].objects)
        raise AssertionError("the rules never end")

    def _mixed(self, items: Iterable[Item]) -> list[Item]:
        mixed = list(items)
        if self.shuffle:
            self.shuffle.shuffle(mixed)
        return mixed

    def kept(self, decision: StudyDecision) -> set[str]:
        """Return the UIDs of the objects that are kept, those of whole series included."""
        objects = {entry.uid: {item.sop_instance_uid for item in entry.objects} for entry in self.series}
        kept: set[str] = set()
        for entry in decision.series:
            if entry.decision is Decision.DROP:
                assert not entry.whole
                assert all(item.decision is Decision.DROP for item in entry.objects)
            elif entry.objects:
                found = {item.sop_instance_uid for item in entry.objects if item.decision is Decision.KEEP}
                assert entry.whole == (found == objects[entry.series_instance_uid])
                kept |= found
            else:
                assert entry.whole
                kept |= objects[entry.series_instance_uid]
        assert bool(kept) == (decision.decision is Decision.KEEP)
        return kept


def criteria(*types: str, **options: object) -> Criteria:
    return parse_criteria({"types": list(types), **options})


def run(wanted: Criteria, *series: Series, **fields: object) -> tuple[StudyDecision, set[str], Archive]:
    """Examine a study of these series; return the decision, the kept objects and the archive."""
    archive = Archive(series, **fields)  # type: ignore[arg-type]
    decision = archive.examine(wanted)
    return decision, archive.kept(decision), archive


def reason_of(decision: StudyDecision, uid: str) -> str:
    """Return the reason of a series, or of an object (`series/number`)."""
    for entry in decision.series:
        if entry.series_instance_uid == uid:
            return entry.reason
        for item in entry.objects:
            if item.sop_instance_uid == uid:
                return item.reason
    raise KeyError(uid)
