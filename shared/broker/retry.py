"""What to do with a delivery whose handling failed: pure, so that the waiting is somebody else's."""

from __future__ import annotations

from dataclasses import dataclass

from shared.backoff import Backoff
from shared.errors import PermanentError, RetriableError

#: Pauses between tries of one delivery.
HELD = Backoff(0.5, 15.0)

#: Seconds for which a delivery is kept in hand at most: RabbitMQ closes the channel of one that stays unacked
#: for 30 minutes, and ours are meant to end within five.
LONGEST_HOLD_S = 240.0

#: Tries on one delivery, however quickly each of them fails.
MAX_ATTEMPTS = 30

#: Share of a pause that jitter may take away, so that workers do not all come back at once.
JITTER_SHARE = 0.2

#: Longest reason that travels with a dead letter, in characters.
REASON_LENGTH = 300


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Keep the delivery in hand and try again after a pause."""

    pause_s: float


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Requeue: it was held long enough, somebody else may have more luck."""


@dataclass(frozen=True, slots=True)
class Bury:
    """Dead-letter: another try with the same message gives the same result."""

    reason: str


@dataclass(frozen=True, slots=True)
class Defect:
    """Nobody foresaw this error; whoever runs the handler logs it and counts deliveries."""


Decision = TryAgain | GiveBack | Bury | Defect


def decide_retry(error: Exception, *, attempt: int, held_s: float, jitter: float) -> Decision:
    """Decide what follows the failure of attempt number `attempt` (from 1).

    `held_s` is the time since the first attempt began; `jitter`, between 0 and 1, is drawn once for a
    delivery, so that its pauses never shrink.
    """
    if isinstance(error, PermanentError):
        return Bury(shorten(str(error) or type(error).__name__))
    if not isinstance(error, RetriableError):
        return Defect()
    pause_s = plan_pause_s(attempt, jitter)
    if attempt >= MAX_ATTEMPTS or held_s + pause_s > LONGEST_HOLD_S:
        return GiveBack()
    return TryAgain(pause_s)


def plan_pause_s(attempt: int, jitter: float) -> float:
    """Return the pause in seconds after attempt number `attempt` (from 1)."""
    return HELD.pause_s(attempt - 1) * (1 - JITTER_SHARE * jitter)


def shorten(reason: str) -> str:
    """Return a reason fit for a header: one printable line of bounded length."""
    line = "".join(sign if sign.isprintable() else " " for sign in reason)
    return line if len(line) <= REASON_LENGTH else line[: REASON_LENGTH - 1] + "…"
