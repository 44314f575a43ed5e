"""What a PACS answered, as plain values: tolerant in what it sends, strict in what is passed on.

An attribute that was not returned, or returned empty, is None: most PACS do not tell the two apart. Text is
freed of what databases refuse. A match without a valid UID of its level is no match (`BrokenAnswerError`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from shared.dicom.identifiers import Uid
from shared.errors import DoseQRError, InvalidInputError

T = TypeVar("T")

#: What pydicom raises when it turns the bytes of an element into a value.
_UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,
    LookupError,
    AttributeError,
    NotImplementedError,
    OverflowError,
)

_INT32 = 2**31 - 1


class BrokenAnswerError(DoseQRError):
    """A pending C-FIND response that says nothing usable: its data set or its UID cannot be read."""


@dataclass(frozen=True, slots=True)
class StudyMatch:
    """A match at STUDY level (PS3.4 C.6.2.1.2)."""

    study_instance_uid: str
    modalities: tuple[str, ...] | None
    description: str | None
    station_name: str | None
    study_date: str | None
    study_time: str | None
    accession_number: str | None
    series_count: int | None
    instance_count: int | None


@dataclass(frozen=True, slots=True)
class SeriesMatch:
    """A match at SERIES level (PS3.4 C.6.1.1.4)."""

    study_instance_uid: str | None
    series_instance_uid: str
    modality: str | None
    description: str | None
    station_name: str | None
    series_number: int | None
    instance_count: int | None


@dataclass(frozen=True, slots=True)
class ObjectMatch:
    """A match at IMAGE level (PS3.4 C.6.1.1.5)."""

    study_instance_uid: str | None
    series_instance_uid: str | None
    sop_instance_uid: str
    sop_class_uid: str | None
    instance_number: int | None


def study_match(ds: Dataset) -> StudyMatch:
    """Read a match at STUDY level.

    Raises:
        BrokenAnswerError: it has no valid Study Instance UID.
    """
    return StudyMatch(
        study_instance_uid=_own_uid(ds, "StudyInstanceUID"),
        modalities=_texts(ds, "ModalitiesInStudy"),
        description=_text(ds, "StudyDescription"),
        station_name=_text(ds, "StationName"),
        study_date=_short(ds, "StudyDate", 16),
        study_time=_short(ds, "StudyTime", 32),
        accession_number=_text(ds, "AccessionNumber"),
        series_count=_count(ds, "NumberOfStudyRelatedSeries"),
        instance_count=_count(ds, "NumberOfStudyRelatedInstances"),
    )


def series_match(ds: Dataset) -> SeriesMatch:
    """Read a match at SERIES level.

    Raises:
        BrokenAnswerError: it has no valid Series Instance UID.
    """
    return SeriesMatch(
        study_instance_uid=_uid(ds, "StudyInstanceUID"),
        series_instance_uid=_own_uid(ds, "SeriesInstanceUID"),
        modality=_short(ds, "Modality", 64),
        description=_text(ds, "SeriesDescription"),
        station_name=_text(ds, "StationName"),
        series_number=_integer(ds, "SeriesNumber"),
        instance_count=_count(ds, "NumberOfSeriesRelatedInstances"),
    )


def object_match(ds: Dataset) -> ObjectMatch:
    """Read a match at IMAGE level.

    Raises:
        BrokenAnswerError: it has no valid SOP Instance UID.
    """
    return ObjectMatch(
        study_instance_uid=_uid(ds, "StudyInstanceUID"),
        series_instance_uid=_uid(ds, "SeriesInstanceUID"),
        sop_instance_uid=_own_uid(ds, "SOPInstanceUID"),
        sop_class_uid=_uid(ds, "SOPClassUID"),
        instance_number=_integer(ds, "InstanceNumber"),
    )


def _read(ds: Dataset, keyword: str, convert: Callable[[Any], T | None]) -> T | None:
    try:
        value = ds.get(keyword)
        return None if value is None else convert(value)
    except _UNREADABLE:
        return None


def _clean(value: object) -> str | None:
    text = str(value).replace("\x00", "").strip()
    return text.encode("utf-8", "replace").decode() or None


def _text(ds: Dataset, keyword: str) -> str | None:
    return _read(ds, keyword, lambda value: _clean("\\".join(map(str, _many(value)))))


def _short(ds: Dataset, keyword: str, longest: int) -> str | None:
    text = _text(ds, keyword)
    return text[:longest] if text else None


def _texts(ds: Dataset, keyword: str) -> tuple[str, ...] | None:
    texts = _read(ds, keyword, lambda value: tuple(filter(None, map(_clean, _many(value)))))
    return tuple(dict.fromkeys(texts)) if texts else None


def _many(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (MultiValue, list, tuple)) else [value]


def _integer(ds: Dataset, keyword: str) -> int | None:
    number = _read(ds, keyword, lambda value: int(str(_many(value)[0]).strip()))
    return number if number is not None and -_INT32 <= number <= _INT32 else None


def _count(ds: Dataset, keyword: str) -> int | None:
    number = _integer(ds, keyword)
    return number if number is not None and number >= 0 else None


def _uid(ds: Dataset, keyword: str) -> str | None:
    text = _text(ds, keyword)
    try:
        return str(Uid.parse(keyword, text)) if text else None
    except InvalidInputError:
        return None


def _own_uid(ds: Dataset, keyword: str) -> str:
    uid = _uid(ds, keyword)
    if uid is None:
        raise BrokenAnswerError(f"a match without a valid {keyword}")
    return uid
