"""Which numbers of matches look like a limit at which a node stops and says success. Pure."""

from __future__ import annotations

#: PACS stop at round numbers, or at powers of two from 16 on ...
_ROUND, _SMALLEST_POWER = 10, 16
#: ... and the usual limits are multiples of 50, or powers of two from 64 on.
_USUAL, _SMALLEST_USUAL_POWER = 50, 64


def is_usual_cap(matches: int) -> bool:
    """Return whether a number of matches suggests a limit by itself: by chance it is rarely one of these."""
    return (matches > 0 and matches % _USUAL == 0) or _is_power(matches, _SMALLEST_USUAL_POWER)


def may_be_cut(listed: int, announced: int | None, cap: int | None) -> bool:
    """Return whether a node may have listed only a part of a series.

    `announced`: its Number of Series Related Instances (0020,1209). Archives count objects that they do not
    list, so fewer than announced is not enough: the number has to be one at which a PACS may stop.

    `cap`: the number of matches at which the node is known to stop.
    """
    if announced is None or not 0 < listed < announced:
        return False
    return listed == cap or is_round(listed)


def is_round(matches: int) -> bool:
    """Return whether a number of matches could be a limit, or that of some full pages."""
    return matches % _ROUND == 0 or _is_power(matches, _SMALLEST_POWER)


def _is_power(number: int, smallest: int) -> bool:
    return number >= smallest and number & (number - 1) == 0
