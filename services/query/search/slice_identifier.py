"""The identifier of a slice's C-FIND at STUDY level, and which matches belong to the slice. Pure."""

from __future__ import annotations

from datetime import date
from typing import TypedDict

from pydicom.dataset import Dataset

from shared.contract.criteria import Criteria
from shared.dicom.query.identifiers import study_identifier
from shared.dicom.query.matches import StudyMatch
from shared.querying.payloads import AccessionSlice, SlicePayload, StudyListSlice, StudySlice, WindowSlice

_DA_LENGTH = 8


class _OptionalKeys(TypedDict):
    with_station_name: bool
    with_modality: bool


def slice_identifier(part: SlicePayload, criteria: Criteria, *, with_modality_key: bool) -> Dataset:
    """Return the identifier; `with_modality_key` adds an empty Modality (0008,0060)."""
    optional: _OptionalKeys = {
        "with_station_name": criteria.station_at_study_level,
        "with_modality": with_modality_key,
    }
    match part:
        case StudyListSlice(uids):
            return study_identifier(study_instance_uids=uids, **optional)
        case StudySlice(uid):
            return study_identifier(study_instance_uids=[uid], **optional)
        case AccessionSlice(number):
            return study_identifier(accession_number=number, **optional)
        case WindowSlice(window):
            return study_identifier(
                study_date=window.study_date_key(),
                study_time=window.study_time_key(),
                modalities_in_study=window.codes(),
                **optional,
            )


def belongs_to(study: StudyMatch, part: SlicePayload) -> bool:
    """Return whether a match belongs to a slice: some PACS ignore keys. What was not returned passes."""
    match part:
        case StudyListSlice(uids):
            return study.study_instance_uid in uids
        case StudySlice(uid):
            return study.study_instance_uid == uid
        case AccessionSlice(number):
            return study.accession_number in (None, number)
        case WindowSlice(window):
            day = _study_day(study.study_date)
            return day is None or (window.date_from or day) <= day <= (window.date_until or day)


def _study_day(text: str | None) -> date | None:
    if text is None or len(text) < _DA_LENGTH:
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None
