"""From the file of a dose report to its summary."""

from __future__ import annotations

import struct
import warnings
import zlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from shared.dicom.part10 import MAX_HEAD_BYTES, read_head
from shared.dicom.upper_layer.data_elements import ElementWalker, TruncatedDataSetError
from shared.dicom.upper_layer.errors import MalformedDataSetError
from shared.dose.summary import Summary
from shared.dose.templates import summarize
from shared.dose.tree import PARSE_ERRORS, UnreadableReportError, content_of
from shared.errors import InvalidInputError

#: No dose report is larger: real ones have some 5 kB for each irradiation event.
MAX_FILE_BYTES = 12 * 1024 * 1024
#: Items of sequences, counted before anything is parsed: each costs about 1 kB of memory and 0.1 ms.
MAX_SEQUENCE_ITEMS = 150_000
#: How an item begins (FFFE,E000), in little and in big endian (PS3.5 7.5).
_ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_CONTENT_SEQUENCE = 0x0040A730
#: How a sequence of undefined length ends (FFFE,E0DD), in little and in big endian.
_DELIMITERS = (b"\xfe\xff\xdd\xe0\0\0\0\0", b"\xff\xfe\xe0\xdd\0\0\0\0")
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
    data = _complete(path.read_bytes())
    if sum(map(data.count, _ITEM_TAGS)) > MAX_SEQUENCE_ITEMS:
        raise UnreadableReportError("too_large")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's quote values
        try:
            ds = dcmread(BytesIO(data), force=True, specific_tags=_TAGS)
            return replace(summary_of(ds), software_versions=_software_versions(ds))
        except FILE_ERRORS as error:
            raise UnreadableReportError("malformed") from error


def _complete(data: bytes) -> bytes:
    """Return a file, inflated if it is deflated, without what is broken behind its content.

    Raises:
        UnreadableReportError: it is no DICOM file, ends within its content, or cannot be inflated.
    """
    try:
        head = read_head(data[:MAX_HEAD_BYTES])
    except InvalidInputError as error:
        raise UnreadableReportError("malformed") from error
    start = head.data_set_offset
    if str(head.transfer_syntax_uid) == DeflatedExplicitVRLittleEndian:
        data, start = _inflated(data[start:]), 0
    big_endian = str(head.transfer_syntax_uid) == ExplicitVRBigEndian
    return data[: start + _end_of_content(memoryview(data)[start:], big_endian=big_endian)]


def _inflated(data: bytes) -> bytes:
    """Inflate a data set (PS3.5 A.5): it may be of any size, but a report is not."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(data, MAX_FILE_BYTES + 1)
    except zlib.error as error:
        raise UnreadableReportError("malformed") from error
    if len(inflated) > MAX_FILE_BYTES:
        raise UnreadableReportError("too_large")
    if not inflater.eof:
        raise UnreadableReportError("cut_off")
    return inflated


def _end_of_content(data_set: memoryview, *, big_endian: bool) -> int:
    """Return where a data set ends, or its content if what follows is broken.

    pydicom takes a report that is cut off for one with fewer events.
    """
    end: int | None = None
    try:
        for tag, _, _, stop in ElementWalker(
            data_set, big_endian=big_endian, max_depth=None, padded=True
        ).walk():
            if tag == _CONTENT_SEQUENCE:
                end = stop
    except TruncatedDataSetError as error:
        if end is None:
            raise UnreadableReportError("cut_off") from error
    except MalformedDataSetError:
        pass  # whether it can be read shows below
    else:
        return len(data_set)
    if end is None:
        return len(data_set)
    delimiter = _DELIMITERS[big_endian]
    return end + len(delimiter) * (data_set[end : end + len(delimiter)] == delimiter)


def _software_versions(ds: Dataset) -> str:
    """Return Software Versions (0018,1020) as printable text, several values between commas."""
    values = ds.get("SoftwareVersions") or ()
    texts = [values] if isinstance(values, str) else [value for value in values if isinstance(value, str)]
    text = ", ".join(stripped for value in texts if (stripped := value.strip()))
    return text[:_VERSIONS_MAX_LENGTH] if text.isprintable() else ""


def summary_of(ds: Dataset) -> Summary:
    """Return what is in a report.

    Raises:
        UnreadableReportError: its content cannot be read.
    """
    return summarize(content_of(ds))
