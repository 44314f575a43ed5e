"""Files made to cost a reader its memory or its stack: said to be unreadable before they do."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from shared.dicom.part10 import file_head
from shared.dose.reports import MAX_FILE_BYTES, MAX_SEQUENCE_ITEMS, read_summary, summary_of
from shared.dose.tree import UnreadableReportError
from tests.unit.dose.test_reports import report

ITEM, OPEN = b"\xfe\xff\x00\xe0", b"\xff\xff\xff\xff"
CONTENT_SEQUENCE = b"\x40\x00\x30\xa7SQ\0\0"


def file_with(folder: Path, content: bytes, length: bytes | None = None) -> Path:
    """Write a report whose content sequence has these bytes."""
    ds = report("rdsr_ct")
    del ds.ContentSequence
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    path = folder / "report.dcm"
    path.write_bytes(
        buffer.getvalue() + CONTENT_SEQUENCE + (length or struct.pack("<L", len(content))) + content
    )
    return path


def test_a_report_with_more_items_than_any_report_is_not_parsed(tmp_path):
    # Given
    path = file_with(tmp_path, (ITEM + b"\0\0\0\0") * (MAX_SEQUENCE_ITEMS + 1))
    # When, Then
    with pytest.raises(UnreadableReportError, match="too_large"):
        read_summary(path)


def test_a_report_that_is_larger_than_any_report_is_not_read(tmp_path):
    # Given
    path = tmp_path / "report.dcm"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    # When, Then
    with pytest.raises(UnreadableReportError, match="too_large"):
        read_summary(path)


@pytest.mark.parametrize("levels", [50, 5_000, 50_000])
def test_content_nested_without_end_is_not_readable(tmp_path, levels):
    # Given
    path = file_with(tmp_path, ITEM + OPEN + (CONTENT_SEQUENCE + OPEN + ITEM + OPEN) * levels, OPEN)
    # When, Then
    with pytest.raises(UnreadableReportError, match=r"too_deep|malformed|cut_off"):
        read_summary(path)


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.99])
def test_a_report_that_ends_early_passes_for_no_shorter_one(tmp_path, kept):
    # Given
    whole = io.BytesIO()
    report("rdsr_ct").save_as(whole, enforce_file_format=True)
    path = tmp_path / "report.dcm"
    path.write_bytes(whole.getvalue()[: int(len(whole.getvalue()) * kept)])
    # When, Then
    with pytest.raises(UnreadableReportError, match="cut_off"):
        read_summary(path)


@pytest.mark.parametrize(
    "behind",
    [b"\0\0\0", b"\0" * 16, b"\xff" * 16, b"\xfc\xff\xfc\xffOB\0\0\x04\0\0\0pad ", b"rest of a disk block"],
)
@pytest.mark.parametrize("is_open", [False, True], ids=["defined", "undefined"])
def test_what_stands_behind_the_content_takes_nothing_from_it(tmp_path, behind, is_open):
    # Given
    ds = report("rdsr_ct")
    ds["ContentSequence"].is_undefined_length = is_open
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    path = tmp_path / "report.dcm"
    path.write_bytes(buffer.getvalue() + behind)
    # When, Then
    assert read_summary(path).figures == summary_of(ds).figures


@pytest.mark.parametrize("seed", range(60))
def test_flipped_bytes_never_raise_anything_else(tmp_path, seed):
    # Given
    whole = io.BytesIO()
    report("rdsr_fl").save_as(whole, enforce_file_format=True)
    data = bytearray(whole.getvalue())
    for step in range(20):
        data[132 + (seed * 7919 + step * 104_729) % (len(data) - 132)] ^= 1 << (seed + step) % 8
    path = tmp_path / "report.dcm"
    path.write_bytes(bytes(data))
    # When
    try:
        result = str(read_summary(path).kind)
    except UnreadableReportError as error:
        result = str(error)
    # Then
    assert result


def test_a_deflated_report_is_read_like_any_other(tmp_path):
    # Given
    ds = report("rdsr_ct")
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = tmp_path / "report.dcm"
    ds.save_as(path, enforce_file_format=True)
    # When, Then
    assert read_summary(path).figures == summary_of(ds).figures


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (zlib.compress(bytes(MAX_FILE_BYTES + 1), wbits=-15), "too_large"),
        (zlib.compress(bytes(2000), wbits=-15)[:8], "cut_off"),
        (bytes.fromhex("08000500") + b"CS no deflated data", "malformed"),
    ],
)
def test_a_report_that_cannot_be_inflated_names_the_problem(tmp_path, data, problem):
    # Given
    head = file_head(
        sop_class_uid="1.2.3", sop_instance_uid="1.2.4", transfer_syntax_uid=DeflatedExplicitVRLittleEndian
    )
    path = tmp_path / "report.dcm"
    path.write_bytes(head + data)
    # When, Then
    with pytest.raises(UnreadableReportError, match=problem):
        read_summary(path)
