"""An archive of DICOM files: the objects of a folder, matched and sent as they are."""

import datetime as dt
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from simulator.archive.model import Instance, Series, Study

_log = logging.getLogger(__name__)

_UNCOMPRESSED = {ExplicitVRLittleEndian, ImplicitVRLittleEndian}
_NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_HEADER_TAGS = [
    "SpecificCharacterSet",
    *_NEEDED,
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "AccessionNumber",
    "StudyID",
    "PatientID",
    "PatientName",
    "Modality",
    "SeriesNumber",
    "SeriesDescription",
    "StationName",
    "InstanceNumber",
]


@dataclass(slots=True)
class _FoundFile:
    """The files of one study: a header that speaks for it, and headers and files by series."""

    header: Dataset
    series: dict[str, list[tuple[Dataset, Instance]]] = field(default_factory=dict)


def studies_in(paths: Iterable[Path]) -> list[Study]:
    """Return the studies that the DICOM files in files and folders make up; other files are skipped.

    Raises:
        FileNotFoundError: a path does not exist.
    """
    found: dict[str, _FoundFile] = {}
    for path in _files(paths):
        header = _header(path)
        if header is None:
            continue
        study = found.setdefault(str(header.StudyInstanceUID), _FoundFile(header))
        study.series.setdefault(str(header.SeriesInstanceUID), []).append((header, _instance(header, path)))
    return [_study(study) for study in found.values()]


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist")
        yield from sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _header(path: Path) -> Dataset | None:
    try:
        header = dcmread(path, specific_tags=list(_HEADER_TAGS), stop_before_pixels=True)
    except InvalidDicomError:
        _log.info("skipped a file that is not DICOM: %s", path.name)
        return None
    if any(not header.get(keyword) for keyword in _NEEDED):
        _log.warning("skipped a file without its UIDs: %s", path.name)
        return None
    return header


def _instance(header: Dataset, path: Path) -> Instance:
    syntax = header.file_meta.TransferSyntaxUID
    return Instance(
        sop_instance_uid=str(header.SOPInstanceUID),
        sop_class_uid=str(header.SOPClassUID),
        content="file",
        instance_number=_number(header, "InstanceNumber"),
        path=path,
        transfer_syntax_uid=None if syntax in _UNCOMPRESSED else str(syntax),
    )


def _study(found: _FoundFile) -> Study:
    header = found.header
    return Study(
        study_instance_uid=str(header.StudyInstanceUID),
        date=_date(str(header.get("StudyDate") or "")),
        time=_time(str(header.get("StudyTime") or "")),
        series=tuple(_series(uid, members) for uid, members in found.series.items()),
        description=_text(header, "StudyDescription"),
        accession_number=str(header.get("AccessionNumber") or ""),
        study_id=str(header.get("StudyID") or ""),
        patient_id=str(header.get("PatientID") or ""),
        patient_name=str(header.get("PatientName") or ""),
    )


def _series(uid: str, members: list[tuple[Dataset, Instance]]) -> Series:
    header = members[0][0]
    return Series(
        series_instance_uid=uid,
        modality=str(header.get("Modality") or ""),
        instances=tuple(instance for _header, instance in members),
        series_number=_number(header, "SeriesNumber"),
        description=_text(header, "SeriesDescription"),
        station_name=_text(header, "StationName"),
    )


def _text(header: Dataset, keyword: str) -> str | None:
    return None if keyword not in header else str(header[keyword].value or "")


def _number(header: Dataset, keyword: str) -> int | None:
    value = header.get(keyword)
    return None if value in {None, ""} else int(value)


def _date(value: str) -> dt.date | None:
    try:
        return dt.date(int(value[:4]), int(value[4:6]), int(value[6:8]))
    except ValueError:
        return None


def _time(value: str) -> dt.time | None:
    digits = value.split(".", maxsplit=1)[0].ljust(6, "0")
    try:
        return dt.time(int(digits[:2]), int(digits[2:4]), int(digits[4:6]))
    except ValueError:
        return None
