"""How much a step of a removal takes on, after the time that the last one took. Pure."""

from __future__ import annotations

#: Seconds that a transaction of a removal should take: others write on SQLite only between two of them.
AIM_S = 0.3
#: Shares of the most that one step may remove: that of the first step, and the least.
FIRST_SHARE, LEAST_SHARE = 0.2, 0.01
#: A step is at most so many times as large as the one before: one that was fast by chance proves little.
_GROWTH = 1.5


def next_share(share: float, took_s: float) -> float:
    """Return the share of the most that the next step may remove, after one that took so many seconds."""
    fitting = share * AIM_S / took_s if took_s > 0 else 1.0
    return max(LEAST_SHARE, min(fitting, share * _GROWTH, 1.0))


def part_of(most: int, share: float) -> int:
    """Return how many of `most` a step takes on, at least one."""
    return max(1, round(most * share))
