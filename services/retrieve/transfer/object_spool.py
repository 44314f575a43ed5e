"""Where objects of a C-GET lie on their way to the store node: in files without a name."""

from __future__ import annotations

import errno
import mmap
import tempfile
from io import BytesIO
from pathlib import Path
from typing import IO

from shared.disk.free_space import free_space

#: A smaller object stays in memory.
MEMORY_BYTES = 1 << 20


class ObjectSpool:
    """Opens files below a folder; the reserve of its disk stays free for the database and the rest."""

    def __init__(self, folder: Path, reserve_bytes: int) -> None:
        self._folder = folder
        self._reserve_bytes = reserve_bytes

    def open(self) -> SpoolFile:
        """Open a file, which is gone when it is closed, or when this process ends."""
        return SpoolFile(self)

    def new_file(self) -> IO[bytes]:
        """Make the file on disk.

        Raises:
            OSError: it cannot be made, or only the reserve is free.
        """
        self.check()
        return tempfile.TemporaryFile(dir=self._folder)

    def check(self) -> None:
        """Check that there is more than the reserve.

        Raises:
            OSError: there is not; names the folder.
        """
        space = free_space(self._folder, self._reserve_bytes)
        if space is not None and space.is_short:
            text = f"the disk of the data folder is full: {space.free_bytes >> 20} MiB free"
            raise OSError(errno.ENOSPC, text)


class SpoolFile:
    """One object: in memory while it is small, then on disk."""

    def __init__(self, spool: ObjectSpool) -> None:
        self._spool = spool
        self._file: IO[bytes] = BytesIO()
        self._size_bytes = 0
        self._on_disk = False

    def write(self, data: bytes, /) -> int:
        """Append bytes.

        Raises:
            OSError: there is no space for them.
        """
        self._size_bytes += len(data)
        if not self._on_disk and self._size_bytes > MEMORY_BYTES:
            self._move_to_disk()
        if self._on_disk:
            self._spool.check()
        return self._file.write(data)

    def _move_to_disk(self) -> None:
        memory, self._file = self._file, self._spool.new_file()
        self._on_disk = True
        with memory:
            memory.seek(0)
            self._file.write(memory.read())

    def seek(self, offset: int, /) -> int:
        """Go to a place."""
        return self._file.seek(offset)

    def read(self, size: int, /) -> bytes:
        """Return the next bytes."""
        return self._file.read(size)

    def getbuffer(self) -> memoryview:
        """Return a view of all that was written; of what is on disk, pages that are examined take memory."""
        if isinstance(self._file, BytesIO):
            return self._file.getbuffer()
        self._file.flush()
        return memoryview(mmap.mmap(self._file.fileno(), 0, prot=mmap.PROT_READ))

    def close(self) -> None:
        """Give it up."""
        self._file.close()
