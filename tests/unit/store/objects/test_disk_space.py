"""A reserve stays free on the disks of objects and database."""

from __future__ import annotations

import os

import pytest

from services.store.objects.disk_space import DiskSpace
from services.store.objects.errors import OutOfSpaceError


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


def test_a_disk_that_cannot_be_examined_is_left_to_the_write(tmp_path):
    # Given
    space = DiskSpace(tmp_path / "gone", reserve_bytes=1 << 40)
    # When, Then
    space.check()
    assert space.free("objects") is None
