"""A PACS as a function from a window to studies, with its own way to match dates and codes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from shared.dicom.query.matches import FindResult, StudyMatch
from shared.querying.profile import Profile
from shared.querying.slices import Slice

DATES = ("standard", "last_day_excluded", "last_day_to_midnight", "first_day_excluded", "first_day_only")
CODES = ("any", "first", "last", "whole", "none", "ignored")
RETURNED = ("all", "first", "none")


def study(number: int, day: dt.date, *modalities: str, time: str = "1015") -> StudyMatch:
    return StudyMatch(
        f"1.2.{number}", modalities=modalities or None, study_date=day.strftime("%Y%m%d"), study_time=time
    )


@dataclass
class Notebook:
    """Stands for the learner of a task, the limit of its job and the probe of its node."""

    profile: Profile = field(default_factory=Profile)
    admits: bool = True

    def learn(self, lesson: Callable[[Profile], Profile]) -> None:
        self.profile = lesson(self.profile)

    def admits_control(self, *, has_studies: bool) -> bool:
        return self.admits or has_studies

    def names_a_study(self) -> bool:
        return False


@dataclass
class ModelNode:
    """Matches the studies that it holds by dates and by one code."""

    studies: list[StudyMatch]
    dates: str = "standard"
    codes: str = "any"
    returned: str = "all"
    requests: list[Slice] = field(default_factory=list)

    def __call__(self, window: Slice) -> FindResult[StudyMatch]:
        self.requests.append(window)
        found = [match for match in self.studies if self._has_day(window, match)]
        found = [match for match in found if self._has_code(window, match)]
        return FindResult([self._returned(match) for match in found])

    def _has_day(self, window: Slice, match: StudyMatch) -> bool:
        day = match.study_date or ""
        first, last = (end.strftime("%Y%m%d") if end else "" for end in (window.date_from, window.date_until))
        if not first <= day <= (last or "9") or first == last:
            return first <= day <= (last or "9")
        late = self.dates == "last_day_to_midnight" and bool((match.study_time or "").strip("0"))
        return not (
            (self.dates == "last_day_excluded" and day == last)
            or (late and day == last)
            or (self.dates == "first_day_excluded" and day == first)
            or (self.dates == "first_day_only" and day != first)
        )

    def _has_code(self, window: Slice, match: StudyMatch) -> bool:
        own, wanted = list(match.modalities or ()), window.codes()
        if not wanted or self.codes == "ignored":
            return True
        if self.codes == "whole":
            return own == wanted
        part = {"first": own[:1], "last": own[-1:], "none": []}.get(self.codes, own)
        return bool(set(part) & set(wanted))

    def _returned(self, match: StudyMatch) -> StudyMatch:
        kept = {"first": (match.modalities or ())[:1], "none": ()}.get(self.returned, match.modalities or ())
        return replace(match, modalities=tuple(kept) or None)


def uids(matches: Iterable[StudyMatch]) -> set[str]:
    return {match.study_instance_uid for match in matches}
