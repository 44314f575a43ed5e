"""A file is read as if it had just come, whatever its size."""

from __future__ import annotations

import os
import struct
import tracemalloc
from pathlib import Path

from services.store.index.reconcile import read_receipt
from services.store.objects.durable_folder import ObjectFolder
from shared.dicom.part10 import file_head
from tests.support.services.store import made_object

#: A private element that lies before the UIDs.
PRIVATE_BYTES = 64 << 20


def large_file(root: Path) -> str:
    """Write an object whose UIDs come after a large element, which is a hole in the file."""
    made = made_object(1)
    file = root / made.path
    file.parent.mkdir(parents=True)
    head = file_head(
        sop_class_uid=made.identity.sop_class_uid,
        sop_instance_uid=made.sop_instance_uid,
        transfer_syntax_uid=made.transfer_syntax_uid,
    )
    with file.open("wb") as out:
        out.write(head + struct.pack("<HH2sHL", 0x0008, 0x0001, b"OB", 0, PRIVATE_BYTES))
        out.seek(PRIVATE_BYTES, 1)
        out.write(made.data_set)
    return made.path


def test_a_large_file_is_read_without_taking_memory_for_it(tmp_path):
    # Given
    folder, path = ObjectFolder(tmp_path), large_file(tmp_path)
    # When
    tracemalloc.start()
    receipt = read_receipt(folder, path)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Then
    assert receipt is not None
    assert receipt.size_bytes > PRIVATE_BYTES
    assert peak_bytes < 4 << 20


def test_a_file_that_is_no_object_is_none(tmp_path):
    # Given
    folder = ObjectFolder(tmp_path)
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "other.dcm").write_bytes(bytes(1 << 20))
    cut = large_file(tmp_path)
    os.truncate(tmp_path / cut, (tmp_path / cut).stat().st_size - 1)
    # When, Then
    assert read_receipt(folder, cut) is None
    assert read_receipt(folder, "empty.dcm") is None
    assert read_receipt(folder, "other.dcm") is None
    assert read_receipt(folder, "gone.dcm") is None
