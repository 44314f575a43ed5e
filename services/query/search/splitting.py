"""When and how a window is split: an empty one, or one that failed where its size may be to blame. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, time, timedelta
from string import ascii_uppercase, digits

from shared.dicom.errors import Outcome, PeerError
from shared.dicom.query.dates import day_of, minute_of
from shared.dicom.query.matches import FindResult, StudyMatch
from shared.dicom.status import TOO_MUCH
from shared.querying.payloads import WindowSlice
from shared.querying.profile import Profile
from shared.querying.slices import EARLIEST, OLD_DAYS, Slice, halve, pieces_of_open

#: Days that a window without beginning or end counts as.
EVER_DAYS = 36500

_DAY = timedelta(days=1)
_YEAR = timedelta(days=366)

#: Splits in a row without any match, after failures that do not mean that it is too much.
BLIND_CUTS = 3

_SECONDS_OF_A_MINUTE = 60
_LETTERS = ascii_uppercase + digits

#: These have a meaning of their own in a key (PS3.4 C.2.2.2.4).
_WILD = frozenset("*?\\")

#: Searches the minute with one more matching key: its keyword and its value.
FindNarrower = Callable[[str, str], FindResult[StudyMatch]]


def worth_cutting(error: PeerError, *, matches: int, failures: int, blind: int) -> bool:
    """Return whether the parts of a window may succeed where the whole fails.

    `matches` came before it failed, `failures` counts those before this one, `blind` the splits before it
    without a match on the way. A window that fails at one study of many is split until that stands alone.
    """
    if error.status_code in TOO_MUCH:
        return True
    if error.permanent and matches:
        return True  # the request cannot be wrong as such: it brought studies
    if error.permanent or error.associating or not failures:
        return False
    return matches > 0 or (error.outcome is not Outcome.BAD_RESPONSE and blind < BLIND_CUTS)


def believes_empty(part: WindowSlice, profile: Profile, today: date) -> bool:
    """Return whether no match in this window means that there is nothing, as far as the node is known."""
    window = part.window
    if window.days is None or window.date_until is None:
        return profile.believes_empty(EVER_DAYS)
    # Nobody named these days: to cut decades into single ones would not be gentle.
    far = part.ever and window.date_until < today - _YEAR
    return profile.believes_empty(window.days) or (far and window.days <= OLD_DAYS)


def pieces_of(window: Slice, today: date, matches: Sequence[StudyMatch] = ()) -> Sequence[Slice] | None:
    """Return the parts of a window; None where it cannot be split, or the PACS does not match on it."""
    if is_ignored(window, matches):
        return None
    if window.days is not None:
        return halve(window, today)
    ends_early = window.date_until is not None and window.date_until < EARLIEST
    begins_late = window.date_from is not None and window.date_from > today
    return None if ends_early or begins_late else pieces_of_open(window, today)


def fitting_pieces(part: WindowSlice, profile: Profile) -> list[Slice] | None:
    """Return windows, newest first, that bring fewer matches than are proven; None: it need not be cut.

    Only where matches are costly: elsewhere a wide window that is compared once saves many requests.
    """
    window, widest = part.window, profile.window_days()
    first, last = window.date_from, window.date_until
    if not (profile.costly_matches and profile.busiest and part.is_plain) or first is None or last is None:
        return None
    if (window.days or 0) <= widest:
        return None
    ends = [last - timedelta(days=days) for days in range(0, window.days or 0, widest)]
    return [
        replace(window, date_from=max(first, end - timedelta(days=widest - 1)), date_until=end)
        for end in ends
    ]


def parts_between(window: Slice, matches: Sequence[StudyMatch]) -> list[Slice] | None:
    """Return parts of a window that show others of its studies where the PACS stops at these matches.

    They cover the window, and none of them holds all matches, so that a part is short of this number unless
    there is more; of matches at one minute, what is beside it. None: a date or time cannot be read.
    """
    moments = [(day_of(match.study_date), minute_of(match.study_time)) for match in matches]
    days = sorted({day for day, _ in moments if day is not None})
    minutes = sorted({minute for _, minute in moments if minute is not None})
    if not moments or any(None in moment for moment in moments):
        return None
    if len(days) > 1:
        cut = days[len(days) // 2]
        return [replace(window, date_from=cut), replace(window, date_until=cut - _DAY)]
    day, middle = days[0], minutes[len(minutes) // 2]
    until, start = _minute_of_day(middle) - 1, _minute_of_day(middle)
    if len(minutes) == 1:
        start += 1
    return [
        *_parts_of_day(replace(window, date_from=day, date_until=day), start, until),
        *_beside(window, day),
    ]


def _parts_of_day(day: Slice, start: int, until: int) -> Iterable[Slice]:
    """Yield the parts of a day from a minute and up to a minute, as far as there are any."""
    first, last = day.minutes()
    if start <= last:
        yield replace(day, time_from=_time_of(start), time_until=_time_of(last))
    if first <= until:
        yield replace(day, time_from=_time_of(first), time_until=_time_of(until))


def _minute_of_day(moment: time) -> int:
    return moment.hour * 60 + moment.minute


def _time_of(minute: int) -> time:
    return time(*divmod(minute, 60))


def _beside(window: Slice, day: date) -> Iterable[Slice]:
    if window.date_until is None or day < window.date_until:
        yield replace(window, date_from=day + _DAY)
    if window.date_from is None or window.date_from < day:
        yield replace(window, date_until=day - _DAY)


def halves_of_open(window: Slice, today: date) -> Sequence[Slice] | None:
    """Cut a window without beginning a year before its end: enough to compare its matches with."""
    if window.date_from is not None or (window.date_until is not None and window.date_until < EARLIEST):
        return None
    cut = (window.date_until or today) - _YEAR
    return replace(window, date_from=cut + timedelta(days=1)), replace(window, date_until=cut)


def single_codes(window: Slice) -> list[Slice]:
    """Return a window for each code."""
    return [replace(window, code=code) for code in window.codes()]


def are_hidden_by(window: Slice, pieces: Sequence[Slice], matches: Sequence[StudyMatch]) -> bool:
    """Return whether a split by time of day hides studies that have no time.

    Of a PACS that returns no times at all nothing follows.
    """
    by_time = window.days == 1 and window.time_from is None and any(piece.time_from for piece in pieces)
    without = sum(match.study_time is None for match in matches)
    return by_time and 0 < without < len(matches)


def last_and_first_minute(window: Slice, today: date) -> list[Slice]:
    """Return the minutes at the ends of a window: what fails even there does not fail for its size."""
    first, last = window.minutes()
    start, end = window.date_from or window.date_until or today, window.date_until or today
    return [_minute(window, end, last), _minute(window, start, first)]


def _minute(window: Slice, day: date, minute: int) -> Slice:
    moment = _time_of(minute)
    return replace(window, date_from=day, date_until=day, time_from=moment, time_until=moment)


def is_minute(window: Slice) -> bool:
    """Return whether a window is one minute of one day."""
    first, last = window.minutes()
    return window.days == 1 and first == last


def without_times(window: Slice) -> Slice:
    """Return a window with all times of its days."""
    return replace(window, time_from=None, time_until=None)


def are_divided(newer: set[str], older: set[str], matches: Sequence[StudyMatch]) -> tuple[bool, bool]:
    """Return whether times divide the studies (UIDs) of a day in halves, and whether they do so on any day.

    `matches` are those of the day. Studies without a time may come in each half, or in none.
    """
    timed = {match.study_instance_uid for match in matches if match.study_time is not None}
    day = timed or {match.study_instance_uid for match in matches}
    if timed:
        untimed = {match.study_instance_uid for match in matches} - timed
        newer, older = newer - untimed, older - untimed
    shared, larger = newer & older, max(len(newer), len(older))
    if shared:
        divides = len(shared) * 2 <= larger
        return divides, True
    if len(newer | older) * 2 < len(day):
        return False, bool(timed)
    return True, larger > 0


def is_ignored(window: Slice, matches: Iterable[StudyMatch]) -> bool:
    """Return whether most matches lie outside of the window: the PACS does not match on it."""
    inside = [within for match in matches if (within := _lies_in(window, match)) is not None]
    return sum(inside) * 2 < len(inside)


def has_strays(window: Slice, matches: Iterable[StudyMatch]) -> bool:
    """Return whether a match lies outside of the window."""
    return any(_lies_in(window, match) is False for match in matches)


def _lies_in(window: Slice, match: StudyMatch) -> bool | None:
    """Return whether a study lies in a window; None without a readable date or time."""
    day, moment = (match.study_date or "")[:8], (match.study_time or "").replace(":", "")[:4]
    first, last = (
        bound.strftime("%Y%m%d") if bound else "" for bound in (window.date_from, window.date_until)
    )
    start, end = (f"{minute // 60:02}{minute % 60:02}" for minute in window.minutes())
    if not day.isdigit() or (window.time_from is not None and not moment.isdigit()):
        return None
    in_time = window.time_from is None or start <= moment.ljust(4, "0") <= end
    return first <= day <= (last or day) and in_time


def by_second(
    capped: Sequence[StudyMatch], minute: int, find: FindNarrower, believes: Callable[[int], bool]
) -> tuple[list[StudyMatch], bool]:
    """Return the matches of the seconds of a minute of the day, and whether these are all of that minute."""
    hhmm = f"{minute // 60:02}{minute % 60:02}"
    found: list[StudyMatch] = []
    for second in range(_SECONDS_OF_A_MINUTE):
        result = find("StudyTime", f"{hhmm}{second:02}-{hhmm}{second:02}.999999")
        found += result.matches
        if not result.complete or result.largest_page or not believes(len(result.matches)):
            return found, False
    return found, _uids(capped) <= _uids(found)


def by_description(
    capped: Sequence[StudyMatch], find: FindNarrower, believes: Callable[[int], bool]
) -> list[StudyMatch]:
    """Return the matches by the first letters of descriptions (0008,1030).

    The letters that are most frequent among the capped matches come first, so that a PACS that caps again,
    or ignores the key, costs one request.
    """
    found: list[StudyMatch] = []
    for letter in dict.fromkeys([*initial_letters(capped), *_LETTERS]):
        result = find("StudyDescription", f"{letter}*")
        found += result.matches
        if not result.complete or not believes(len(result.matches)):
            break
    return found


def initial_letters(matches: Sequence[StudyMatch]) -> list[str]:
    """Return the letters with which descriptions of matches begin, the most frequent first."""
    initials = Counter(match.description[0] for match in matches if match.description)
    return [letter for letter, _ in initials.most_common() if letter not in _WILD]


def _uids(matches: Iterable[StudyMatch]) -> set[str]:
    return {match.study_instance_uid for match in matches}
