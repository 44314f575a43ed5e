"""Files are registered in batches, and what cannot be read is named."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from shared.contract.messages import RegisterObjects
from tests.support.services.cli import Doseqr
from tests.support.services.fake_services import FakeServices


def test_files_are_registered_in_batches(
    doseqr: Doseqr, services: FakeServices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.setattr("services.cli.commands.register.BATCH", 2)
    folder = tmp_path / "files"
    for number in range(5):
        a_file(folder / f"{number % 2}" / f"{number}.dcm", f"1.2.3.{number}")
    (folder / "notes.txt").write_text("no DICOM")
    # When
    result = doseqr("register", str(folder), "--json")
    # Then
    assert result.code == 0
    notes = {"path": str(folder / "notes.txt"), "reason": "not a DICOM file"}
    assert result.json == {"registered": 5, "skipped": 1, "skipped_files": [notes], "unreadable": []}
    sent = [command for command in services.commands if isinstance(command, RegisterObjects)]
    assert [len(command.objects) for command in sent] == [2, 2, 1]
    assert {reference.sop_instance_uid for command in sent for reference in command.objects} == {
        f"1.2.3.{number}" for number in range(5)
    }


def test_files_that_cannot_be_read_are_named(doseqr: Doseqr, services: FakeServices, tmp_path: Path) -> None:
    # Given
    good, hostile, other = tmp_path / "good.dcm", tmp_path / "hostile.dcm", tmp_path / "other.txt"
    a_file(good, "1.2.3")
    a_file(hostile, "../../etc/passwd")
    other.write_text("no DICOM")
    # When
    result = doseqr("register", str(good), str(hostile), str(other), "--json")
    # Then
    assert result.code == 1
    assert result.json["registered"] == 1
    assert [entry["path"] for entry in result.json["unreadable"]] == [str(hostile), str(other)]


def test_a_path_that_does_not_exist_is_wrong_usage(doseqr: Doseqr, tmp_path: Path) -> None:
    # When / Then
    assert doseqr("register", str(tmp_path / "nothing")).code == 2


def a_file(path: Path, sop_instance_uid: str) -> None:
    """Write a small DICOM file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    ds = FileDataset(str(path), Dataset(), file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID = CTImageStorage
    ds.StudyInstanceUID = "1.2"
    ds.SeriesInstanceUID = "1.2.1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds.add_new("SOPInstanceUID", "UI", sop_instance_uid)
        ds.save_as(path, enforce_file_format=True)
