"""The identifier of a slice's C-FIND at STUDY level. Pure."""

from __future__ import annotations

from typing import TypedDict

from pydicom.dataset import Dataset

from shared.contract.criteria import Criteria
from shared.dicom.query.identifiers import study_identifier
from shared.querying.payloads import AccessionSlice, SlicePayload, StudyListSlice, StudySlice, WindowSlice


class _OptionalKeys(TypedDict):
    with_station_name: bool
    with_modality: bool


def slice_identifier(
    part: SlicePayload, criteria: Criteria, *, with_modality_key: bool, day_as_range: bool = False
) -> Dataset:
    """Return the identifier; `with_modality_key` adds an empty Modality (0008,0060).

    `day_as_range`: a single day is requested as a range of one day.
    """
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
                study_date=window.study_date_key(day_as_range=day_as_range),
                study_time=window.study_time_key(),
                modalities_in_study=window.codes(),
                **optional,
            )
