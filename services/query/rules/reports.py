"""Structured reports distinguished by SOP Class UID (PS3.4 B.5), as far as the PACS returns it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from services.query.rules.model import Objects, distinct_objects
from shared.contract.reasons import Reason
from shared.dicom.query.matches import SeriesMatch, returned


class ReportKind(Enum):
    """What an SR object is."""

    RDSR = "X-Ray Radiation Dose SR"
    RRDSR = "Radiopharmaceutical Radiation Dose SR"
    PATIENT_DOSE = "Patient Radiation Dose SR"
    ESR = "Enhanced SR"
    OTHER = "any other class"
    UNKNOWN = "no object, or none whose class was returned"


KIND_BY_SOP_CLASS: Mapping[str, ReportKind] = {
    "1.2.840.10008.5.1.4.1.1.88.67": ReportKind.RDSR,
    # Enhanced X-Ray Radiation Dose SR (PS3.3 A.35.22)
    "1.2.840.10008.5.1.4.1.1.88.76": ReportKind.RDSR,
    "1.2.840.10008.5.1.4.1.1.88.68": ReportKind.RRDSR,
    "1.2.840.10008.5.1.4.1.1.88.73": ReportKind.PATIENT_DOSE,
    "1.2.840.10008.5.1.4.1.1.88.22": ReportKind.ESR,
}
#: Kinds that show what a study holds, and so come before a series that shows nothing.
IDENTIFIED = frozenset({ReportKind.RDSR, ReportKind.RRDSR, ReportKind.ESR})

KEPT_AS: Mapping[ReportKind, Reason] = {
    ReportKind.RDSR: Reason.RDSR,
    ReportKind.RRDSR: Reason.RRDSR,
    ReportKind.ESR: Reason.ESR,
    ReportKind.UNKNOWN: Reason.UNKNOWN_SR,
}


@dataclass(frozen=True, slots=True)
class Pick:
    """What a rule keeps of a series: these objects, or all of it."""

    series_instance_uid: str
    reason: Reason
    #: None: the whole series.
    sop_instance_uids: frozenset[str] | None = None
    note: Reason | None = None


@dataclass(frozen=True, slots=True)
class Reports:
    """The SR series of a study: the kind of each object by UID; a series without matches has no objects."""

    kinds_by_series: Mapping[str, Mapping[str, ReportKind]]

    def kinds(self) -> frozenset[ReportKind]:
        """Return the kinds that are there; a series without matches is unknown."""
        found = {kind for kinds in self.kinds_by_series.values() for kind in kinds.values()}
        silent = any(not kinds for kinds in self.kinds_by_series.values())
        return frozenset(found | {ReportKind.UNKNOWN} if silent else found)

    def pick(self, wanted: frozenset[ReportKind]) -> tuple[Pick, ...]:
        """Keep the objects of these kinds; where unknown is one of them, series without matches whole."""
        picks: list[Pick] = []
        for uid, kinds in self.kinds_by_series.items():
            if not kinds and ReportKind.UNKNOWN in wanted:
                picks.append(Pick(uid, Reason.UNKNOWN_SR))
            picks.extend(_pick_objects(uid, kinds, wanted))
        return tuple(picks)

    def kind(self, series_instance_uid: str, sop_instance_uid: str) -> ReportKind:
        """Return the kind of one object."""
        return self.kinds_by_series[series_instance_uid][sop_instance_uid]


def read_reports(series: Iterable[SeriesMatch], objects: Objects) -> Reports:
    """Return the kinds of the objects of the SR series, all of which were searched at IMAGE level."""
    return Reports(
        {
            entry.series_instance_uid: {
                distinct_object.sop_instance_uid: kind_of(distinct_object.sop_class_uid)
                for distinct_object in distinct_objects(objects[entry.series_instance_uid])
            }
            for entry in series
        }
    )


def kind_of(sop_class_uid: str | None) -> ReportKind:
    """Return the kind of a class; one that was not returned is unknown."""
    text = returned(sop_class_uid)
    return ReportKind.UNKNOWN if text is None else KIND_BY_SOP_CLASS.get(text, ReportKind.OTHER)


def _pick_objects(uid: str, kinds: Mapping[str, ReportKind], wanted: frozenset[ReportKind]) -> list[Pick]:
    picks = []
    for kind in ReportKind:
        sop_instance_uids = frozenset(sop for sop, kind_found in kinds.items() if kind_found is kind)
        if kind in wanted and sop_instance_uids:
            note = Reason.SOP_CLASS_NOT_RETURNED if kind is ReportKind.UNKNOWN else None
            picks.append(Pick(uid, KEPT_AS[kind], sop_instance_uids, note))
    return picks
