"""Folder and index compared: files that the index misses become known, rows without a file go."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

import structlog

from services.store.index.group_commit import GroupCommit, IndexAwayError
from services.store.index.known_objects import known_paths, remove, rows_after
from services.store.index.reconcile import read_receipt, reconcile
from services.store.objects.durable_folder import ObjectFolder
from services.store.objects.errors import ObjectWriteError
from services.store.objects.paths import sop_instance_uid_of
from shared.database.session import Database
from shared.errors import DatabaseAwayError

log = structlog.get_logger(__name__)

#: Files or rows compared at once.
CHUNK = 500
#: Seconds to wait after a scan that was interrupted, or that another process is doing.
PAUSE_S = 5.0


class FolderScanner:
    """Scans at the start, and again when receipts were given up, in a thread of its own."""

    def __init__(
        self,
        database: Database,
        folder: ObjectFolder,
        committer: GroupCommit,
        wanted: threading.Event,
        *,
        pause_s: float = PAUSE_S,
    ) -> None:
        """Scan whenever `wanted` is set; it is cleared as a scan begins."""
        self._database = database
        self._folder = folder
        self._committer = committer
        self._pause_s = pause_s
        self._wanted = wanted
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scanner", daemon=True)

    def start(self) -> None:
        """Start the thread; the first scan begins at once."""
        self._wanted.set()
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """End the scan in hand after its chunk."""
        self._stopping.set()
        self._wanted.set()
        self._thread.join(grace_s)

    def _run(self) -> None:
        while self._wanted.wait() and not self._stopping.is_set():
            self._wanted.clear()
            try:
                done = self._scan_alone()
            except (DatabaseAwayError, IndexAwayError, ObjectWriteError, OSError) as error:
                log.warning("scan interrupted", error=type(error).__name__)
                done = False
            except Exception:
                log.exception("scan failed")
                done = False
            if not done:
                self._wanted.set()
                self._stopping.wait(self._pause_s)

    def _scan_alone(self) -> bool:
        with self._folder.exclusive("scan") as exclusive:
            if not exclusive:
                return False
            indexed = sum(self._index(paths) for paths in _chunks(self._files()))
            removed = sum(self._remove_gone())
        log.info("scanned", indexed=indexed, removed=removed)
        return True

    def _files(self) -> Iterator[str]:
        """Yield the paths of what can be objects, below the folder."""
        for study in _folders(self._folder.root, ""):
            for series in _folders(self._folder.root, study):
                for entry in _entries(self._folder.root, series):
                    if not entry.is_symlink():
                        yield f"{series}/{entry.name}"

    def _index(self, paths: list[str]) -> int:
        by_uid = {uid: path for path in paths if (uid := sop_instance_uid_of(PurePosixPath(path)))}
        if self._stopping.is_set() or not by_uid:
            return 0
        known = known_paths(self._database, list(by_uid))
        missing = [path for uid, path in by_uid.items() if known.get(uid) != path]
        indexed = 0
        for path in missing:
            receipt = read_receipt(self._folder, path)
            if receipt is None:
                log.warning("file is cut off, or not the object that belongs there", path=path)
                continue
            try:
                self._folder.sync_name(path)
                reconcile(self._folder, self._committer, receipt)
            except ObjectWriteError as error:
                log.warning("file not indexed", path=path, error=str(error))
            else:
                indexed += 1
        return indexed

    def _remove_gone(self) -> Iterator[int]:
        last = ""
        while not self._stopping.is_set() and (rows := rows_after(self._database, last, CHUNK)):
            gone = [row for row in rows if not self._folder.has(row.path)]
            if gone:
                log.warning("objects gone from disk", rows=len(gone))
                yield remove(self._database, gone)
            last = rows[-1].sop_instance_uid


def _folders(root: Path, below: str) -> Iterator[str]:
    for entry in _entries(root, below):
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            yield f"{below}/{entry.name}" if below else entry.name


def _entries(root: Path, below: str) -> Iterator[os.DirEntry[str]]:
    """Yield what a folder holds; one that cannot be read does not end the scan of the others."""
    try:
        with os.scandir(root / below) as entries:
            yield from entries
    except OSError as error:
        log.warning("folder not scanned", folder=below, error=type(error).__name__)


def _chunks(paths: Iterator[str]) -> Iterator[list[str]]:
    while chunk := list(islice(paths, CHUNK)):
        yield chunk
