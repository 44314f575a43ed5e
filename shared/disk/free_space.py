"""The space of a file system, with a reserve that stays free for what else lies there."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: The reserve is at most this part of a file system, so that a small one can be used, too.
_LARGEST_PART = 10


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """Bytes of one file system that are free for this process, and the reserve among them."""

    free_bytes: int
    reserve_bytes: int
    read_only: bool

    @property
    def is_short(self) -> bool:
        """Whether no more than the reserve is left; never without a reserve: then the write fails itself."""
        return 0 < self.reserve_bytes >= self.free_bytes


def free_space(folder: Path, reserve_bytes: int) -> FreeSpace | None:
    """Return the space where a folder lies; None where it is not known."""
    with suppress(OSError):
        status = os.statvfs(folder)
        return FreeSpace(
            free_bytes=status.f_bavail * status.f_frsize,
            reserve_bytes=min(reserve_bytes, status.f_blocks * status.f_frsize // _LARGEST_PART),
            read_only=bool(status.f_flag & os.ST_RDONLY),
        )
    return None
