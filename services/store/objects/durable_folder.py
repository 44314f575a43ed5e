"""Keeping objects on disk: whole or not at all, each SOP Instance UID once, safe when `store` returns."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from itertools import count
from pathlib import Path, PurePosixPath
from stat import S_ISLNK

import structlog

from services.store.objects.directory_fsync import DirectorySync
from services.store.objects.disk_space import DiskSpace, check_conflicts
from services.store.objects.errors import ObjectWriteError
from services.store.objects.identity import is_header_file
from services.store.objects.kept import Conflict, Duplicate, ReceivedObject, Replaced, Stored
from services.store.objects.paths import INCOMING, conflict_path, object_file
from services.store.objects.temp_file import TempFile
from shared.dicom.part10 import digest_of, file_head
from shared.dicom.upper_layer.data_elements import Buffer

log = structlog.get_logger(__name__)

#: The file system knows no hard links.
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
#: A folder may vanish between its making and its use, but not for ever.
_ATTEMPTS = 5
#: Lock of the whole folder, and, in the folder of a process, the lock that it holds while it lives.
_LOCK = "lock"
#: End of the name of a file that is about to be removed, and what stands in it for a slash: no UID has it.
_LEAVING, _SEPARATOR = ".leaving", "_"


class _Occupant(Enum):
    """What lies where an object belongs, if it is not the object itself."""

    NOTHING = "nothing"
    OTHER_BYTES = "other bytes"
    #: Other bytes, and they are a header.
    HEADER = "header"


_NOTHING, _OTHER_BYTES, _HEADER = _Occupant.NOTHING, _Occupant.OTHER_BYTES, _Occupant.HEADER


class ObjectFolder:
    """The folder of objects; safe for many threads and for several processes side by side."""

    def __init__(self, root: Path, space: DiskSpace | None = None) -> None:
        self.root = root
        self.space = space or DiskSpace(root)
        self._root = str(root)
        self._numbers = count()
        self._names = DirectorySync(root)
        self._incoming = root / INCOMING / uuid.uuid4().hex
        self._own_lock = -1
        self._open_lock = threading.Lock()

    def open(self) -> None:
        """Make the folder, clear what dead processes left half-written.

        Raises:
            ObjectWriteError: it cannot be made or written.
        """
        with self._open_lock, _as_write_errors():
            (self.root / INCOMING).mkdir(parents=True, exist_ok=True)
            with self._locked():
                self._clear_dead()
                self._incoming.mkdir()
                self._own_lock = os.open(self._incoming / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(self._own_lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Give up the part of this process."""
        with self._open_lock:
            if self._own_lock < 0:
                return
            shutil.rmtree(self._incoming, ignore_errors=True)
            os.close(self._own_lock)
            self._own_lock = -1

    def store(self, received: ReceivedObject) -> Stored | Replaced | Duplicate | Conflict:
        """Write an object, so that it and its name survive a power failure.

        A whole object takes the place of a header; a header takes the place of nothing.

        Raises:
            OutOfSpaceError: no space is left; nothing of the object is visible.
            ObjectWriteError: it could not be written for another reason.
        """
        identity = received.identity
        path = object_file(
            identity.study_instance_uid, identity.series_instance_uid, identity.sop_instance_uid
        )
        sha256 = hashlib.sha256(received.data_set).hexdigest()
        with _as_write_errors():
            kept = self._store(received, path, sha256)
            self._names.sync(path)
        return kept

    def _store(
        self, received: ReceivedObject, path: str, sha256: str
    ) -> Stored | Replaced | Duplicate | Conflict:
        self.space.check()
        kept = self._kept(path, sha256, received) if self._is_taken(path) else _NOTHING
        if isinstance(kept, Duplicate):
            return kept
        with self._written(received) as temp_file:
            for _ in range(_ATTEMPTS):
                if kept is _NOTHING and self._place(temp_file.path, path):
                    return Stored(path, sha256, temp_file.size_bytes)
                if kept is _HEADER and self._replace_header(temp_file.path, path):
                    return Replaced(path, sha256, temp_file.size_bytes)
                kept = self._kept(path, sha256, received)
                if isinstance(kept, Duplicate):
                    return kept
                if kept is _OTHER_BYTES:
                    break
            else:
                raise ObjectWriteError("the file of the object vanishes again and again")
            aside = str(conflict_path(received.identity.sop_instance_uid, sha256))
            self._is_taken(aside)
            self._place_aside(temp_file.path, aside)
            return Conflict(path, sha256, self._size(path), aside)

    def _kept(self, path: str, sha256: str, received: ReceivedObject) -> Duplicate | _Occupant:
        """Return what lies at a path; what is enough is marked as come again, so that it stays."""
        target = self._at(path)
        if not os.access(target, os.F_OK):
            return _NOTHING
        try:
            there = digest_of(self.root / path)
            same = there == sha256
            if not same and not (received.identity.is_header and there is not None):
                return _HEADER if is_header_file(self.root / path) else _OTHER_BYTES
            size_bytes = self._size(path)
            # `remove` looks at this time after it has moved the file away: one of both notices the other.
            os.utime(target)
        except FileNotFoundError:
            return _NOTHING
        return Duplicate(path, there or "", size_bytes, first=not same)

    def _replace_header(self, file: str, path: str) -> bool:
        """Let a whole object take the place of a header at once; False if there is none any more."""
        with self._locked():
            try:
                if not is_header_file(self.root / path):
                    return False
            except FileNotFoundError:
                return False
            Path(file).rename(self._at(path))
        return True

    def remove(self, path: str, received_before: float) -> bool:
        """Remove a file; False if it came again since this time (seconds of the epoch), and stays.

        Raises:
            ObjectWriteError: it cannot be removed.
        """
        # Its path is in its name: if this process dies here, the next one that opens the folder puts it back.
        leaving = f"{self._incoming}/{path.replace('/', _SEPARATOR)}{_LEAVING}"
        with _as_write_errors():
            try:
                if Path(self._at(path)).stat().st_mtime >= received_before:
                    return False
                Path(self._at(path)).rename(leaving)
            except FileNotFoundError:
                return True
            if Path(leaving).stat().st_mtime >= received_before:
                self._place(leaving, path)
                Path(leaving).unlink(missing_ok=True)
                return False
            Path(leaving).unlink()
            self._remove_empty(path)
        return True

    def _remove_empty(self, path: str) -> None:
        """Remove the folders of a series and a study if nothing is left in them."""
        for folder in list(PurePosixPath(path).parents)[:-1]:
            try:
                (self.root / folder).rmdir()
            except OSError:
                return

    def _is_taken(self, path: str) -> bool:
        """Return whether anything lies at a path; nothing is written outside of the folder.

        Raises:
            ObjectWriteError: the path leads through a symbolic link.
        """
        position = path.find("/")
        try:
            while position >= 0:
                if S_ISLNK(os.lstat(self._at(path[:position])).st_mode):
                    raise ObjectWriteError("a folder of the object is a symbolic link")
                position = path.find("/", position + 1)
            if S_ISLNK(os.lstat(self._at(path)).st_mode):
                raise ObjectWriteError("the place of the object is taken by a symbolic link")
        except FileNotFoundError:
            return False
        return True

    def sync_name(self, path: str) -> None:
        """Let the name of a file survive a power failure.

        Raises:
            ObjectWriteError: a folder cannot be synced.
        """
        with _as_write_errors():
            self._names.sync(path)

    def set_aside(self, path: str, sop_instance_uid: str, sha256: str) -> str:
        """Move a kept object to the conflicts; returns where it lies then.

        Raises:
            ObjectWriteError: it cannot be moved.
        """
        aside = str(conflict_path(sop_instance_uid, sha256))
        with _as_write_errors():
            self._place_aside(self._at(path), aside)
            Path(self._at(path)).unlink(missing_ok=True)
            self._names.sync(path)
        return aside

    def has(self, path: str) -> bool:
        """Return whether a file lies there."""
        return bool(path) and (self.root / path).is_file()

    @contextmanager
    def exclusive(self, purpose: str) -> Iterator[bool]:
        """Hold a lock that only one process has at a time; gives False at once if another has it."""
        with _lock_file(self.root / INCOMING / f"{purpose}.{_LOCK}") as descriptor:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _at(self, path: str) -> str:
        # Not pathlib, which would take longer than the file system.
        return f"{self._root}/{path}"

    def _size(self, path: str) -> int:
        return (self.root / path).stat().st_size

    def open_temp_file(
        self,
        *,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        source_ae_title: str,
        data_set: Buffer = b"",
    ) -> TempFile:
        """Make a file in the folder of this process; write its head, and what is there of the data set.

        Raises:
            OutOfSpaceError: no space is left.
            ObjectWriteError: it cannot be made for another reason.
        """
        head = file_head(
            sop_class_uid=sop_class_uid,
            sop_instance_uid=sop_instance_uid,
            transfer_syntax_uid=transfer_syntax_uid,
            source_ae_title=source_ae_title,
        )
        self.space.check()
        with _as_write_errors():
            return TempFile(
                f"{self._incoming}/{next(self._numbers)}.part", head, data_set, check_space=self.space.check
            )

    @contextmanager
    def _written(self, received: ReceivedObject) -> Iterator[TempFile]:
        """Write and sync a file in the folder of this process; it is gone at the end."""
        temp_file = received.temp_file or self._temp_file_with(received)
        try:
            temp_file.sync()
            yield temp_file
        finally:
            temp_file.discard()

    def _temp_file_with(self, received: ReceivedObject) -> TempFile:
        return self.open_temp_file(
            sop_class_uid=received.identity.sop_class_uid,
            sop_instance_uid=received.identity.sop_instance_uid,
            transfer_syntax_uid=received.transfer_syntax_uid,
            source_ae_title=received.calling_ae_title,
            data_set=received.data_set,
        )

    def _place_aside(self, file: str, aside: str) -> None:
        # A lock of its own: naming a file may take that of the folder.
        with _lock_file(self.root / INCOMING / f"conflicts.{_LOCK}") as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            check_conflicts(self.root, aside, Path(file).stat().st_size)
            self._place(file, aside)
        self._names.sync(aside)

    def _place(self, file: str, path: str) -> bool:
        """Give the file this name, too, unless the name is taken; then False."""
        target = self._at(path)
        for _ in range(_ATTEMPTS):
            try:
                self._name(file, target)
            except FileExistsError:
                return False
            except FileNotFoundError:
                self._make_folder(Path(target).parent)
            else:
                return True
        raise ObjectWriteError("the folder of the object vanishes again and again")

    def _name(self, file: str, target: str) -> None:
        try:
            os.link(file, target)
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            with self._locked():
                if Path(target).exists():
                    raise FileExistsError from None
                Path(file).rename(target)

    def _make_folder(self, folder: Path) -> None:
        if folder == self.root or folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        self._names.made(folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with _lock_file(self.root / INCOMING / _LOCK) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield

    def _clear_dead(self) -> None:
        for folder in (self.root / INCOMING).iterdir():
            if folder.is_dir() and _is_dead(folder):
                self._put_back(folder)
                files = sum(1 for _ in folder.glob("*.part"))
                shutil.rmtree(folder)
                log.info("cleared", folder=folder.name, half_written=files)

    def _put_back(self, dead: Path) -> None:
        """Put back what a process was about to remove when it died: it may have come again meanwhile."""
        for file in dead.glob(f"*{_LEAVING}"):
            self._place(str(file), file.name.removesuffix(_LEAVING).replace(_SEPARATOR, "/"))


@contextmanager
def _as_write_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ObjectWriteError.of(error) from error


@contextmanager
def _lock_file(path: Path) -> Iterator[int]:
    # Each opening is a lock holder of its own, so that threads of one process exclude each other, too.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_dead(folder: Path) -> bool:
    with _lock_file(folder / _LOCK) as descriptor, suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
