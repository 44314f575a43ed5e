"""The attributes that a scripted PACS knows, where they belong and how an entity's value of each is found."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simulator.archive.model import ArchiveMatch, Series, Study, format_time

LEVELS = ("PATIENT", "STUDY", "SERIES", "IMAGE")

#: The values of one attribute of an entity; None means that the attribute is absent, () that it has no value.
Getter = Callable[[ArchiveMatch], Sequence[str] | None]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: keyword, tag, value representation, the level it belongs to and how to read it."""

    keyword: str
    tag: int
    vr: str
    level: str
    get: Getter


def _one(value: str) -> tuple[str, ...]:
    return (value,) if value else ()


def _study(read: Callable[[Study], str | None]) -> Getter:
    def get(match: ArchiveMatch) -> Sequence[str] | None:
        value = read(match.study)
        return None if value is None else _one(value)

    return get


def _series(read: Callable[[Series], str | None]) -> Getter:
    def get(match: ArchiveMatch) -> Sequence[str] | None:
        value = None if match.series is None else read(match.series)
        return None if value is None else _one(value)

    return get


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def _station_name(match: ArchiveMatch) -> Sequence[str] | None:
    if match.series is not None:
        return None if match.series.station_name is None else _one(match.series.station_name)
    names = dict.fromkeys(series.station_name for series in match.study.series if series.station_name)
    return tuple(names)


def _sop_classes(match: ArchiveMatch) -> Sequence[str]:
    return tuple({i.sop_class_uid: None for series in match.study.series for i in series.instances})


def _series_date(match: ArchiveMatch) -> Sequence[str]:
    return _one(match.study.date.strftime("%Y%m%d")) if match.study.date else ()


def _series_time(match: ArchiveMatch) -> Sequence[str]:
    own = match.series.time if match.series is not None else None
    return _one(format_time(own or match.study.time))


def _instance_number(match: ArchiveMatch) -> Sequence[str] | None:
    return None if match.instance is None else _one(_number(match.instance.instance_number))


_ATTRIBUTES = (
    Attribute("PatientName", 0x00100010, "PN", "PATIENT", _study(lambda s: s.patient_name)),
    Attribute("PatientID", 0x00100020, "LO", "PATIENT", _study(lambda s: s.patient_id)),
    Attribute("StudyInstanceUID", 0x0020000D, "UI", "STUDY", _study(lambda s: s.study_instance_uid)),
    Attribute(
        "StudyDate", 0x00080020, "DA", "STUDY", _study(lambda s: s.date.strftime("%Y%m%d") if s.date else "")
    ),
    Attribute("StudyTime", 0x00080030, "TM", "STUDY", _study(lambda s: format_time(s.time))),
    Attribute("AccessionNumber", 0x00080050, "SH", "STUDY", _study(lambda s: s.accession_number)),
    Attribute("StudyID", 0x00200010, "SH", "STUDY", _study(lambda s: s.study_id)),
    Attribute("StudyDescription", 0x00081030, "LO", "STUDY", _study(lambda s: s.description)),
    Attribute("ModalitiesInStudy", 0x00080061, "CS", "STUDY", lambda m: m.study.modalities_in_study),
    Attribute("SOPClassesInStudy", 0x00080062, "UI", "STUDY", _sop_classes),
    Attribute("NumberOfStudyRelatedSeries", 0x00201206, "IS", "STUDY", lambda m: (str(len(m.study.series)),)),
    Attribute(
        "NumberOfStudyRelatedInstances",
        0x00201208,
        "IS",
        "STUDY",
        lambda m: (str(m.study.number_of_instances),),
    ),
    # Not an attribute of the study level in the standard, but many archives match and return it there.
    Attribute("StationName", 0x00081010, "SH", "STUDY", _station_name),
    Attribute("SeriesInstanceUID", 0x0020000E, "UI", "SERIES", _series(lambda s: s.series_instance_uid)),
    Attribute("Modality", 0x00080060, "CS", "SERIES", _series(lambda s: s.modality)),
    Attribute("SeriesNumber", 0x00200011, "IS", "SERIES", _series(lambda s: _number(s.series_number))),
    Attribute("SeriesDescription", 0x0008103E, "LO", "SERIES", _series(lambda s: s.description)),
    Attribute("SeriesDate", 0x00080021, "DA", "SERIES", _series_date),
    Attribute("SeriesTime", 0x00080031, "TM", "SERIES", _series_time),
    Attribute(
        "NumberOfSeriesRelatedInstances",
        0x00201209,
        "IS",
        "SERIES",
        lambda m: None if m.series is None else (str(len(m.series.instances)),),
    ),
    Attribute(
        "SOPInstanceUID",
        0x00080018,
        "UI",
        "IMAGE",
        lambda m: None if m.instance is None else (m.instance.sop_instance_uid,),
    ),
    Attribute(
        "SOPClassUID",
        0x00080016,
        "UI",
        "IMAGE",
        lambda m: None if m.instance is None else (m.instance.sop_class_uid,),
    ),
    Attribute("InstanceNumber", 0x00200013, "IS", "IMAGE", _instance_number),
)

ATTRIBUTES: dict[str, Attribute] = {attribute.keyword: attribute for attribute in _ATTRIBUTES}

#: The unique key of each level (PS3.4 C.6.1).
UNIQUE_KEYS = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}


def belongs(attribute: Attribute, level: str) -> bool:
    """Return whether an attribute can be requested at a level: those of its own and of lower levels."""
    return LEVELS.index(attribute.level) <= LEVELS.index(level)
