"""What to do after a failure of a task: pure decisions."""

from __future__ import annotations

from dataclasses import dataclass

from shared.backoff import Backoff

#: Pauses while waiting for a peer that is away or busy.
AWAY = Backoff(1.0, 30.0)

#: Starts of a task that nobody ended, after which the task is thought to kill its workers.
MAX_STARTS = 5


@dataclass(frozen=True, slots=True)
class Policy:
    """How long tasks are tried, in seconds."""

    #: A peer that is away or busy is waited for this long before a task gives up.
    patience_s: float = 20 * 60.0
    #: Failures of other kinds that another try may mend are tried again after each of these.
    pauses_s: tuple[float, ...] = (1.0, 4.0, 15.0)


@dataclass(frozen=True, slots=True)
class Again:
    """Try again after this pause."""

    after_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No further try."""


def plan_retry(
    policy: Policy,
    *,
    permanent: bool,
    peer_away: bool,
    failures: int,
    failing_for_s: float,
    jitter: float,
) -> Again | GiveUp:
    """Decide on another try.

    `failures` counts those before this one; `failing_for_s` is the time since the first of them; `jitter`,
    from 0 to 1, spreads the tries of many tasks.
    """
    if permanent:
        return GiveUp()
    spread = 0.75 + jitter / 2
    if peer_away:
        if failing_for_s >= policy.patience_s:
            return GiveUp()
        return Again(AWAY.pause_s(failures) * spread)
    if failures >= len(policy.pauses_s):
        return GiveUp()
    return Again(policy.pauses_s[failures] * spread)
