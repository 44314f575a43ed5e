"""Finds DICOM objects in files and folders, also in files without preamble or File Meta Information."""

from __future__ import annotations

import os
import stat
import struct
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag
from pydicom.valuerep import VR

from shared.contract.messages import ObjectReference
from shared.errors import InvalidInputError
from shared.identifiers import parse_uid

#: Length of the File Preamble (PS3.10 7.1).
_PREAMBLE_BYTES = 128
_PREFIX = b"DICM"
_DICOMDIR_CLASS = "1.2.840.10008.1.3.10"

_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
_ATTRIBUTES = {
    _SOP_INSTANCE: "SOPInstanceUID",
    _STUDY: "StudyInstanceUID",
    _SERIES: "SeriesInstanceUID",
}

#: Groups with which a file without prefix may begin: File Meta Information, or the data set itself.
_FIRST_GROUPS = (0x0002, 0x0008)
_VRS = frozenset(vr.value.encode() for vr in VR)
#: Bytes of a file without prefix whose data set does not begin the file: the UIDs lie in front of the pixels.
_READ_BYTES = 16 * 1024 * 1024


@dataclass(slots=True)
class FileTally:
    """What became of the files."""

    registered: int = 0
    #: Files that are no DICOM object, each with the reason.
    skipped: list[dict[str, str]] = field(default_factory=list)
    #: DICOM files and folders that cannot be read, each with the problem.
    unreadable: list[dict[str, str]] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        """Return the result of `doseqr register --json`."""
        return {
            "registered": self.registered,
            "skipped": len(self.skipped),
            "skipped_files": self.skipped,
            "unreadable": self.unreadable,
        }


class _NotDicomError(Exception):
    """A file holds no DICOM object; the text names what it is."""


def object_references(paths: Sequence[Path], tally: FileTally) -> Iterator[ObjectReference]:
    """Yield the objects in these files and folders; every other file goes to the tally."""
    for path in paths:
        for file in _files(path, tally):
            try:
                yield _reference(file)
            except _NotDicomError as error:
                if file == path:
                    tally.unreadable.append({"path": str(file), "problem": str(error)})
                else:
                    tally.skipped.append({"path": str(file), "reason": str(error)})
            except InvalidInputError as error:
                tally.unreadable.append({"path": str(file), "problem": str(error)})
            except OSError as error:
                problem = error.strerror or "cannot be read"
                tally.unreadable.append({"path": str(file), "problem": problem})


def _files(path: Path, tally: FileTally) -> Iterator[Path]:
    """Yield the files below a folder in order, through symbolic links, and each folder once."""
    if not path.is_dir():
        yield path
        return

    def unreadable(error: OSError) -> None:
        problem = error.strerror or "cannot be read"
        tally.unreadable.append({"path": str(error.filename or path), "problem": problem})

    visited: set[tuple[int, int]] = set()
    for folder, subfolders, names in os.walk(path, onerror=unreadable, followlinks=True):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in visited:
            subfolders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        subfolders.sort()
        for name in sorted(names):
            yield Path(folder) / name


def _reference(file: Path) -> ObjectReference:
    if not stat.S_ISREG(file.stat().st_mode):
        raise _NotDicomError("not a regular file")
    with file.open("rb") as opened, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's quote values; what is malformed is refused below
        source = _at_data_set(opened)
        try:
            ds = read_partial(source, _behind_the_uids, force=True, specific_tags=[_SOP_CLASS, *_ATTRIBUTES])
            if ds.file_meta.get("MediaStorageSOPClassUID") == _DICOMDIR_CLASS:
                raise _NotDicomError("a DICOMDIR")
            texts = {tag: _text(ds, tag) for tag in (_SOP_CLASS, *_ATTRIBUTES)}
        except InvalidDicomError:
            raise _NotDicomError("not a DICOM file") from None
        except (ValueError, AttributeError, KeyError, NotImplementedError, EOFError, struct.error) as error:
            # What pydicom raises on damaged files; its text may quote values, so only its type is shown.
            raise InvalidInputError("file", f"damaged ({type(error).__name__})") from None
    uids = {tag: parse_uid(name, texts[tag]) for tag, name in _ATTRIBUTES.items()}
    return ObjectReference(
        study_instance_uid=uids[_STUDY],
        series_instance_uid=uids[_SERIES],
        sop_instance_uid=uids[_SOP_INSTANCE],
        sop_class_uid=parse_uid("SOPClassUID", texts[_SOP_CLASS]) if texts[_SOP_CLASS] else None,
    )


def _behind_the_uids(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return int(tag) > _SERIES


def _text(ds: FileDataset, tag: int) -> str:
    return str(ds[tag].value or "") if tag in ds else ""


def _at_data_set(opened: BinaryIO) -> BinaryIO:
    """Return the file such that pydicom finds File Meta Information or data set at its beginning.

    Raises:
        _NotDicomError: it holds neither.
        OSError: it cannot be read.
    """
    head = opened.read(_PREAMBLE_BYTES + 8)
    opened.seek(0)
    if not head:
        raise _NotDicomError("empty")
    if head[_PREAMBLE_BYTES : _PREAMBLE_BYTES + 4] == _PREFIX or _begins_data_set(head):
        return opened
    for start in (_PREAMBLE_BYTES, len(_PREFIX)):  # a preamble without prefix, a prefix without preamble
        if _begins_data_set(head[start:]) and (start == _PREAMBLE_BYTES or head.startswith(_PREFIX)):
            opened.seek(start)
            return BytesIO(opened.read(_READ_BYTES))
    raise _NotDicomError("not a DICOM file")


def _begins_data_set(head: bytes) -> bool:
    """Return whether these bytes read as a data element (PS3.5 7.1) of a group that may come first."""
    if len(head) < 8:  # noqa: PLR2004 - tag and length
        return False
    if head[4:6] in _VRS:
        return any(struct.unpack_from(order + "H", head)[0] in _FIRST_GROUPS for order in "<>")
    group, element, length = struct.unpack_from("<HHL", head)
    # Implicit VR: the first elements of both groups are a group length, a class or a short text.
    short = element <= 0x0100 and length <= 1024  # noqa: PLR2004
    return short and group in _FIRST_GROUPS
