"""Every file of a folder is registered, or counted and named; none is dropped in silence."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from services.cli.client.dicom_files import FileTally, object_references

IMPLICIT, EXPLICIT, BIG = "implicit", "explicit", "big endian"
SYNTAXES = {IMPLICIT: "1.2.840.10008.1.2", EXPLICIT: "1.2.840.10008.1.2.1", BIG: "1.2.840.10008.1.2.2"}
CLASS, INSTANCE, STUDY, SERIES = "1.2.840.10008.5.1.4.1.1.88.67", "1.2.3", "1.2", "1.2.1"


def element(syntax: str, group: int, number: int, vr: bytes, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    if syntax == IMPLICIT:
        return struct.pack("<HHL", group, number, len(value)) + value
    order = ">" if syntax == BIG else "<"
    return struct.pack(f"{order}HH2sH", group, number, vr, len(value)) + value


def data_set(syntax: str, *, instance: str = INSTANCE, study: str = STUDY) -> bytes:
    elements = [
        (0x0008, 0x0005, b"CS", "ISO_IR 100"),
        (0x0008, 0x0016, b"UI", CLASS),
        (0x0008, 0x0018, b"UI", instance),
        (0x0008, 0x0060, b"CS", "SR"),
        (0x0020, 0x000D, b"UI", study),
        (0x0020, 0x000E, b"UI", SERIES),
        (0x0040, 0xA040, b"CS", "CONTAINER"),
    ]
    return b"".join(element(syntax, group, number, vr, text.encode()) for group, number, vr, text in elements)


def file_meta(syntax: str, sop_class: str = CLASS) -> bytes:
    elements = element(EXPLICIT, 2, 2, b"UI", sop_class.encode())
    elements += element(EXPLICIT, 2, 3, b"UI", INSTANCE.encode())
    elements += element(EXPLICIT, 2, 0x10, b"UI", SYNTAXES[syntax].encode())
    return element(EXPLICIT, 2, 0, b"UL", struct.pack("<L", len(elements))) + elements


def read(*paths: Path) -> tuple[list[str], FileTally]:
    tally = FileTally()
    return [reference.sop_instance_uid for reference in object_references(paths, tally)], tally


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("meta", [True, False], ids=["file meta", "no file meta"])
@pytest.mark.parametrize("start", [bytes(128) + b"DICM", b"", bytes(128), b"DICM"], ids=repr)
@pytest.mark.parametrize("name", ["object.dcm", "object", "notes.txt"])
def test_an_object_is_read_however_its_file_begins(tmp_path, syntax, meta, start, name):
    # Given
    (tmp_path / name).write_bytes(start + (file_meta(syntax) if meta else b"") + data_set(syntax))
    # When
    in_folder, tally = read(tmp_path)
    alone, _ = read(tmp_path / name)
    # Then
    assert (in_folder, alone) == ([INSTANCE], [INSTANCE])
    assert (tally.skipped, tally.unreadable) == ([], [])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"no DICOM", "not a DICOM file"),
        (b"\x08\x00", "not a DICOM file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "not a DICOM file"),
        (b"PK\x03\x04" + bytes(500), "not a DICOM file"),
        (b"DICM is what these notes are about" + bytes(200), "not a DICOM file"),
        (bytes(128) + b"DICM" + file_meta(EXPLICIT, "1.2.840.10008.1.3.10"), "a DICOMDIR"),
    ],
)
def test_what_is_no_object_is_named_in_a_folder(tmp_path, content, reason):
    # Given
    file = tmp_path / "other"
    file.write_bytes(content)
    # When
    found, tally = read(tmp_path)
    # Then
    assert found == []
    assert tally.to_json()["skipped_files"] == [{"path": str(file), "reason": reason}]
    # When
    found, tally = read(file)
    # Then
    assert tally.unreadable == [{"path": str(file), "problem": reason}]


@pytest.mark.parametrize("start", [bytes(128) + b"DICM", b""], ids=["preamble", "none"])
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (data_set(IMPLICIT, instance=""), "SOPInstanceUID"),
        (data_set(IMPLICIT, study="../../etc"), "StudyInstanceUID"),
        (data_set(IMPLICIT)[:70], "StudyInstanceUID"),
        (data_set(EXPLICIT)[:33], "UID"),
    ],
)
def test_a_damaged_object_is_named_with_its_problem(tmp_path, start, content, problem):
    # Given
    (tmp_path / "damaged.dcm").write_bytes(start + content)
    # When
    found, tally = read(tmp_path)
    # Then
    assert found == []
    [entry] = tally.unreadable
    assert problem in entry["problem"]
    assert "etc" not in entry["problem"]


def test_folders_behind_links_are_read_once(tmp_path):
    # Given
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "object").write_bytes(data_set(IMPLICIT))
    (inside / "link").symlink_to(outside)
    (outside / "back").symlink_to(inside)
    # When
    found, tally = read(inside)
    # Then
    assert found == [INSTANCE]
    assert (tally.skipped, tally.unreadable) == ([], [])


def test_what_cannot_be_opened_is_named(tmp_path):
    # Given
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    # When
    found, tally = read(tmp_path)
    # Then
    assert found == []
    assert [Path(entry["path"]).name for entry in tally.unreadable] == ["dangling"]
    assert tally.skipped == [{"path": str(tmp_path / "pipe"), "reason": "not a regular file"}]
