"""What wider windows show: whether a number of matches is a cap, and whether a node holds any study."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, timedelta

from services.query.profile.sample import SUSPICIOUS
from shared.dicom.errors import InterruptedWorkError
from shared.dicom.query.matches import FindResult, StudyMatch
from shared.querying.slices import Slice

FindWindow = Callable[[Slice], FindResult[StudyMatch]]

_DAY = timedelta(days=1)

#: Days of the windows, of any code, that may have more matches; None: all dates.
_WIDER_DAYS = (1, 7, 61, 732, None)

#: Days before today in which a node that holds anything is most likely to hold it; None: all dates.
_RECENT_DAYS = (31, 366, None)


def largest_wider_number(window: Slice, matches: int, find: FindWindow, today: date) -> int | None:
    """Return a larger number of matches that the node returned for a wider window, or the same if it is all.

    A part with as many matches as the whole may be capped, or hold them all. A larger number for a wider
    window disproves the cap. If even all dates bring this number, it is all there is only where nothing
    lies before and after, and the number is none at which PACS usually stop. None: it may be a cap.

    Raises:
        InterruptedWorkError: stopping was requested.
    """
    last = window.date_until or today
    for days in _WIDER_DAYS:
        number = _number(find(Slice() if days is None else _around(last, days)))
        if number is None or number < matches:
            return None
        if number > matches:
            return number
    rest = _before_and_after(window, last)
    is_all = matches not in SUSPICIOUS and all(_number(find(part)) == 0 for part in rest)
    return matches if is_all else None


def names_a_study(find: FindWindow, today: date) -> bool:
    """Return whether the node names any study, of any code, in a month, a year or ever.

    Raises:
        PeerError: a request failed.
        InterruptedWorkError: stopping was requested.
    """
    for days in _RECENT_DAYS:
        result = find(Slice() if days is None else Slice(today - timedelta(days=days), today))
        if result.error is not None:
            raise result.error
        if result.matches:
            return True
    return False


def _around(day: date, days: int) -> Slice:
    before = timedelta(days=days // 2)
    first = max(day, date.min + before) - before
    return Slice(first, first + timedelta(days=days - 1))


def _before_and_after(window: Slice, last: date) -> Iterable[Slice]:
    first = window.date_from or last
    if first > date.min:
        yield Slice(None, first - _DAY)
    if last < date.max:
        yield Slice(last + _DAY, None)


def _number(result: FindResult[StudyMatch]) -> int | None:
    """Return the number of matches; None where the request failed."""
    if isinstance(result.error, InterruptedWorkError):
        raise result.error
    return len(result.matches) if result.complete else None
