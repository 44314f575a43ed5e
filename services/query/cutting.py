"""Whether a window that was not answered is worth cutting: whether its size may be to blame. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, time

from shared.dicom.answers import StudyMatch
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.status import OUT_OF_RESOURCES
from shared.querying.slices import Slice

#: Answered by some PACS to what is too much for them: "unable to calculate the number of matches", and the
#: warning of repository queries that matching reached the response limit.
TOO_MUCH = frozenset({OUT_OF_RESOURCES, 0xA701, 0xB001})

#: Cuts in a row without any answer, after failures that do not say that it is too much.
BLIND_CUTS = 3


def worth_cutting(error: PeerError, *, answers: int, failures: int, blind: int) -> bool:
    """Tell whether the parts of a window may be answered where the whole is not.

    `answers` came before it failed, `failures` counts those before this one, `blind` the cuts before it
    without an answer on the way. What a PACS breaks off at one study of many is cut until that stands alone.
    """
    if error.status_code in TOO_MUCH:
        return True
    if error.permanent or error.associating or not failures:
        return False
    return answers > 0 or (error.outcome is not Outcome.BAD_ANSWER and blind < BLIND_CUTS)


def last_and_first_minute(part: Slice, today: date) -> list[Slice]:
    """Return the minutes at the ends of a window: what fails even there is not failed by its size."""
    first, last = part.minutes()
    start, end = part.date_from or part.date_until or today, part.date_until or today
    return [_minute(part, end, last), _minute(part, start, first)]


def _minute(part: Slice, day: date, minute: int) -> Slice:
    moment = time(*divmod(minute, 60))
    return replace(part, date_from=day, date_until=day, time_from=moment, time_until=moment)


def is_ignored(part: Slice, matches: Iterable[StudyMatch]) -> bool:
    """Tell whether most answers lie outside of the window: the PACS does not match on it."""
    inside = [one for match in matches if (one := _lies_in(part, match)) is not None]
    return sum(inside) * 2 < len(inside)


def _lies_in(part: Slice, match: StudyMatch) -> bool | None:
    """Tell whether a study lies in a window; None where date or time cannot be told."""
    day, moment = (match.study_date or "")[:8], (match.study_time or "").replace(":", "")[:4]
    first, last = (one.strftime("%Y%m%d") if one else "" for one in (part.date_from, part.date_until))
    start, end = (f"{minute // 60:02}{minute % 60:02}" for minute in part.minutes())
    if not day.isdigit() or (part.time_from is not None and not moment.isdigit()):
        return None
    in_time = part.time_from is None or start <= moment.ljust(4, "0") <= end
    return first <= day <= (last or day) and in_time
