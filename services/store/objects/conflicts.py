"""The bound of what is kept aside: other content under a known SOP Instance UID."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from services.store.objects.errors import TooManyConflictsError
from services.store.objects.paths import CONFLICTS

#: Files under one UID, files in all, and their bytes.
MAX_OF_UID, MAX_FILES, MAX_BYTES = 10, 1000, 2 << 30


def check_room(root: Path, aside: str, size_bytes: int) -> None:
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
    for files, (uid, file_bytes) in enumerate(_files(root / CONFLICTS), start=1):
        total_bytes += file_bytes
        same_uid += uid == of_uid
        if same_uid >= MAX_OF_UID:
            raise TooManyConflictsError(f"{same_uid} others under this UID are kept aside already")
        if files >= MAX_FILES or total_bytes > MAX_BYTES:
            raise TooManyConflictsError(f"{files} conflicting objects are kept aside already")


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    with suppress(FileNotFoundError), os.scandir(folder) as uids:
        for uid in uids:
            with suppress(NotADirectoryError, FileNotFoundError), os.scandir(uid.path) as entries:
                for entry in entries:
                    yield uid.name, entry.stat(follow_symlinks=False).st_size
