"""Whether a node heeds the keys of a window: control requests that differ in one key, until that is known.

Archives that match on a modality or a date in a way of their own return too little and say success: nothing
for a code that they compare with a whole list, no study of the last day of a range that ends at its midnight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from services.query.futile_search import FailureLimit
from services.query.profile.learner import Learner
from services.query.profile.measurement_plan import NO_CODE
from services.query.search.found_studies import belongs_to
from services.query.search.splitting import is_ignored
from shared.dicom.errors import InterruptedWorkError
from shared.dicom.query.matches import OTHER_CODES, FindResult, StudyMatch
from shared.querying.payloads import WindowSlice
from shared.querying.profile import WIDEST_DAYS, Profile
from shared.querying.slices import Slice

FindWindow = Callable[[Slice], FindResult[StudyMatch]]


class KeyControls:
    """Compares the matches of one window with those of control requests."""

    def __init__(self, window: Slice, find: FindWindow, learner: Learner, limit: FailureLimit) -> None:
        self._window = window
        self._find = find
        self._learner = learner
        self._limit = limit
        self._has_studies = False

    def hide_studies(self, result: FindResult[StudyMatch]) -> bool:
        """Return whether a key of the window hides studies: `windows_without` has what to search instead."""
        self._has_studies = self._learner.profile.busiest > 0 or bool(result.matches)
        return self._code_hides(result) or self._range_hides(result)

    def _code_hides(self, result: FindResult[StudyMatch]) -> bool:
        """Return whether the node does not find all studies of the window's codes by their code.

        Studies whose codes are not returned are added to a result that has no other.
        """
        if not self._window.codes() or self._learner.profile.modalities_matched is not None:
            return False
        control = self._control(replace(self._window, code=None))
        if control is None:
            return False
        codes = compare_codes(self._window, result.matches, control)
        if codes.lost and self._still_lost(codes.lost):
            self._learner.learn(lambda profile: replace(profile, modalities_matched=False))
            return True
        if not result.matches:
            result.matches += codes.unknown
        elif codes.others:
            self._learner.learn(lambda profile: replace(profile, modalities_matched=True))
        elif not all(set(self._window.codes()) & match.codes() for match in result.matches):
            # Any code brings the same studies, and not all of them are known to have this one.
            bogus = self._control(replace(self._window, code=NO_CODE))
            if bogus is not None:
                self._learner.learn(lambda profile: replace(profile, modalities_matched=not bogus))
        return False

    def _range_hides(self, result: FindResult[StudyMatch]) -> bool:
        """Return whether the node does not find the studies of the first and last day of the window."""
        window = self._window
        if window.date_from is None or window.date_until is None or _single_days(window) is None:
            return False
        if self._learner.profile.date_ranges is not None or is_ignored(window, result.matches):
            return False
        days = {match.study_date[:8] for match in result.matches if match.study_date}
        proven = True
        for day in (window.date_until, window.date_from):
            if day.strftime("%Y%m%d") in days:
                continue
            alone = self._control(_day(window, day))
            hidden = _without(alone or (), result.matches)
            if hidden and self._still_lost(hidden):
                self._learner.learn(lambda profile: replace(profile, date_ranges=False))
                return True
            proven = proven and bool(alone)
        if proven:
            self._learner.learn(lambda profile: replace(profile, date_ranges=True))
        return False

    def ignores_codes(self, matches: Sequence[StudyMatch]) -> bool:
        """Return whether the node does not match on codes, where most matches have other codes.

        An archive that returns only one of the codes of each study may well match on all of them.
        """
        if self._learner.profile.modalities_matched:
            return False
        if any(len(match.modalities or ()) > 1 for match in matches):
            return True
        bogus = self._find(replace(self._window, code=NO_CODE))
        _raise_interruption(bogus)
        return not bogus.complete or bool(bogus.matches)

    def _control(self, window: Slice) -> list[StudyMatch] | None:
        """Return the matches of a control request; None where it failed, or where there were enough."""
        if not self._limit.admits_control(has_studies=self._has_studies):
            return None
        result = self._find(window)
        _raise_interruption(result)
        part = WindowSlice(window)
        return [match for match in result.matches if belongs_to(match, part)] if result.complete else None

    def _still_lost(self, lost: Sequence[StudyMatch]) -> bool:
        """Return whether these are no studies that came in between."""
        again = self._control(self._window)
        return again is not None and bool(_without(lost, again))


@dataclass(frozen=True, slots=True)
class ComparedCodes:
    """What a request without a code found beyond one with codes."""

    #: Studies that have one of the codes.
    lost: list[StudyMatch]
    #: Studies whose codes are not all returned.
    unknown: list[StudyMatch]
    #: Studies that have none of the codes, or whose codes are not returned.
    others: list[StudyMatch]


def compare_codes(
    window: Slice, matches: Iterable[StudyMatch], control: Iterable[StudyMatch]
) -> ComparedCodes:
    """Compare the matches for codes with those for any."""
    beyond = _without(control, matches)
    codes = set(window.codes())
    lost = [match for match in beyond if not codes.isdisjoint(match.codes())]
    others = [match for match in beyond if codes.isdisjoint(match.codes())]
    return ComparedCodes(lost, [match for match in others if not match.codes_are_known()], others)


def doubted(window: Slice, matches: Iterable[StudyMatch], *, matched: bool | None) -> list[StudyMatch]:
    """Return the matches; what was found by a code that it is not returned with has other codes, too."""
    codes = set(window.codes())
    if not codes or matched is False:
        return list(matches)
    return [
        replace(match, modalities=(*(match.modalities or ()), OTHER_CODES))
        if match.codes_are_known() and codes.isdisjoint(match.codes())
        else match
        for match in matches
    ]


def windows_without(window: Slice, profile: Profile) -> list[Slice] | None:
    """Return the windows to search for what this one requests, without keys that hide studies of this node.

    None: it has no such key.
    """
    if profile.modalities_matched is False and window.code is not None:
        return [replace(window, code=None)]
    return _single_days(window) if profile.date_ranges is False else None


def _single_days(window: Slice) -> list[Slice] | None:
    """Return a window for each day, newest first; None for a day, and where too many would be searched."""
    first, last = window.date_from, window.date_until
    if first is None or last is None or not 1 < (window.days or 0) <= WIDEST_DAYS:
        return None
    days = [last - timedelta(days=number) for number in range((last - first).days + 1)]
    return [_day(window, day) for day in days]


def _day(window: Slice, day: date) -> Slice:
    return replace(window, date_from=day, date_until=day)


def _without(matches: Iterable[StudyMatch], known: Iterable[StudyMatch]) -> list[StudyMatch]:
    uids = {match.study_instance_uid for match in known}
    return [match for match in matches if match.study_instance_uid not in uids]


def _raise_interruption(result: FindResult[StudyMatch]) -> None:
    if isinstance(result.error, InterruptedWorkError):
        raise result.error
