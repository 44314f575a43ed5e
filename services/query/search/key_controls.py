"""Whether a node heeds the keys of a window: control requests that differ in one key, until that is known.

Archives that match on a modality or a date in a way of their own return too little and say success: nothing
for a code that they compare with a whole list, no study of the last day of a range that ends at its midnight.
A key is proven with studies that were found: a range that ends at the day of one of them has to bring it, and
so has each of its codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from services.query.futile_search import FailureLimit
from services.query.profile.learner import Learner
from services.query.profile.measurement_plan import NO_CODE
from services.query.search.found_studies import belongs_to
from services.query.search.key_proofs import (
    LONG_AGO,
    codes_to_show,
    days_with_studies,
    is_conclusive,
    is_found_by_another_code,
    partner_code,
    ranges_to_show,
    single_companions,
)
from services.query.search.node_probe import NodeProbe
from services.query.search.splitting import is_ignored, without_times
from shared.dicom.errors import PeerError
from shared.dicom.query.dates import day_of, minute_of
from shared.dicom.query.matches import OTHER_CODES, FindResult, StudyMatch
from shared.querying.payloads import WindowSlice
from shared.querying.profile import WIDEST_DAYS, Habit, Profile
from shared.querying.slices import Slice

FindWindow = Callable[[Slice], FindResult[StudyMatch]]


class KeyControls:
    """Compares the matches of one window with those of control requests."""

    def __init__(
        self,
        window: Slice,
        find: FindWindow,
        learner: Learner,
        limit: FailureLimit,
        probe: NodeProbe,
        *,
        on_a_day: bool = False,
    ) -> None:
        """Make them; `on_a_day`: one day of a window is compared first, where each match is costly."""
        self._window = window
        self._find = find
        self._learner = learner
        self._limit = limit
        self._probe = probe
        self._on_a_day = on_a_day
        self._has_studies = False
        self._codes_unproven = False
        #: Whether a request for one of the codes of a study left out another study.
        self._leave_out = False
        #: The window that brought the matches: some nodes find nothing by a code.
        self._window_found = window
        #: The window of which a request without a code was compared, and what that found.
        self.compared = window
        self.without_code: Sequence[StudyMatch] = ()
        #: Studies of control requests that may have one of the codes: these are not returned.
        self.beyond: list[StudyMatch] = []

    def hide_studies(self, result: FindResult[StudyMatch]) -> bool:
        """Return whether a key of the window hides studies: `windows_without` has what to search instead."""
        self._has_studies = self._learner.profile.busiest > 0 or bool(result.matches)
        is_open = bool(self._window.codes()) and self._matched() is None
        return (is_open and self._code_hides(result)) or self._range_hides(result)

    @property
    def found_without_code(self) -> bool:
        """Whether the code of the window found nothing, and the matches are those of a request without it."""
        return self._window_found != self._window

    def heeds_dates(self, matches: Sequence[StudyMatch]) -> bool:
        """Return whether a node matches on dates that returns studies with dates outside of the window.

        Some keep another date than they return, as that of another time zone.
        """
        part = WindowSlice(self._window)
        if all(belongs_to(match, part) for match in matches):
            return False
        if self._learner.profile.dates_matched is None:
            long_ago = self._find(_day(self._window, LONG_AGO))
            long_ago.raise_interruption()
            if long_ago.complete:
                matched = not long_ago.matches
                self._learner.learn(lambda profile: replace(profile, dates_matched=matched))
        return bool(self._learner.profile.dates_matched)

    def ignores_hours(self, others: Sequence[StudyMatch]) -> bool:
        """Return whether a node returns these studies of other hours for those hours as well.

        It ignores the times of the window then. Another one keeps another time than it returns, as that of
        another time zone: its word stands.
        """
        if self._learner.profile.times_matched is False:
            return True
        stray = next((minute for match in others if (minute := minute_of(match.study_time))), None)
        if stray is None:
            return False
        result = self._find(replace(self._window, time_from=stray, time_until=stray))
        result.raise_interruption()
        return result.complete and not _without(others, result.matches)

    def unproven(self) -> tuple[Habit, ...]:
        """Return the habits of the node that the result of the window depends on, and that are not known."""
        window, profile = self._window, self._learner.profile
        habits: list[Habit] = ["codes"] if self._codes_unproven else []
        if _single_days(window) is not None and profile.date_ranges is None:
            habits.append("ranges")
        return tuple(habits)

    # Codes

    def _code_hides(self, result: FindResult[StudyMatch]) -> bool:
        """Return whether the node does not find all studies of the window's codes by their code."""
        if self._on_a_day:
            hides = self._code_hides_on_a_day(result.matches)
            if hides or self._matched() is not None:
                return hides
            # That day proves nothing: it may hold studies of single codes alone.
            self._codes_unproven = False
        control = self._control(replace(self._window, code=None))
        if control is None:
            return self._code_hides_on_a_day(result.matches)
        self.compared, self.without_code = self._window, control
        codes = compare_codes(self._window, result.matches, control)
        if codes.lost and self._brings(codes.lost) is False:
            return self._learn_that_codes_hide()
        self.beyond = single_companions(self._window, control)
        if not result.matches:
            result.matches += codes.unknown
            self._window_found = replace(self._window, code=None)
            return False
        shown = self._shows_each_code(result.matches, control)
        if shown is False:
            return self._learn_that_codes_hide()
        if shown or not all(set(self._window.codes()) & match.codes() for match in result.matches):
            self._compare_with_no_code(leaves_out=self._leave_out or bool(codes.others), shown=bool(shown))
        matched = self._learner.profile.modalities_matched
        self.beyond = [*self.beyond, *codes.unknown] if matched is None else []
        return False

    def _code_hides_on_a_day(self, matches: Sequence[StudyMatch]) -> bool:
        """Compare one day, where the whole window without its code is too much for one request, or costly."""
        self._codes_unproven = True
        days = days_with_studies(self._window, matches)
        if self._window.days == 1 or not days:
            return False
        day = min(days, key=lambda found: len(days[found]))
        one_day = KeyControls(_day(self._window, day), self._find, self._learner, self._limit, self._probe)
        hides = one_day.hide_studies(FindResult(list(days[day])))
        self.compared, self.without_code = one_day.compared, one_day.without_code
        self._codes_unproven = self._learner.profile.modalities_matched is None
        return hides

    def _matched(self) -> bool | None:
        return self._learner.profile.modalities_matched

    def _learn_that_codes_hide(self) -> bool:
        self._learner.learn(lambda profile: replace(profile, modalities_matched=False, codes_hide=True))
        return True

    def _compare_with_no_code(self, *, leaves_out: bool, shown: bool) -> None:
        """Learn whether codes leave any study out, and whether each code of a study finds it (`shown`)."""
        if not leaves_out:
            bogus = self._control(replace(self._window, code=NO_CODE))
            if bogus is None:
                return
            if bogus:
                self._learner.learn(lambda profile: replace(profile, modalities_matched=False))
                return
        if shown:
            self._learner.learn(lambda profile: replace(profile, modalities_matched=True))

    def _shows_each_code(self, found: Sequence[StudyMatch], control: Sequence[StudyMatch]) -> bool | None:
        """Return whether a study with several codes is found by its first and its last one; None: unknown."""
        if is_found_by_another_code(self._window, found):
            return True
        partner = partner_code(self._window, control)
        if partner is not None:
            by_partner = self._control(replace(self._window, code=partner)) or ()
            return True if len(_without(found, by_partner)) < len(found) else None
        study, codes = codes_to_show(self._window, found, control)
        if study is None:
            return None
        shown = (self._shows(study, code, control) for code in codes)
        return next((found for found in shown if not found), True)

    def _shows(self, study: StudyMatch, code: str, control: Sequence[StudyMatch]) -> bool | None:
        """Return whether a study is found by one of its codes; None: unknown."""
        by_code = self._control(replace(self._window, code=code))
        if by_code is None:
            return None
        self._leave_out = self._leave_out or bool(_without(control, by_code))
        if not _without([study], by_code):
            return True
        again = self._control(replace(self._window, code=None))
        gone = again is None or bool(_without([study], again))
        return None if gone or not self._learner.profile.believes_few(len(by_code)) else False

    # Dates

    def _range_hides(self, result: FindResult[StudyMatch]) -> bool:
        """Return whether the node does not find the studies of the first and last day of a range."""
        window, matches = self._window, result.matches
        if window.days == 1 or self._learner.profile.date_ranges is not None or not matches:
            return False
        if is_ignored(window, matches):
            return False
        days = days_with_studies(window, matches)
        hides = self._range_hides_days(matches, days) if days else None
        if hides is False and not is_conclusive(days):
            hides = None
        if hides is None:
            hides = self._range_hides_ends(matches, proves=not days)
        if hides is not None:
            self._learner.learn(lambda profile: replace(profile, date_ranges=not hides))
        return bool(hides)

    def _range_hides_days(
        self, matches: Sequence[StudyMatch], days: dict[date, list[StudyMatch]]
    ) -> bool | None:
        """Compare ranges that begin and end at days with studies; None: nothing follows."""
        for first, last in ranges_to_show(self._window, days):
            shown = self._control(replace(self._window_found, date_from=first, date_until=last))
            if shown is None:
                return None
            hidden = _without([match for day in (first, last) for match in days.get(day, ())], shown)
            within = [match for match in matches if first <= (day_of(match.study_date) or date.min) <= last]
            # A node that stops at a number of matches may bring others for another range.
            if hidden and len(shown) < len(within) and self._brings(hidden):
                return True
            if hidden:
                return None
        return False

    def _range_hides_ends(self, matches: Sequence[StudyMatch], *, proves: bool) -> bool | None:
        """Compare with each end by itself; None: nothing follows. `proves`: the node returns no dates."""
        window, proven = self._window, proves
        if _single_days(window) is None or window.date_from is None or window.date_until is None:
            return None
        for day in (window.date_until, window.date_from):
            alone = self._control(_day(window, day))
            hidden = _without(alone or (), matches)
            if hidden and self._brings(hidden) is False:
                return True
            proven = proven and bool(alone)
        return False if proven else None

    def ignores_codes(self, matches: Sequence[StudyMatch]) -> bool:
        """Return whether the node does not match on codes, where most matches have other codes.

        An archive that returns only one of the codes of each study may well match on all of them.
        """
        if self._learner.profile.modalities_matched:
            return False
        if any(len(match.modalities or ()) > 1 for match in matches):
            return True
        bogus = self._find(replace(self._window, code=NO_CODE))
        bogus.raise_interruption()
        return not bogus.complete or bool(bogus.matches)

    def _control(self, window: Slice) -> list[StudyMatch] | None:
        """Return the matches of a control request; None where it failed, or where there were enough."""
        if not self._limit.admits_control(has_studies=self._has_studies) and not self._names_a_study():
            return None
        result = self._find(window)
        result.raise_interruption()
        part = WindowSlice(window)
        return [match for match in result.matches if belongs_to(match, part)] if result.complete else None

    def _names_a_study(self) -> bool:
        """Return whether the node names a study at all, once enough control requests brought none."""
        try:
            self._has_studies = bool(self._probe.names_a_study())
        except PeerError:
            return False
        return self._has_studies

    def _brings(self, studies: Sequence[StudyMatch]) -> bool | None:
        """Return whether the window brings these studies now: some may have come in, or gone, in between."""
        again = self._control(self._window_found)
        return None if again is None else not _without(studies, again)


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
    if profile.times_matched is False and without_times(window) != window:
        return [without_times(window)]
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
