"""What is synced before an object is acknowledged: its file, then its name, then the folders above."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.services.store import RunningStore, made_object, running_store

SERIES, STUDY, ROOT = "1.2.826.0.1.2/1.2.826.0.1.3.1", "1.2.826.0.1.2", "."


class Syncs:
    """Stands for `os.fsync`: syncs, and remembers what."""

    def __init__(self, objects_dir: Path, fsync: Callable[[int], None]) -> None:
        self._objects_dir = objects_dir
        self._fsync = fsync
        self.done: list[str] = []
        self.fail_on = ""

    def __call__(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if not path.is_relative_to(self._objects_dir):
            self._fsync(descriptor)
            return
        below = str(path.relative_to(self._objects_dir))
        name = "file" if below.startswith(".incoming") else below
        if name == self.fail_on:
            raise OSError(errno.EIO, "input/output error")
        self._fsync(descriptor)
        self.done.append(name)


@pytest.fixture
def store(tmp_path):
    with running_store(tmp_path / "data") as running:
        yield running


@pytest.fixture
def syncs(store: RunningStore, monkeypatch) -> Syncs:
    made = Syncs(store.objects_dir, os.fsync)
    monkeypatch.setattr(os, "fsync", made)
    return made


def test_file_name_and_new_folders_are_synced_before_the_response(store, syncs):
    # When
    assert store.send(made_object(1)) == [0]
    # Then
    assert syncs.done == ["file", SERIES, STUDY, ROOT]


def test_a_known_folder_is_synced_alone(store, syncs):
    # Given
    store.send(made_object(1))
    syncs.done.clear()
    # When
    assert store.send(made_object(2), made_object(3, size_bytes=2 << 20)) == [0, 0]
    # Then
    assert syncs.done == ["file", SERIES, "file", SERIES]


def test_the_name_of_an_object_that_comes_again_is_synced_again(store, syncs):
    # Given: whoever brought it first may have died before
    store.send(made_object(1))
    syncs.done.clear()
    # When
    assert store.send(made_object(1)) == [0]
    # Then
    assert syncs.done == [SERIES]


def test_other_bytes_are_safe_in_their_own_folder(store, syncs):
    # Given
    store.send(made_object(1))
    syncs.done.clear()
    # When
    other = made_object(2, sop=made_object(1).sop_instance_uid)
    assert store.send(other) == [0]
    # Then
    assert syncs.done[0] == "file"
    assert {f".conflicts/{other.sop_instance_uid}", ".conflicts", ROOT, SERIES} <= set(syncs.done)


@pytest.mark.parametrize("place", ["file", SERIES])
def test_what_cannot_be_synced_is_neither_acknowledged_nor_known(store, syncs, place):
    # Given
    dicom_object = made_object(1)
    syncs.fail_on = place
    # When / Then
    assert store.send(dicom_object) == [0xA701]
    assert not store.knows(dicom_object.sop_instance_uid)
    # When it can be again, then
    syncs.fail_on = ""
    assert store.send(dicom_object) == [0]
    assert store.knows(dicom_object.sop_instance_uid)
