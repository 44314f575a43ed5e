"""`doseqr fsck` finds what happened to stored files."""

from __future__ import annotations

import hashlib
import shutil

import pytest

from services.cli.client.session import opened_database
from shared.clock import utc_now
from shared.database.models.store import StoredObject
from shared.dicom.part10 import file_head
from tests.support.services.cli import Doseqr
from tests.support.services.store import made_object

STORED = 5


@pytest.fixture
def stored(doseqr: Doseqr) -> list[str]:
    """Store five objects; return their paths."""
    paths = []
    with opened_database(doseqr.settings) as database, database.write() as session:
        for number in range(1, STORED + 1):
            made = made_object(number)
            identity = made.identity
            head = file_head(
                sop_class_uid=str(identity.sop_class_uid),
                sop_instance_uid=made.sop_instance_uid,
                transfer_syntax_uid=made.transfer_syntax_uid,
            )
            content = head + made.data_set
            file = doseqr.settings.objects_dir / made.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            now = utc_now()
            session.add(
                StoredObject(
                    sop_instance_uid=made.sop_instance_uid,
                    series_instance_uid=str(identity.series_instance_uid),
                    study_instance_uid=str(identity.study_instance_uid),
                    source="store",
                    path=made.path,
                    size_bytes=len(content),
                    sha256=hashlib.sha256(made.data_set).hexdigest(),
                    received_at=now,
                    last_received_at=now,
                )
            )
            paths.append(made.path)
    return paths


def test_files_as_they_were_received_are_well(doseqr: Doseqr, stored: list[str]) -> None:
    # When
    result = doseqr("fsck")
    # Then
    assert result.code == 0
    assert result.out == "5 of 5 files are well\n"


def test_a_sample_reads_no_more_files_than_its_size(doseqr: Doseqr, stored: list[str]) -> None:
    # When
    result = doseqr("fsck", "--sample", "2", "--json")
    whole = doseqr("fsck", "--sample", "2", "--all", "--json")
    # Then
    assert (result.code, result.json["checked"], result.json["stored"]) == (0, 2, 5)
    assert whole.json["checked"] == 5


def test_each_kind_of_fault_is_named(doseqr: Doseqr, stored: list[str]) -> None:
    # Given
    root = doseqr.settings.objects_dir
    (root / stored[0]).unlink()
    changed = bytearray((root / stored[1]).read_bytes())
    changed[-1] ^= 1
    (root / stored[1]).write_bytes(changed)
    (root / stored[2]).write_bytes((root / stored[2]).read_bytes()[:-2])
    (root / stored[3]).write_bytes(b"no DICOM file")
    # When
    result = doseqr("fsck", "--json")
    as_text = doseqr("fsck")
    # Then
    assert (result.code, as_text.code) == (1, 1)
    assert result.json["faulty"] == 4
    faults = {fault["path"]: fault["fault"] for fault in result.json["faults"]}
    assert faults == dict(
        zip(stored[:4], ("gone", "other bytes", "another size", "other bytes"), strict=True)
    )
    assert "5 of 5 files read: 4 faulty" in as_text.out
    assert "Restore these files from a backup" in as_text.err


def test_without_the_folder_of_objects_no_file_is_judged(doseqr: Doseqr, stored: list[str]) -> None:
    # Given
    shutil.rmtree(doseqr.settings.objects_dir)
    # When
    result = doseqr("fsck")
    # Then
    assert result.code == 5
    assert "the folder of objects is not there" in result.err
