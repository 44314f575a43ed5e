"""A reserve stays free on the disks of objects and database, and what is kept aside is bounded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.store.objects import disk_space
from services.store.objects.disk_space import (
    AMPLE_BYTES,
    AMPLE_S,
    MAX_CONFLICTS_OF_UID,
    DiskSpace,
    check_conflicts,
)
from services.store.objects.errors import OutOfSpaceError, TooManyConflictsError


def statvfs(free_blocks: int, *, blocks: int = 1000, flags: int = 0) -> os.statvfs_result:
    """Return a file system of blocks of 1 MiB."""
    size = 1 << 20
    return os.statvfs_result((size, size, blocks, free_blocks, free_blocks, 0, 0, 0, flags, 255))


@pytest.mark.parametrize(
    ("free_mib", "reserve_mib", "is_short"),
    [(50, 20, False), (20, 20, True), (0, 0, False), (1, 0, False), (101, 500, False), (100, 500, True)],
)
def test_space_is_short_at_the_reserve_or_a_tenth(tmp_path, monkeypatch, free_mib, reserve_mib, is_short):
    # Given a disk of 1000 MiB
    monkeypatch.setattr(os, "statvfs", lambda _folder: statvfs(free_mib))
    space = DiskSpace(tmp_path, reserve_bytes=reserve_mib << 20)
    # When
    free = space.free("objects")
    # Then
    assert free is not None
    assert free.is_short is is_short


def test_the_full_disk_is_named(tmp_path, monkeypatch):
    # Given two disks
    objects, database = tmp_path / "objects", tmp_path / "database"
    free = {objects: statvfs(500), database: statvfs(3)}
    monkeypatch.setattr(os, "statvfs", free.__getitem__)
    space = DiskSpace(objects, database, reserve_bytes=10 << 20)
    # When, Then
    with pytest.raises(OutOfSpaceError, match="the disk of the database is full: 3 MiB free"):
        space.check()


@pytest.mark.parametrize("free_mib", [100, 5000])
def test_a_disk_that_fills_is_noticed_in_time(tmp_path, monkeypatch, free_mib):
    # Given a disk on which there was some space, or a lot of it
    now = [50.0]
    monkeypatch.setattr(disk_space, "monotonic", lambda: now[0])
    monkeypatch.setattr(os, "statvfs", lambda _folder: statvfs(free_mib, blocks=100_000))
    space = DiskSpace(tmp_path, reserve_bytes=10 << 20)
    space.check()
    # When
    monkeypatch.setattr(os, "statvfs", lambda _folder: statvfs(3, blocks=100_000))
    now[0] += AMPLE_S if free_mib << 20 >= AMPLE_BYTES else 0
    # Then
    with pytest.raises(OutOfSpaceError):
        space.check()


def test_a_disk_that_cannot_be_examined_is_left_to_the_write(tmp_path):
    # Given
    space = DiskSpace(tmp_path / "gone", reserve_bytes=1 << 40)
    # When, Then
    space.check()
    assert space.free("objects") is None


def aside(root: Path, uid: str, number: int, size_bytes: int = 10) -> str:
    """Put a file aside and return its path."""
    path = f".conflicts/{uid}/{number:064x}.dcm"
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(bytes(size_bytes))
    return path


def test_a_folder_without_conflicts_has_room(tmp_path):
    # When, Then
    check_conflicts(tmp_path, ".conflicts/1.2.3/a.dcm", 10)


def test_one_uid_has_a_bound_of_its_own(tmp_path):
    # Given
    for number in range(MAX_CONFLICTS_OF_UID):
        aside(tmp_path, "1.2.3", number)
    # When, Then
    with pytest.raises(TooManyConflictsError, match="10 others under this UID"):
        check_conflicts(tmp_path, ".conflicts/1.2.3/a.dcm", 10)
    check_conflicts(tmp_path, ".conflicts/1.2.4/a.dcm", 10)


@pytest.mark.parametrize(("files", "size_bytes"), [(20, 1), (5, 300)])
def test_all_uids_together_have_a_bound_of_files_and_bytes(tmp_path, monkeypatch, files, size_bytes):
    # Given
    monkeypatch.setattr(disk_space, "MAX_CONFLICTS", 20)
    monkeypatch.setattr(disk_space, "MAX_CONFLICT_BYTES", 1500)
    for number in range(files):
        aside(tmp_path, f"1.2.{number}", number, size_bytes)
    # When, Then
    with pytest.raises(TooManyConflictsError, match=f"{files} conflicting objects"):
        check_conflicts(tmp_path, ".conflicts/1.3/a.dcm", 10)


def test_what_is_kept_aside_already_may_come_again(tmp_path):
    # Given
    paths = [aside(tmp_path, "1.2.3", number) for number in range(MAX_CONFLICTS_OF_UID)]
    # When, Then
    check_conflicts(tmp_path, paths[0], 10)
