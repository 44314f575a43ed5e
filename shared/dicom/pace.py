"""Whether anything still happens while a peer says of a C-MOVE or C-GET that it is at work."""

from __future__ import annotations

import time

from shared.dicom.errors import Outcome, PeerError
from shared.dicom.sub_operations import SubOperations

#: A peer whose counters say for so long that nothing happens is not waited for, however often it says so.
STALLED_S = 600.0


class Pace:
    """Looks at the counters of pending answers."""

    def __init__(self) -> None:
        self._last = SubOperations()
        self._since = time.monotonic()
        #: What came of it, once they have stood still for too long.
        self.error: PeerError | None = None

    def has_stalled(self, counters: SubOperations) -> bool:
        """Tell whether they have stood still for too long; an answer without any tells nothing."""
        now = time.monotonic()
        if counters != self._last or counters == SubOperations():
            self._last, self._since = counters, now
        elif now - self._since > STALLED_S:
            self.error = PeerError(Outcome.TIMED_OUT, f"nothing was sent for {STALLED_S:g} s")
        return self.error is not None
