"""The names of files, safe on disk: their folders synced, and once the folders above them."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

#: More folders than this are not remembered as safe; a forgotten one costs two syncs.
_MAX_REMEMBERED = 20_000


class DirectorySync:
    """Syncs folders below a root; safe for many threads."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        #: Folders whose own names are safe.
        self._safe: set[str] = set()
        self._lock = threading.Lock()

    def made(self, folder: Path) -> None:
        """Take note that a folder was made, perhaps again: its name is not safe yet."""
        with self._lock:
            self._safe.discard(folder.relative_to(self._root).as_posix())

    def sync(self, path: str) -> None:
        """Let the name of this file, and of the folders above it, survive a power failure.

        Raises:
            OSError: a folder cannot be synced.
        """
        folder = _above(path)
        with suppress(FileNotFoundError):  # taken away meanwhile: there is no name to keep
            _sync_folder(f"{self._root}/{folder}")
            # The root's own name is not ours.
            while folder and folder not in self._safe:
                above = _above(folder)
                _sync_folder(f"{self._root}/{above}")
                self._remember(folder)
                folder = above

    def _remember(self, folder: str) -> None:
        with self._lock:
            if len(self._safe) >= _MAX_REMEMBERED:
                self._safe.clear()
            self._safe.add(folder)


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
