"""A file being written, in a folder that nobody else reads."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from contextlib import suppress

from shared.dicom.upper_layer.data_elements import Buffer


def _no_check() -> None:
    """Assume that there is space."""


class TempFile:
    """The head and, bit by bit, the data set of one object."""

    def __init__(
        self, path: str, head: bytes, data_set: Buffer = b"", *, check_space: Callable[[], None] = _no_check
    ) -> None:
        """Make the file, with the data set as far as it is there.

        Raises:
            OSError: it cannot be made or written; nothing of it stays.
        """
        self.path = path
        self._check_space = check_space
        self.size_bytes = 0
        self._head_bytes = len(head)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            written = os.writev(self._descriptor, (head, data_set))
            self.size_bytes = written
            if written < len(head) + len(data_set):
                self.write(memoryview(head)[written:])
                self.write(memoryview(data_set)[max(0, written - len(head)) :])
        except OSError:
            self.discard()
            raise

    def write(self, data: Buffer) -> None:
        """Append bytes.

        Raises:
            OSError: they cannot be written.
            OutOfSpaceError: `check_space` found that there is too little.
        """
        self._check_space()
        rest = memoryview(data)
        self.size_bytes += len(rest)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def data_set(self) -> memoryview:
        """Return the data set; its pages belong to the kernel, not to this process."""
        mapped = mmap.mmap(self._descriptor, 0, prot=mmap.PROT_READ)
        return memoryview(mapped)[self._head_bytes :]

    def sync(self) -> None:
        """Let what was written survive a power failure.

        Raises:
            OSError: it does not.
        """
        os.fsync(self._descriptor)

    def discard(self) -> None:
        """Close the file and take its name away; what has another name by now stays under that."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            with suppress(OSError):
                os.unlink(self.path)  # noqa: PTH108 - for every object; a Path takes longer than the call
