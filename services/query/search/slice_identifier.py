"""The keys of a slice's C-FIND at STUDY level, and which of its answers were asked for. Pure."""

from __future__ import annotations

from datetime import date
from typing import Any

from pydicom.dataset import Dataset

from shared.contract.criteria import Criteria
from shared.dicom.query.identifiers import study_identifier
from shared.dicom.query.matches import StudyMatch
from shared.querying.payloads import slice_of
from shared.querying.profile import Profile

_DA_LENGTH = 8


def slice_identifier(
    payload: dict[str, Any], criteria: Criteria, profile: Profile, *, other: bool = False
) -> Dataset:
    """Return what to ask for a slice; `other` tries the other way about an empty Modality (0008,0060)."""
    optional: dict[str, Any] = {
        "with_station_name": criteria.station_at_study_level,
        "with_modality": bool(profile.study_modality_key) != other,
    }
    if "study_instance_uids" in payload:
        return study_identifier(study_instance_uids=payload["study_instance_uids"], **optional)
    if "study_instance_uid" in payload:
        return study_identifier(study_instance_uids=[payload["study_instance_uid"]], **optional)
    if "accession_number" in payload:
        return study_identifier(accession_number=payload["accession_number"], **optional)
    part = slice_of(payload)
    return study_identifier(
        study_date=part.study_date_key(),
        study_time=part.study_time_key(),
        modalities_in_study=part.codes(),
        **optional,
    )


def asked_for(match: StudyMatch, payload: dict[str, Any]) -> bool:
    """Match again on our side: some PACS ignore keys. What was not returned cannot be compared."""
    if "study_instance_uids" in payload:
        return match.study_instance_uid in payload["study_instance_uids"]
    if "study_instance_uid" in payload:
        return match.study_instance_uid == str(payload["study_instance_uid"])
    if "accession_number" in payload:
        return match.accession_number in (None, payload["accession_number"])
    day, part = _study_day(match.study_date), slice_of(payload)
    if day is None:
        return True
    return (part.date_from or day) <= day <= (part.date_until or day)


def _study_day(text: str | None) -> date | None:
    if text is None or len(text) < _DA_LENGTH:
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None
