"""The cells of the decision table: each keeps something of a study, or returns what it needs first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from services.query.rules.model import Objects, distinct_objects
from services.query.rules.reports import Pick, ReportKind, Reports
from shared.contract.criteria import CODES
from shared.contract.criteria_fields import fold
from shared.contract.reasons import Reason
from shared.dicom.query.matches import ObjectMatch, SeriesMatch, returned

PET_CODE = "PT"
#: Description of a Philips CT series that shows the dose, as it is compared.
PHILIPS_DOSE_INFO = "dose info"
#: Positron Emission Tomography Image, Legacy Converted Enhanced and Enhanced PET Image Storage.
PET_IMAGE_CLASSES = frozenset(f"1.2.840.10008.5.1.4.1.1.{arc}" for arc in ("128", "128.1", "130"))
#: Objects that such a series has at most.
PHILIPS_DOSE_INFO_MAX_OBJECTS = 5
#: Secondary Capture, single frame and the four multi-frame ones (PS3.4 B.5).
SECONDARY_CAPTURE_CLASSES = frozenset(
    {"1.2.840.10008.5.1.4.1.1.7"} | {f"1.2.840.10008.5.1.4.1.1.7.{number}" for number in range(1, 5)}
)
#: Nuclear Medicine Image Storage, and the retired class before it.
NM_IMAGE_CLASSES = frozenset({"1.2.840.10008.5.1.4.1.1.20", "1.2.840.10008.5.1.4.1.1.5"})


@dataclass(frozen=True, slots=True)
class Case:
    """The input of a row of the table: a study without the series that the station filter dropped."""

    type: str
    series: tuple[SeriesMatch, ...]
    objects: Objects
    reports: Reports
    toshiba: bool

    def own_series(self) -> tuple[SeriesMatch, ...]:
        """Return the series of the type's own codes."""
        return tuple(entry for entry in self.series if entry.code() in CODES[self.type])


@dataclass(frozen=True, slots=True)
class CellOutcome:
    """What a cell keeps, which series it needs at IMAGE level first, and why it leaves the others."""

    picks: tuple[Pick, ...] = ()
    needs: frozenset[str] = frozenset()
    #: Why the type's own series that are not kept are dropped; `drops` has better reasons for some.
    left: Reason = Reason.NO_DOSE_OBJECT
    drops: Mapping[str, Reason] = field(default_factory=dict)


Cell = Callable[[Case], CellOutcome]


def reports(*kinds: ReportKind) -> Cell:
    """Return a cell that keeps the report objects of these kinds."""
    wanted = frozenset(kinds)

    def cell(case: Case) -> CellOutcome:
        return CellOutcome(case.reports.pick(wanted), left=Reason.SUPERSEDED_BY_REPORT)

    return cell


#: Keeps the SR series of unknown class.
unknown_series: Cell = reports(ReportKind.UNKNOWN)


def own_images(case: Case, reason: Reason = Reason.IMAGES_NO_REPORT) -> CellOutcome:
    """Keep the series of the type's own codes: not SR, PR, KO, OT."""
    return CellOutcome(_whole(case.own_series(), reason))


def nothing(_case: Case) -> CellOutcome:
    """Keep nothing."""
    return CellOutcome()


def ct_without_report(case: Case) -> CellOutcome:
    """Keep what may show the dose of a CT study that has no report."""
    own = case.own_series()
    named = [entry for entry in own if fold(entry.description or "") == PHILIPS_DOSE_INFO]
    if named:
        return CellOutcome(_whole(named, Reason.PHILIPS_DOSE_INFO), left=Reason.NOT_A_DOSE_SERIES)
    if case.toshiba:
        return _unite(_toshiba(entry, case) for entry in own)
    if any(returned(entry.description) for entry in case.series):
        return CellOutcome(left=Reason.NOT_A_DOSE_SERIES)
    return _unite(_small(entry, case) for entry in own)


def rrdsr_and_pet(case: Case) -> CellOutcome:
    """Keep the RRDSR objects and the first image of each PT series."""
    return _with_pet(case, case.reports.pick(frozenset({ReportKind.RRDSR})))


def _with_pet(case: Case, reports: tuple[Pick, ...]) -> CellOutcome:
    found = _unite(_first_of_pet(entry, case) for entry in _pet(case))
    return CellOutcome(reports + found.picks, found.needs, Reason.SUPERSEDED_BY_REPORT, found.drops)


def unknown_and_pet(case: Case) -> CellOutcome:
    """Keep the SR series of unknown class, and the first image of each PT series."""
    return _with_pet(case, case.reports.pick(frozenset({ReportKind.UNKNOWN})))


def nm_without_report(case: Case) -> CellOutcome:
    """Keep the first image of each PT series; with none, that of each NM series of an image class."""
    pet = _pet(case)
    if pet:
        found = _unite(_first_of_pet(entry, case) for entry in pet)
        return CellOutcome(found.picks, found.needs, Reason.SUPERSEDED_BY_PET, found.drops)
    return _unite(
        _first(own_entry, case, Reason.FIRST_IMAGE_NM, NM_IMAGE_CLASSES) for own_entry in case.own_series()
    )


def _pet(case: Case) -> list[SeriesMatch]:
    return [own_entry for own_entry in case.own_series() if own_entry.code() == PET_CODE]


def _whole(series: Iterable[SeriesMatch], reason: Reason) -> tuple[Pick, ...]:
    return tuple(Pick(entry.series_instance_uid, reason) for entry in series)


def _first_of_pet(series: SeriesMatch, case: Case) -> CellOutcome:
    """Keep the first PET image, which has the dose in its header; without any, the first object."""
    objects = case.objects.get(series.series_instance_uid, ())
    has_pet = any(returned(image.sop_class_uid) in PET_IMAGE_CLASSES for image in objects)
    return _first(series, case, Reason.FIRST_IMAGE_PET, PET_IMAGE_CLASSES if has_pet else None)


def _first(
    series: SeriesMatch, case: Case, reason: Reason, classes: frozenset[str] | None = None
) -> CellOutcome:
    """Keep the first image, of these classes if any are given; one that was not returned may be of them."""
    uid = series.series_instance_uid
    if uid not in case.objects:
        return CellOutcome(needs=frozenset({uid}))
    distinct = distinct_objects(case.objects[uid])
    images = [
        image for image in distinct if classes is None or returned(image.sop_class_uid) in {None, *classes}
    ]
    if not images:
        return CellOutcome(
            drops={uid: Reason.NOT_AN_IMAGE_CLASS if distinct else Reason.EMPTY_AT_IMAGE_LEVEL}
        )
    blind = classes is not None and returned(images[0].sop_class_uid) is None
    note = Reason.SOP_CLASS_NOT_RETURNED if blind else None
    return CellOutcome((Pick(uid, reason, _uids(images[:1]), note),))


def _toshiba(series: SeriesMatch, case: Case) -> CellOutcome:
    """Keep all secondary captures of a series, and the first of its other images."""
    uid = series.series_instance_uid
    if uid not in case.objects:
        return CellOutcome(needs=frozenset({uid}))
    distinct = distinct_objects(case.objects[uid])
    captures = [image for image in distinct if _is_capture(image)]
    others = [image for image in distinct if not _is_capture(image)]
    picks = [
        Pick(uid, reason, _uids(kept))
        for reason, kept in (
            (Reason.TOSHIBA_SECONDARY_CAPTURE, captures),
            (Reason.TOSHIBA_FIRST_IMAGE, others[:1]),
        )
        if kept
    ]
    return CellOutcome(tuple(picks), drops={} if picks else {uid: Reason.EMPTY_AT_IMAGE_LEVEL})


def _is_capture(image: ObjectMatch) -> bool:
    return returned(image.sop_class_uid) in SECONDARY_CAPTURE_CLASSES


def _small(series: SeriesMatch, case: Case) -> CellOutcome:
    """Keep a series of so few objects that it may be a Philips one; count them where it has no count."""
    uid = series.series_instance_uid
    count = series.count()
    if count is None and uid not in case.objects:
        return CellOutcome(needs=frozenset({uid}))
    if count is None:
        count = len(distinct_objects(case.objects[uid]))
    if count == 0:
        return CellOutcome(drops={uid: Reason.EMPTY_AT_IMAGE_LEVEL})
    if count > PHILIPS_DOSE_INFO_MAX_OBJECTS:
        return CellOutcome(drops={uid: Reason.NOT_A_DOSE_SERIES})
    return CellOutcome(_whole([series], Reason.PHILIPS_MAYBE_DOSE_INFO))


def _unite(outcomes: Iterable[CellOutcome]) -> CellOutcome:
    """Unite what a cell found for single series."""
    found = list(outcomes)
    return CellOutcome(
        picks=tuple(pick for outcome in found for pick in outcome.picks),
        needs=frozenset(uid for outcome in found for uid in outcome.needs),
        drops={uid: reason for outcome in found for uid, reason in outcome.drops.items()},
    )


def _uids(objects: Sequence[ObjectMatch]) -> frozenset[str]:
    return frozenset(entry.sop_instance_uid for entry in objects)
