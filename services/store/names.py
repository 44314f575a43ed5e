"""The names of files, safe on disk: one sync of a folder for all that came into it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

#: More folders than this are not remembered as safe; a forgotten one costs two syncs.
_MAX_REMEMBERED = 20_000


class NamesOnDisk:
    """Syncs folders below a root; safe for many threads."""

    def __init__(self, root: Path) -> None:
        self._root = root
        #: Folders whose own names are safe.
        self._safe: set[PurePosixPath] = set()
        self._lock = threading.Lock()

    def made(self, folder: Path) -> None:
        """Take note that a folder was made, perhaps again: its name is not safe yet."""
        with self._lock:
            self._safe.discard(PurePosixPath(folder.relative_to(self._root)))

    def sync(self, paths: Iterable[str]) -> None:
        """Let the names of these files, and of the folders above them, survive a power failure.

        Raises:
            OSError: a folder cannot be synced.
        """
        for folder in {PurePosixPath(path).parent for path in paths}:
            with suppress(FileNotFoundError):  # taken away meanwhile: there is no name to keep
                self._sync(folder)

    def _sync(self, folder: PurePosixPath) -> None:
        _sync_folder(self._root / folder)
        # The root's own name is not ours.
        while folder.parts and folder not in self._safe:
            _sync_folder(self._root / folder.parent)
            with self._lock:
                if len(self._safe) >= _MAX_REMEMBERED:
                    self._safe.clear()
                self._safe.add(folder)
            folder = folder.parent


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
