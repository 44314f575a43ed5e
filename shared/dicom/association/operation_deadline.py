"""How long one operation with a peer may take as a whole, however often the peer shows signs of life.

A DIMSE time-out begins anew with each response: with that alone, a peer that sends a little now and then
could hold a worker for ever. The figures are multiples of the DIMSE time-out: a slow PACS has a longer one.
"""

from __future__ import annotations

import math
import time

#: DIMSE time-outs without progress, in all, after which an operation is ended.
IDLE_TIMEOUTS = 10
#: DIMSE time-outs for an operation whose pending responses carry no counters, so that none show progress.
UNCOUNTED_TIMEOUTS = 30
#: DIMSE time-outs for a whole C-FIND, and for a whole C-MOVE or C-GET.
FIND_LONGEST_TIMEOUTS, MOVE_LONGEST_TIMEOUTS = 60, 120
#: Seconds that each match adds to the time without progress: a peer may send one a second for long.
MATCH_CREDIT_S = 1.0
#: Seconds for the next response to a C-FIND after one that holds no match: some peers send their final
#: response as a pending one, and then nothing.
AFTER_NO_MATCH_S = 3.0

#: Seconds for a peer to end an operation after C-CANCEL, before the association is aborted: what is cancelled
#: or paused sends nothing more within 2 s.
CANCEL_GRACE_S = 1.2


class OperationDeadline:
    """Patience with one operation: waiting uses it up, and progress gives back of it, up to the whole."""

    def __init__(self, patience_s: float, longest_s: float) -> None:
        now = time.monotonic()
        self._patience_s = patience_s
        self._end = now + longest_s
        self._patience_end = now + patience_s
        self._hurry_end = math.inf

    @property
    def at(self) -> float:
        """When the operation has to be over, in monotonic seconds."""
        return min(self._end, self._patience_end, self._hurry_end)

    @property
    def is_over(self) -> bool:
        """Whether the operation has taken too long."""
        return time.monotonic() >= self.at

    def hurry(self, within_s: float) -> None:
        """Let the operation be over this soon, unless there is progress before."""
        self._hurry_end = min(self._hurry_end, time.monotonic() + within_s)

    def end(self) -> None:
        """Let the operation be over."""
        self._end = time.monotonic()

    def progressed(self, credit_s: float | None = None) -> None:
        """Note progress that adds `credit_s` seconds; None: as many as there were at first."""
        self._hurry_end = math.inf
        full = time.monotonic() + self._patience_s
        self._patience_end = full if credit_s is None else min(full, self._patience_end + credit_s)


def find_deadline(response_s: float) -> OperationDeadline:
    """Return the deadline of a C-FIND that begins now, from the DIMSE time-out."""
    return OperationDeadline(IDLE_TIMEOUTS * response_s, FIND_LONGEST_TIMEOUTS * response_s)
