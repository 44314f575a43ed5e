"""What wider windows show: whether a number of matches is a cap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from itertools import chain
from math import ceil

from services.query.profile.learner import Learner
from services.query.profile.refused_keys import may_be_the_keys
from services.query.search.found_studies import belongs_to
from services.query.search.splitting import initial_letters, parts_between
from services.query.search.window_find import WindowFind
from shared.dicom.query.matches import FindResult, StudyMatch
from shared.querying.payloads import WindowSlice
from shared.querying.profile import UNPROVEN
from shared.querying.silent_caps import is_round, is_usual_cap
from shared.querying.slices import Slice, halve

FindWindow = Callable[[Slice], FindResult[StudyMatch]]

_DAY = timedelta(days=1)

#: Days of the windows, of any code, that may have more matches; None: all dates.
_WIDER_DAYS = (1, 7, 61, 732, None)

#: The same where the number is small.
_WIDER_THAN_SMALL = (61, 732, None)

#: Milliseconds for a few matches beyond which no further request is sent only to prove their number.
SLOW_MS = 5000

#: Matches of the days that are compared before others wait no longer, and how many days these are at least.
_ENOUGH_TO_PROVE, _FEWEST_DAYS = 100, 2

#: Initial letters of descriptions that are tried to find more than a window brought.
_LETTERS_TRIED = 3


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
        if days is not None and days < (window.days or 0):
            continue
        number = _number(find(Slice() if days is None else _around(last, days)))
        if number is None or number < matches:
            return None
        if number > matches:
            return number
    rest = _before_and_after(window, last)
    is_all = not is_usual_cap(matches) and all(_is_nothing(part, find(part)) for part in rest)
    return matches if is_all else None


def small_number_returned(window: Slice, matches: int, find: FindWindow, today: date) -> int | None:
    """Return the largest number of matches that the node returned for this window and wider ones.

    Wider windows are searched until one brings more than nine. None: one brings fewer than a narrower one, or
    fails, and nothing follows.

    Raises:
        InterruptedWorkError: stopping was requested.
    """
    largest = matches
    for days in _WIDER_THAN_SMALL:
        if days is not None and days <= (window.days or 0):
            continue
        number = _number(find(Slice() if days is None else _around(window.date_until or today, days)))
        if number is None or number < largest:
            return largest if largest > matches else None
        largest = number
        if largest > UNPROVEN:
            break
    return largest


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


def _is_nothing(window: Slice, result: FindResult[StudyMatch]) -> bool:
    """Return whether a node returned no study of a window; some ignore dates, and return any."""
    part = WindowSlice(window)
    return _number(result) is not None and not any(belongs_to(match, part) for match in result.matches)


def _number(result: FindResult[StudyMatch]) -> int | None:
    """Return the number of matches that came at once; None where the request failed."""
    result.raise_interruption()
    return result.together if result.complete else None


def _studies(result: FindResult[StudyMatch]) -> int:
    """Return the number of studies of all pages."""
    return len({match.study_instance_uid for match in result.matches})


class NumberProof:
    """Compares the number of matches of one window with those of wider and narrower requests."""

    def __init__(self, window: Slice, find: WindowFind, learner: Learner, today: date) -> None:
        self._window = window
        self._find = find
        self._learner = learner
        self._today = today

    def prove_small(self, matches: int) -> None:
        """Find out whether the node returns more than a small number of matches, if that is not known."""
        profile = self._learner.profile
        if matches > UNPROVEN or profile.cap is not None or profile.believes_all(matches):
            return
        wider = small_number_returned(self._window, matches, self._find.control, self._today)
        if wider is None and matches == 1:
            self._learner.learn(lambda known: known.proved_small(matches))
        if wider is not None and wider > matches:
            self._learner.learn(lambda known: known.proved(wider))

    def prove_days(self, codes: Sequence[str], sample: Slice, studies: Sequence[StudyMatch]) -> None:
        """Compare the last days of the window, for a list of codes, with their halves.

        One task does so with few studies before windows that wait are searched, each of which would be. How
        many days that takes is known from the `studies` of the window `sample`.
        """
        last, all_days, sampled = self._window.date_until, self._window.days, sample.days
        wanted = sum(not match.codes().isdisjoint(codes) for match in studies)
        if last is None or all_days is None or not sampled or not wanted:
            return
        self._learner.learn(lambda known: known.matched(sampled, wanted))
        days = min(all_days, max(_FEWEST_DAYS, ceil(_ENOUGH_TO_PROVE * sampled / wanted)))
        first = last - timedelta(days=days - 1)
        part = Slice(first, last, self._window.time_from, self._window.time_until, "\\".join(codes))
        whole = _number(self._find.control(part)) if days >= _FEWEST_DAYS else None
        if whole is None or self._learner.profile.believes_all(whole):
            return
        parts = [_number(self._find.control(half)) for half in halve(part, self._today) or ()]
        numbers = [number for number in parts if number is not None]
        if numbers and len(numbers) == len(parts):
            self._learner.learn(lambda known: known.compared(whole, numbers))

    def is_slow(self, result: FindResult[StudyMatch]) -> bool:
        """Return whether a few matches took too long for a dozen requests that prove their number."""
        few = len(result.matches) <= UNPROVEN and self._learner.profile.cap is None
        return few and result.duration_ms > SLOW_MS

    def is_all(self, result: FindResult[StudyMatch]) -> bool:
        """Return whether the matches of a part, as many as those of the whole, are all there are."""
        matches = len(result.matches)
        if self._learner.profile.cap == matches:
            return False  # a number that is known as the cap need not be tried again in each part
        wider = largest_wider_number(self._window, matches, self._find.window, self._today)
        if wider is None or not (wider > matches or self._holds_all(result)):
            return False
        self._learner.learn(lambda known: known.proved(wider))
        return True

    def is_exceeded(self, result: FindResult[StudyMatch], of_any_code: FindResult[StudyMatch]) -> bool | None:
        """Return whether the node returns more matches of any code, in all pages, than this result has.

        If even all dates bring just this number, it is believed as `largest_wider_number` has it. None: a
        request failed, and nothing follows.

        Raises:
            InterruptedWorkError: stopping was requested.
        """
        number, profile = _studies(result), self._learner.profile
        if number < profile.proven_in_pages:
            return True
        if profile.cap is not None and number >= profile.cap:
            return False
        last = self._window.date_until or self._today
        wider = (Slice() if days is None else _around(last, days) for days in _WIDER_DAYS[1:])
        last_wide = of_any_code
        for wide in chain([of_any_code], map(self._find.control, wider)):
            wide.raise_interruption()
            found = _studies(wide)
            if found > number:
                self._learn_more(found, wide.together if wide.together > number else 0)
                return True
            if wide.error is not None and not may_be_the_keys(wide):  # a refused range shows nothing
                return None
            if wide.complete and found < number:
                return False
            last_wide = wide
        return self._holds_just(number, result) if last_wide.complete else None

    def _learn_more(self, in_pages: int, together: int) -> None:
        self._learner.learn(lambda known: known.proved_in_pages(in_pages))
        if together:
            self._learner.learn(lambda known: known.proved(together))

    def _holds_just(self, number: int, result: FindResult[StudyMatch]) -> bool:
        """Return whether an archive that returns this number for all dates is believed to hold no more."""
        rest = _before_and_after(self._window, self._window.date_until or self._today)
        few = number <= UNPROVEN
        for part in rest:
            result_of_rest = self._find.control(part)
            refused = few and may_be_the_keys(result_of_rest)  # an open range
            if not (refused or _is_nothing(part, result_of_rest)):
                return False
        return few or (self._is_odd(number) and not self._brings_others(result))

    def _is_odd(self, number: int) -> bool:
        """Return whether a number hardly is a limit.

        Limits may be any round number where no part of a day shows more; pages end at full ones, too.
        """
        undivided = self._learner.profile.times_matched is False or self._find.is_web
        return not (is_round(number) if undivided else is_usual_cap(number))

    def _brings_others(self, result: FindResult[StudyMatch]) -> bool:
        """Return whether a request by the first letter of a description brings other studies."""
        known = {match.study_instance_uid for match in result.matches}
        letters = initial_letters(result.matches)[:_LETTERS_TRIED]
        found = (self._find.narrower("StudyDescription", f"{letter}*").matches for letter in letters)
        return any({match.study_instance_uid for match in matches} - known for matches in found)

    def _holds_all(self, result: FindResult[StudyMatch]) -> bool:
        """Return whether the node never showed a limit, and no narrower request brings another study."""
        if self._learner.profile.cap is not None or self._learner.profile.proven <= UNPROVEN:
            return False
        known = {match.study_instance_uid for match in result.matches}
        parts = parts_between(self._window, result.matches)
        shows_nothing = parts is None
        for part in parts or ():
            found = self._find.window(part)
            found_uids = {match.study_instance_uid for match in found.matches}
            if not found_uids <= known:
                return False
            # As is a part that is refused, or not matched on.
            shows_nothing = shows_nothing or not found.complete or found_uids == known
        if shows_nothing and is_round(len(known)):
            return False
        return not self._brings_others(result)
