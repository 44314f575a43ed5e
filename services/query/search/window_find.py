"""The C-FINDs of one window, with the keys in the form that its node takes, and which forms it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from services.query.find_scu import FindScu
from services.query.futile_search import FailureLimit
from services.query.profile.learner import Learner
from services.query.profile.refused_keys import is_too_much, may_be_the_keys
from services.query.search.key_controls import windows_without
from services.query.search.key_proofs import LONG_AGO
from services.query.search.slice_identifier import slice_identifier
from services.query.search.splitting import (
    are_divided,
    last_and_first_minute,
    single_codes,
    without_times,
)
from shared.contract.criteria import Criteria
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.query.matches import FindResult, StudyMatch
from shared.querying.payloads import WindowSlice, to_json
from shared.querying.slices import Slice


class WindowFind:
    """Sends C-FINDs at STUDY level for one window and those that it is compared with."""

    def __init__(
        self, scu: FindScu, learner: Learner, part: WindowSlice, criteria: Criteria, limit: FailureLimit
    ) -> None:
        self._scu = scu
        self._learner = learner
        self._slice = part
        self._criteria = criteria
        self._limit = limit
        #: Whether a day was searched in one form only, and it is not known whether the node matches on that.
        self.day_unproven = False

    @property
    def is_web(self) -> bool:
        """Whether the node is searched by QIDO-RS."""
        return self._scu.is_web

    def minute_succeeds(self, today: date) -> bool:
        """Return whether a minute of the window succeeds, which is too small to be too much.

        Raises:
            InterruptedWorkError: stopping was requested.
        """
        for minute in last_and_first_minute(self._slice.window, today):
            result = self.window(minute)
            if may_be_the_keys(result):
                result = self.window(without_times(minute))
            result.raise_interruption()
            if result.error is None:
                return True
        return False

    def search(self) -> FindResult[StudyMatch]:
        """Search; a node that never named a study is searched with and without an empty Modality."""
        known = bool(self._learner.profile.study_modality_key)
        result = FindResult[StudyMatch]()
        for key in self._keys_to_try(known):
            result = self._find(self._slice, with_modality_key=key)
            if result.matches and result.complete and key is not known:
                self._learner.learn(lambda profile: replace(profile, study_modality_key=not known))
            if result.matches or not result.complete:
                break
        return result

    def _keys_to_try(self, known: bool) -> Sequence[bool]:
        """Return whether to send an empty Modality, in this order until something is found."""
        if self._learner.profile.busiest:
            return (known,)
        if self._slice.again:
            return (not known,)
        return (known, not known) if self._slice.window.days == 1 else (known,)

    def window(self, window: Slice) -> FindResult[StudyMatch]:
        """Search another window."""
        key = bool(self._learner.profile.study_modality_key)
        return self._find(WindowSlice(window), with_modality_key=key)

    def control(self, window: Slice) -> FindResult[StudyMatch]:
        """Search another window, only to compare its matches."""
        key = bool(self._learner.profile.study_modality_key)
        return self._find(WindowSlice(window), with_modality_key=key, control=True)

    def either_way(self, window: Slice) -> FindResult[StudyMatch]:
        """Search a window without, then with an empty Modality, as some nodes find nothing otherwise."""
        result = self._find(WindowSlice(window), with_modality_key=False, control=True)
        if result.error is not None or result.matches:
            return result
        result = self._find(WindowSlice(window), with_modality_key=True, control=True)
        if result.complete and result.matches:
            # Whoever knows that the node has studies has to know how they are found.
            self._learner.learn(lambda profile: replace(profile, study_modality_key=True))
        return result

    def pieces_in_another_form(self, result: FindResult[StudyMatch]) -> Sequence[Slice] | None:
        """Return what to search instead of the window, if the node refuses a form of its keys.

        A window for each code instead of one for their list, whole days instead of their hours, days instead
        of a range.

        Raises:
            InterruptedWorkError: stopping was requested.
        """
        window, error = self._slice.window, result.error
        by_status = isinstance(error, PeerError) and error.outcome is Outcome.STATUS
        if len(window.codes()) > 1 and by_status and not is_too_much(result):
            self._learner.learn(lambda profile: replace(profile, code_list=0))
            return single_codes(window)
        if not may_be_the_keys(result) or not self.refuses_ranges(window):
            return None
        return windows_without(window, self._learner.profile)

    def refuses_ranges(self, window: Slice) -> bool:
        """Learn and return whether the node refuses ranges: of times, or of dates where it takes a date."""
        return self._refuses_times(window) or self._refuses_dates(window)

    def _refuses_times(self, window: Slice) -> bool:
        if window.time_from is None and window.time_until is None:
            return False
        day = window.date_until or window.date_from or LONG_AGO
        timed = replace(window, date_from=day, date_until=day)
        plain = self._day(without_times(timed))
        if not (plain.complete or is_too_much(plain)) or not may_be_the_keys(self._day(timed)):
            return False
        self._learner.learn(lambda profile: replace(profile, times_matched=False))
        return True

    def _refuses_dates(self, window: Slice) -> bool:
        last = window.date_until
        if self._learner.profile.date_ranges is not None or last is None or window.days == 1:
            return False
        day = replace(window, date_from=last)
        if not self._day(day).complete or not may_be_the_keys(self._day(day, as_range=True)):
            return False
        self._learner.learn(lambda profile: replace(profile, date_ranges=False))
        return True

    def _day(self, day: Slice, *, as_range: bool = False) -> FindResult[StudyMatch]:
        key = bool(self._learner.profile.study_modality_key)
        result = self._find_day(WindowSlice(day), key, as_range=as_range, control=True)
        result.raise_interruption()
        return result

    def divides_day(
        self, halves: Sequence[Slice], matches: Sequence[StudyMatch], *, known_only: bool = False
    ) -> bool:
        """Return whether a day with these matches is divided by times; find out, unless `known_only`.

        The halves of the day must be taken, bring different studies, and together most of those of the day.

        Raises:
            InterruptedWorkError: stopping was requested.
        """
        known = self._learner.profile.times_matched
        if known is not None or known_only:
            return known is not False
        found: list[set[str]] = []
        for half in halves:
            result = self.control(half)
            result.raise_interruption()
            if not (result.complete or result.matches):
                return not (may_be_the_keys(result) and self._refuses_times(half))
            found.append({match.study_instance_uid for match in result.matches})
        newer, older = found
        divides, on_any_day = are_divided(newer, older, matches)
        if on_any_day:
            self._learner.learn(lambda profile: replace(profile, times_matched=divides))
        return divides

    def narrower(self, keyword: str, value: str) -> FindResult[StudyMatch]:
        """Search the window with one more matching key."""
        part, key = WindowSlice(self._slice.window), bool(self._learner.profile.study_modality_key)
        identifier = slice_identifier(part, self._criteria, with_modality_key=key)
        setattr(identifier, keyword, value)
        narrower = {"study_time" if keyword == "StudyTime" else "first_letter": value}
        return self._scu.find_studies(identifier, record_keys={**to_json(part), **narrower})

    def _find(
        self, part: WindowSlice, *, with_modality_key: bool, control: bool = False
    ) -> FindResult[StudyMatch]:
        """Search; a single day also as a range, until it is known which form the node matches on.

        Where an archive keeps the time of day with a date, nothing is equal to a day.
        """
        known = self._learner.profile.single_dates
        result = self._find_day(part, with_modality_key, as_range=known is False, control=control)
        if known is not None or part.window.days != 1 or not result.complete:
            return result
        as_range = not result.matches and self._limit.admits_control(
            has_studies=self._learner.profile.busiest > 0
        )
        self.day_unproven = not as_range and not result.matches
        if as_range:
            ranged = self._find_day(part, with_modality_key, as_range=True, control=True)
            if may_be_the_keys(ranged):
                return result  # a range is refused, and the day stands
            result = ranged
        if result.complete and result.matches:
            self._learner.learn(lambda profile: replace(profile, single_dates=not as_range))
        return result

    def _find_day(
        self, part: WindowSlice, with_modality_key: bool, *, as_range: bool, control: bool
    ) -> FindResult[StudyMatch]:
        identifier = slice_identifier(
            part, self._criteria, with_modality_key=with_modality_key, day_as_range=as_range
        )
        return self._scu.find_studies(identifier, record_keys=to_json(part), control=control)
