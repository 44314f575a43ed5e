"""When a node that cannot be reached is tried again: by one try at a time, over the whole cluster. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.backoff import Backoff
from shared.dicom.errors import Outcome, PeerError

#: Pauses between two tries of a node that is away.
PAUSES = Backoff(1.0, 30.0)
#: Seconds between two tries of different nodes that are away, and the longest pause that follows from it: a
#: try costs about as much of the processor as a task, and a hospital without network has hundreds of them.
GAP_S, LONGEST_OF_MANY_S = 0.3, 60.0
#: Time after which it is known, mostly, how a try ended.
TRY_TAKES = timedelta(seconds=2)
#: Characters of the words that are kept of an error.
DETAIL_LENGTH = 400


@dataclass(frozen=True, slots=True)
class Outage:
    """A node that could not be reached: how often in a row, when and how at last, and when to try again."""

    failures: int
    failed_at: datetime
    next_try_at: datetime
    outcome: Outcome
    detail: str
    #: Somebody tries it; whoever dies meanwhile does so until then.
    trying_until: datetime | None = None

    def retry_at(self, now: datetime) -> datetime | None:
        """Return when it is worth coming back; None: it may be tried now."""
        if now < self.next_try_at:
            return self.next_try_at
        if self.trying_until is not None and now < self.trying_until:
            return now + TRY_TAKES
        return None

    def error(self, retry_at: datetime) -> AwayError:
        """Return the error of whoever may not try it now: that of the last try."""
        return AwayError(self.outcome, self.detail, retry_at)


class AwayError(PeerError):
    """A node could not be reached shortly before, and is not tried now; `retry_at`: when it may be."""

    def __init__(self, outcome: Outcome, detail: str, retry_at: datetime) -> None:
        # Who is away and rejects associations does so for congestion.
        super().__init__(outcome, detail, congested=outcome is Outcome.REJECTED, associating=True)
        self.retry_at = retry_at


def is_outage(error: BaseException) -> bool:
    """Return whether an association failed because its peer was not reached at all."""
    return isinstance(error, PeerError) and error.associating and error.peer_away and not error.congested


def failed(
    before: Outage | None,
    error: PeerError,
    *,
    began: datetime,
    now: datetime,
    jitter: float,
    others_away: int = 0,
) -> Outage:
    """Return what follows from a try that failed; tries side by side count as one.

    `jitter`, from 0 to 1, spreads the tries of many nodes; the more are away, the rarer each is tried.
    """
    if before is not None and before.failed_at >= began:
        return replace(before, outcome=error.outcome, detail=error.detail[:DETAIL_LENGTH])
    failures = before.failures if before is not None else 0
    pause_s = max(PAUSES.pause_s(failures), min(LONGEST_OF_MANY_S, others_away * GAP_S))
    pause = timedelta(seconds=pause_s * (0.75 + jitter / 2))
    return Outage(failures + 1, now, now + pause, error.outcome, error.detail[:DETAIL_LENGTH])
