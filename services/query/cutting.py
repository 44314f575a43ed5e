"""Whether a window that was not answered is worth cutting: whether its size may be to blame. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time

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


def last_minute(part: Slice, today: date) -> Slice:
    """Return the last minute of a window: a PACS that fails even there fails for another reason than size."""
    day, minute = part.date_until or today, time(*divmod(part.minutes()[1], 60))
    return replace(part, date_from=day, date_until=day, time_from=minute, time_until=minute)
