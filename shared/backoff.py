"""Pauses between tries: each is twice the one before, up to a longest. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

#: More doublings than this make no difference, and a float holds no 2 ** 1024.
_MAX_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class Backoff:
    """The first and the longest pause, in seconds."""

    first_s: float
    longest_s: float

    def pause_s(self, failures: int) -> float:
        """Return the pause in seconds after a failure that `failures` others came before."""
        return min(self.longest_s, self.first_s * 2.0 ** min(max(failures, 0), _MAX_DOUBLINGS))

    def pauses(self) -> Iterator[float]:
        """Return the pauses in seconds, one after the other; they never end."""
        return (self.pause_s(failures) for failures in itertools.count())
