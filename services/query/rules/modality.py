"""The modality of series for which the PACS returns none or a wrong one, from the SOP classes of objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.query.rules.model import SR_CODE, Objects
from services.query.rules.reports import IDENTIFIED, kind_of
from shared.dicom.query.matches import ObjectMatch, SeriesMatch, StudyMatch, returned

#: Classes of the standard (PS3.6 annex A).
_STANDARD_ROOT = "1.2.840.10008."
#: Storage classes are below this root, those of structured documents below its arc 88 (PS3.4 B.5).
_STORAGE_ROOT = "1.2.840.10008.5.1.4.1.1."
_SR_ROOT = f"{_STORAGE_ROOT}88."
#: Key Object Selection Documents are below that root, too, and have a modality of their own.
_KEY_OBJECTS = f"{_SR_ROOT}59"

#: The modality of the series that hold objects of a storage class (PS3.3 A.1.4).
_MODALITIES = {
    "CT": ("2", "2.1", "2.2"),
    "MG": ("1.2", "1.2.1", "13.1.3", "13.1.4", "13.1.5"),
    "PX": ("1.3", "1.3.1"),
    "DX": ("1.1", "1.1.1"),
    "CR": ("1",),
    "XA": ("12.1", "12.1.1", "13.1.1"),
    "RF": ("12.2",),
    "PT": ("128", "128.1", "130"),
    "NM": ("20", "5"),
    "MR": ("4", "4.1", "4.2", "4.3", "4.4"),
    "US": ("6", "6.1", "6.2", "3", "3.1"),
    "PR": tuple(f"11.{number}" for number in range(1, 13)),
}
_MODALITY_OF = {f"{_STORAGE_ROOT}{arc}": code for code, arcs in _MODALITIES.items() for arc in arcs}

#: A series of more objects than this is no report, if nothing but their number is known.
_MOST_REPORTS = 5


def with_modalities(
    study: StudyMatch, series: Sequence[SeriesMatch], objects: Objects
) -> tuple[SeriesMatch, ...]:
    """Return the series, each with the modality that its objects show where the PACS returned none or two.

    Where no object shows any, a study of a single modality has series of that one alone.
    Where the study has an SR that no series shows, a series of reports alone is SR, whatever it is called,
    and a small series of which nothing is known may be it.
    """
    found = tuple(_with_modality(entry, objects.get(entry.series_instance_uid, ())) for entry in series)
    if all(entry.code() is None for entry in found):
        found = tuple(_with_only_modality(study, entry, objects) for entry in found)
    if not _names_a_report_in_vain(study, found):
        return found
    shown = tuple(
        replace(entry, modality=SR_CODE) if _holds_reports(entry, objects) else entry for entry in found
    )
    if not _names_a_report_in_vain(study, shown):
        return shown
    return tuple(
        replace(entry, modality=SR_CODE) if _may_be_report(entry, objects) else entry for entry in shown
    )


def _names_a_report_in_vain(study: StudyMatch, series: Sequence[SeriesMatch]) -> bool:
    return SR_CODE in study.codes() and all(entry.code() != SR_CODE for entry in series)


def may_hide_a_report(study: StudyMatch, series: Sequence[SeriesMatch]) -> tuple[SeriesMatch, ...]:
    """Return the series that may be the SR of a study that has one which no series shows.

    Dose reports lie in series of modality OT, DOC or that of the images, too. A series of many objects is
    none; without their number, one of images is not searched.
    """
    if not _names_a_report_in_vain(study, series):
        return ()
    return tuple(entry for entry in series if _may_hide_a_report(entry))


def _may_hide_a_report(series: SeriesMatch) -> bool:
    count = series.count()
    return series.code() not in _MODALITIES if count is None else count <= _MOST_REPORTS


def _with_modality(series: SeriesMatch, objects: Sequence[ObjectMatch]) -> SeriesMatch:
    if series.code() is not None:
        return series
    codes = {code for entry in objects if (code := _code_of(entry)) is not None}
    if len(codes) > 1 and not any(kind_of(entry.sop_class_uid) in IDENTIFIED for entry in objects):
        codes -= {SR_CODE}  # images and a text in one series
    if not codes:
        return series
    return replace(series, modality=SR_CODE if SR_CODE in codes else min(codes))


def _with_only_modality(study: StudyMatch, series: SeriesMatch, objects: Objects) -> SeriesMatch:
    """Return a series of whose objects nothing is known with the modality of its study, if that has one."""
    uid, codes = series.series_instance_uid, study.codes()
    if (
        len(codes) > 1
        or not study.codes_are_known()
        or uid not in objects
        or any(map(is_of_standard_class, objects[uid]))
    ):
        return series
    return replace(series, modality=min(codes))


def is_of_standard_class(entry: ObjectMatch) -> bool:
    """Return whether an object is of a class of the standard, which is of some other modality."""
    return (returned(entry.sop_class_uid) or "").startswith(_STANDARD_ROOT)


def _holds_reports(series: SeriesMatch, objects: Objects) -> bool:
    codes = [_code_of(entry) for entry in objects.get(series.series_instance_uid, ())]
    return bool(codes) and all(code == SR_CODE for code in codes)


def _code_of(entry: ObjectMatch) -> str | None:
    sop_class_uid = returned(entry.sop_class_uid) or ""
    if sop_class_uid == _KEY_OBJECTS:
        return "KO"
    return SR_CODE if sop_class_uid.startswith(_SR_ROOT) else _MODALITY_OF.get(sop_class_uid)


def _may_be_report(series: SeriesMatch, objects: Objects) -> bool:
    uid = series.series_instance_uid
    if series.code() is not None or uid not in objects:
        return False
    no_class = all(returned(entry.sop_class_uid) is None for entry in objects[uid])
    return no_class and max(len(objects[uid]), series.count() or 0) <= _MOST_REPORTS
