"""From the file of a dose report to its summary."""

from __future__ import annotations

import struct
import warnings
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

from shared.dose.summary import Summary
from shared.dose.templates import summarize
from shared.dose.tree import PARSE_ERRORS, UnreadableReportError, content_of

#: No dose report is larger: real ones have some 5 kB for each irradiation event.
MAX_FILE_BYTES = 12 * 1024 * 1024
#: Items of sequences, counted before anything is parsed: each costs about 1 kB of memory and 0.1 ms.
MAX_SEQUENCE_ITEMS = 150_000
#: How an item begins (FFFE,E000), in little and in big endian (PS3.5 7.5).
_ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
#: What pydicom raises where a file is no DICOM file, ends early, is nested too deep, or lies about lengths.
FILE_ERRORS = (*PARSE_ERRORS, InvalidDicomError, OSError, EOFError, RecursionError, struct.error)
#: All that is taken over of the data set itself.
_TAGS = [
    "ValueType",
    "ConceptNameCodeSequence",
    "ContentTemplateSequence",
    "ContentSequence",
    "SoftwareVersions",
]
#: Characters of the software versions that are kept: several LO values (PS3.5 6.2).
_VERSIONS_MAX_LENGTH = 200


def read_summary(path: Path) -> Summary:
    """Read the file of a report and return what is in it.

    Raises:
        UnreadableReportError: it is no report that can be read; the text is one word.
        OSError: the file cannot be read.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise UnreadableReportError("too_large")
    data = path.read_bytes()
    if sum(map(data.count, _ITEM_TAGS)) > MAX_SEQUENCE_ITEMS:
        raise UnreadableReportError("too_large")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's quote values
        try:
            if _is_deflated(path):
                raise UnreadableReportError("compressed")
            ds = dcmread(BytesIO(data), specific_tags=_TAGS)
            return replace(summary_of(ds), software_versions=_software_versions(ds))
        except FILE_ERRORS as error:
            raise UnreadableReportError("malformed") from error


def _software_versions(ds: Dataset) -> str:
    """Return Software Versions (0018,1020) as printable text, several values between commas."""
    values = ds.get("SoftwareVersions") or ()
    texts = [values] if isinstance(values, str) else [value for value in values if isinstance(value, str)]
    text = ", ".join(stripped for value in texts if (stripped := value.strip()))
    return text[:_VERSIONS_MAX_LENGTH] if text.isprintable() else ""


def _is_deflated(path: Path) -> bool:
    """Return whether a data set is deflated (PS3.5 A.5): it may be of any size."""
    meta = read_file_meta_info(path)
    return bool(meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian)


def summary_of(ds: Dataset) -> Summary:
    """Return what is in a report.

    Raises:
        UnreadableReportError: its content cannot be read.
    """
    return summarize(content_of(ds))
