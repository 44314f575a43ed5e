"""Identifiers of C-FIND requests (PS3.4 C.6.2): the keys that are needed, and no patient's name or id."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset

_STUDY_RETURN = (
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "ModalitiesInStudy",
    "StudyDescription",
    "AccessionNumber",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
)
_SERIES_RETURN = (
    "SeriesInstanceUID",
    "Modality",
    "SeriesDescription",
    "StationName",
    "SeriesNumber",
    "NumberOfSeriesRelatedInstances",
)
_IMAGE_RETURN = ("SOPInstanceUID", "SOPClassUID", "InstanceNumber")


def study_identifier(
    *,
    study_date: str = "",
    study_time: str = "",
    modalities_in_study: Sequence[str] = (),
    study_instance_uids: Sequence[str] = (),
    accession_number: str = "",
    with_station_name: bool = False,
) -> Dataset:
    """Return the identifier of a STUDY level C-FIND; what is empty matches everything and is returned."""
    ds = _empty("STUDY", _STUDY_RETURN)
    ds.StudyDate = study_date
    ds.StudyTime = study_time
    ds.AccessionNumber = accession_number
    if modalities_in_study:
        ds.ModalitiesInStudy = list(modalities_in_study)
    if study_instance_uids:
        ds.StudyInstanceUID = list(study_instance_uids)
    if with_station_name:
        ds.StationName = ""
    return ds


def series_identifier(
    study_instance_uids: Sequence[str], series_instance_uids: Sequence[str] = ()
) -> Dataset:
    """Return the identifier of a SERIES level C-FIND below one study, or below a list of them."""
    ds = _empty("SERIES", _SERIES_RETURN)
    ds.StudyInstanceUID = list(study_instance_uids)
    if series_instance_uids:
        ds.SeriesInstanceUID = list(series_instance_uids)
    return ds


def image_identifier(
    study_instance_uids: Sequence[str],
    series_instance_uids: Sequence[str],
    sop_instance_uids: Sequence[str] = (),
) -> Dataset:
    """Return the identifier of an IMAGE level C-FIND below one series, or below a list of them."""
    ds = _empty("IMAGE", _IMAGE_RETURN)
    ds.StudyInstanceUID = list(study_instance_uids)
    ds.SeriesInstanceUID = list(series_instance_uids)
    if sop_instance_uids:
        ds.SOPInstanceUID = list(sop_instance_uids)
    return ds


def _empty(level: str, keywords: Sequence[str]) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    for keyword in keywords:
        setattr(ds, keyword, "")
    return ds
