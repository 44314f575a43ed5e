"""Identifiers of C-FIND requests (PS3.4 C.6.2): the keys that are needed, and no patient's name or id."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

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
#: Of the series, at IMAGE level: what a relational search returns as well (PS3.18 10.6.3.3.3).
_SERIES_OF_IMAGE_RETURN = (
    "SeriesInstanceUID",
    "Modality",
    "SeriesDescription",
    "StationName",
    "SeriesNumber",
)

#: Keys that requests can do without, by level: those that an archive need not support (PS3.4 C.6.1.1 and
#: C.6.2.1: type O), and some that it has to support and may refuse all the same.
OPTIONAL_KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "STUDY": (
            "ModalitiesInStudy",
            "StudyDescription",
            "NumberOfStudyRelatedSeries",
            "NumberOfStudyRelatedInstances",
            "StationName",
            "Modality",
            "AccessionNumber",
            "StudyTime",
        ),
        "SERIES": (
            "SeriesDescription",
            "StationName",
            "NumberOfSeriesRelatedInstances",
            "SeriesNumber",
            "Modality",
        ),
        "IMAGE": ("SOPClassUID", "InstanceNumber"),
    }
)
#: Of these, what selects studies where it has a value: left out, every study would match.
_SELECTING = frozenset({"AccessionNumber", "StudyTime"})


def study_identifier(
    *,
    study_date: str = "",
    study_time: str = "",
    modalities_in_study: Sequence[str] = (),
    study_instance_uids: Sequence[str] = (),
    accession_number: str = "",
    with_station_name: bool = False,
    with_modality: bool = False,
) -> Dataset:
    """Return the identifier of a STUDY level C-FIND; what is empty matches everything and is returned.

    `with_modality` adds an empty Modality (0008,0060): some archives find no study without it.
    """
    ds = _empty("STUDY", _STUDY_RETURN)
    ds.StudyDate = study_date
    ds.StudyTime = study_time
    ds.AccessionNumber = accession_number
    if not accession_number.isascii():
        # Without it what the default cannot hold would be sent as a question mark, which matches anything.
        ds.SpecificCharacterSet = "ISO_IR 192"
    if modalities_in_study:
        ds.ModalitiesInStudy = list(modalities_in_study)
    if study_instance_uids:
        ds.StudyInstanceUID = list(study_instance_uids)
    if with_station_name:
        ds.StationName = ""
    if with_modality:
        ds.Modality = ""
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


def relational_series_identifier(study_date: str) -> Dataset:
    """Return the identifier of a SERIES level C-FIND over studies of some days (PS3.4 C.4.1.2.2.2)."""
    ds = _empty("SERIES", _SERIES_RETURN)
    ds.StudyInstanceUID = ""
    ds.StudyDate = study_date
    return ds


def can_be_left_out(identifier: Dataset, keyword: str) -> bool:
    """Return whether a key is there and a request can do without it: not where its value selects studies."""
    if keyword not in identifier:
        return False
    return keyword not in _SELECTING or identifier[keyword].is_empty


def without(identifier: Dataset, keywords: Collection[str]) -> Dataset:
    """Return the identifier without these keys, as far as they can be left out."""
    dropped = {keyword for keyword in keywords if can_be_left_out(identifier, keyword)}
    if not dropped:
        return identifier
    ds = Dataset()
    for element in identifier:
        if element.keyword not in dropped:
            ds.add(element)
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


def relational_image_identifier(study_instance_uids: Sequence[str]) -> Dataset:
    """Return the identifier of a relational search for all objects of some studies, with their series."""
    ds = _empty("IMAGE", (*_IMAGE_RETURN, *_SERIES_OF_IMAGE_RETURN))
    ds.StudyInstanceUID = list(study_instance_uids)
    return ds


def _empty(level: str, keywords: Sequence[str]) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    for keyword in keywords:
        setattr(ds, keyword, "")
    return ds
