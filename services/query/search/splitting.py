"""Whether a window that was not answered is worth cutting: whether its size may be to blame. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, time
from string import ascii_uppercase, digits

from sqlalchemy.orm import Session

from services.query.ledger.studies import add_counts
from shared.database.models import QueryTask
from shared.dicom.association.c_find import FindResult
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.query.matches import StudyMatch
from shared.dicom.status import OUT_OF_RESOURCES
from shared.jobs.model import Claim
from shared.querying.payloads import SLICE, slice_of, slice_payload
from shared.querying.slices import Slice

#: In the payload of a part of a day: the whole day named studies without a time.
UNTIMED = "untimed"


def are_hidden_by(part: Slice, pieces: Sequence[Slice], matches: Sequence[StudyMatch]) -> bool:
    """Tell whether a window is cut by time of day although it named studies that have none.

    A PACS that returns no times at all says nothing about that.
    """
    by_time = part.days == 1 and part.time_from is None and any(piece.time_from for piece in pieces)
    without = sum(match.study_time is None for match in matches)
    return by_time and 0 < without < len(matches)


def miss_the_rest_of_the_day(session: Session, claim: Claim) -> None:
    """Write that the studies without a time of the claim's day may not all be known."""
    error = PeerError(
        Outcome.CAPPED,
        "studies without a time cannot be asked for in parts of a day, and this day is too much at once",
    )
    part = slice_of(claim.payload)
    task = session.get_one(QueryTask, claim.task_id)
    payload = slice_payload(replace(part, time_from=None, time_until=None)) | {UNTIMED: True}
    session.add(
        QueryTask(
            job_id=claim.job_id,
            kind=SLICE,
            payload=payload,
            state="failed",
            created_at=task.created_at,
            due_at=task.due_at,
            error=error.code,
            detail=str(error),
        )
    )
    add_counts(session, claim.job_id, slices_total=1, slices_failed=1)


_SECONDS_OF_A_MINUTE = 60
_LETTERS = ascii_uppercase + digits

#: These have a meaning of their own in a key (PS3.4 C.2.2.2.4).
_WILD = frozenset("*?\\")

#: Asks for the minute with one key more narrow: its keyword and its value.
Ask = Callable[[str, str], FindResult[StudyMatch]]


def by_second(
    capped: Sequence[StudyMatch], minute: int, ask: Ask, believes: Callable[[int], bool]
) -> tuple[list[StudyMatch], bool]:
    """Return what was found in the seconds of a minute of the day, and whether that is all there is."""
    hhmm = f"{minute // 60:02}{minute % 60:02}"
    found: list[StudyMatch] = []
    for second in range(_SECONDS_OF_A_MINUTE):
        result = ask("StudyTime", f"{hhmm}{second:02}-{hhmm}{second:02}.999999")
        found += result.matches
        if not result.complete or not believes(len(result.matches)):
            return found, False
    return found, _uids(capped) <= _uids(found)


def by_description(
    capped: Sequence[StudyMatch], ask: Ask, believes: Callable[[int], bool]
) -> list[StudyMatch]:
    """Return what was found by the first letters of descriptions (0008,1030).

    The letters that are most frequent in the capped answer come first, so that a PACS that is capped again,
    or ignores the key, costs one request.
    """
    found: list[StudyMatch] = []
    for letter in _letters(capped):
        result = ask("StudyDescription", f"{letter}*")
        found += result.matches
        if not result.complete or not believes(len(result.matches)):
            break
    return found


def _letters(capped: Sequence[StudyMatch]) -> list[str]:
    seen = Counter(match.description[0] for match in capped if match.description)
    frequent = [letter for letter, _ in seen.most_common() if letter not in _WILD]
    return list(dict.fromkeys([*frequent, *_LETTERS]))


def _uids(matches: Iterable[StudyMatch]) -> set[str]:
    return {match.study_instance_uid for match in matches}


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
