"""What may still be written: a reserve of each disk stays free, and conflicts are bounded.

Objects and database may lie on two file systems.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from time import monotonic

from services.store.objects.errors import OutOfSpaceError, TooManyConflictsError
from services.store.objects.paths import CONFLICTS
from shared.disk.free_space import FreeSpace, free_space

#: Bytes beside the reserve of each disk with which nothing is examined again for so many seconds: no machine
#: writes that much in that time.
AMPLE_BYTES, AMPLE_S = 2 << 30, 0.1
#: Objects with other content that are kept aside under one UID, in all, and their bytes.
MAX_CONFLICTS_OF_UID, MAX_CONFLICTS, MAX_CONFLICT_BYTES = 10, 1000, 2 << 30


class DiskSpace:
    """Keeps a reserve free, so that what shares a disk with the objects can go on; safe for many threads."""

    def __init__(self, objects: Path, database: Path | None = None, *, reserve_bytes: int = 0) -> None:
        """`database` is the folder of a SQLite database; None for one on a server."""
        self.objects = objects
        self._folders: Mapping[str, Path] = {"objects": objects} | (
            {"database": database} if database is not None else {}
        )
        self._reserve_bytes = reserve_bytes
        self._ample_until = 0.0

    def check(self) -> None:
        """Refuse to write an object where only the reserve is left.

        Raises:
            OutOfSpaceError: names the disk.
        """
        now = monotonic()
        if now < self._ample_until:
            return
        if shortage := self.shortage():
            raise OutOfSpaceError(shortage)
        if all(map(self._is_ample, self._folders)):
            self._ample_until = now + AMPLE_S

    def _is_ample(self, name: str) -> bool:
        space = self.free(name)
        return space is not None and space.free_bytes - space.reserve_bytes >= AMPLE_BYTES

    def shortage(self) -> str:
        """Return which disk is full, or nothing."""
        for name in self._folders:
            space = self.free(name)
            if space is not None and space.is_short:
                return f"the disk of the {name} is full: {space.free_bytes >> 20} MiB free"
        return ""

    def free(self, name: str) -> FreeSpace | None:
        """Return the space on the disk of `objects` or `database`; None where it is not known."""
        folder = self._folders.get(name)
        return None if folder is None else free_space(folder, self._reserve_bytes)


def check_conflicts(root: Path, aside: str, size_bytes: int) -> None:
    """Refuse another file below the folder of conflicts where there are too many.

    The folder is counted each time: it is bounded, and conflicts are rare.

    Raises:
        TooManyConflictsError: names the bound.
        OSError: the folder cannot be read.
    """
    if (root / aside).exists():
        return
    of_uid = PurePosixPath(aside).parent.name
    total_bytes, same_uid = size_bytes, 0
    for files, (uid, file_bytes) in enumerate(_conflicts(root / CONFLICTS), start=1):
        total_bytes += file_bytes
        same_uid += uid == of_uid
        if same_uid >= MAX_CONFLICTS_OF_UID:
            raise TooManyConflictsError(f"{same_uid} others under this UID are kept aside already")
        if files >= MAX_CONFLICTS or total_bytes > MAX_CONFLICT_BYTES:
            raise TooManyConflictsError(f"{files} conflicting objects are kept aside already")


def _conflicts(folder: Path) -> Iterator[tuple[str, int]]:
    with suppress(FileNotFoundError), os.scandir(folder) as uids:
        for uid in uids:
            with suppress(NotADirectoryError, FileNotFoundError), os.scandir(uid.path) as entries:
                for entry in entries:
                    yield uid.name, entry.stat(follow_symlinks=False).st_size
