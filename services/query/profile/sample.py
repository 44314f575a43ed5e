"""Some studies of the newest days of a node: what a measurement compares all other results with. Pure."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from shared.dicom.query.matches import StudyMatch
from shared.querying.silent_caps import is_usual_cap

T = TypeVar("T")

#: Matches that are taken of one request; then it is ended.
MAX_RESPONSES = 500


class SampleEnding(StrEnum):
    """How a question ended."""

    COMPLETE = "complete"
    #: We ended it: there were more matches than wanted.
    CUT = "cut"
    #: There was no final response.
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class MeasurementRequest:
    """One C-FIND; several UIDs or codes are a list of values of one key."""

    level: str
    first: date | None = None
    last: date | None = None
    #: Minutes of a single day, both included.
    minutes: tuple[int, int] | None = None
    codes: tuple[str, ...] = ()
    studies: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    #: Series of all studies of the days, without naming these (PS3.4 C.4.1.2.2.2).
    relational: bool = False
    #: An empty Modality (0008,0060) at STUDY level.
    with_modality: bool = False
    most: int = MAX_RESPONSES


@dataclass(frozen=True, slots=True)
class MeasurementResponse:
    """The result: matches of the level of the request."""

    ending: SampleEnding
    matches: Sequence[Any] = ()
    #: Matches of the largest of several pages; 0: all came at once.
    largest_page: int = 0

    @property
    def complete(self) -> bool:
        """Whether these are all matches."""
        return self.ending is SampleEnding.COMPLETE


#: Yields questions, is sent replies, returns what follows from them.
Plan = Generator[MeasurementRequest, MeasurementResponse, T]


#: Studies that are enough to compare with, and windows that are searched until there are so many.
ENOUGH = 20
MOST_WINDOWS = 11

#: A window in which nothing was is followed by one so much wider.
_GROWTH = 3

_MINUTES = 24 * 60
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Sample:
    """All studies of some days, or of some minutes of one."""

    first: date
    last: date
    studies: tuple[StudyMatch, ...]
    minutes: tuple[int, int] | None = None
    #: Whether an empty Modality has to be among the keys.
    with_modality: bool = False
    #: The widest window of which one request returned all.
    widest_days: int = 1
    #: Matches of one request that were proven to be all, or to be fewer; 0 and None: not known.
    proven: int = 0
    cap: int | None = None

    @property
    def uids(self) -> set[str]:
        """Return the studies' UIDs."""
        return {study.study_instance_uid for study in self.studies}

    @property
    def days(self) -> int:
        """Return the width of the window."""
        return (self.last - self.first).days + 1

    def with_code(self, codes: Iterable[str]) -> set[str]:
        """Return the UIDs of studies that have one of these codes, as far as the node returned them."""
        wanted = set(codes)
        return {study.study_instance_uid for study in self.studies if wanted & set(study.modalities or ())}

    def request(self, codes: tuple[str, ...] = ()) -> MeasurementRequest:
        """Return the question for the same window."""
        return MeasurementRequest(
            "STUDY", self.first, self.last, self.minutes, codes, with_modality=self.with_modality
        )

    def quiet_day(self) -> tuple[date, set[str]] | None:
        """Return the day with the fewest studies, and their UIDs."""
        if self.minutes is not None:
            return None
        days: dict[date, set[str]] = {}
        for study in self.studies:
            day = _day(study.study_date)
            if day is None:
                return None
            days.setdefault(day, set()).add(study.study_instance_uid)
        return min(days.items(), key=lambda item: (len(item[1]), item[0]), default=None)


def sample_of(today: date) -> Plan[Sample | None]:
    """Find studies, narrow windows first, newest days going back with growing steps; None: none found."""
    found = yield from _going_back(today, with_modality=False)
    if found.sample is None and found.reached is not None:
        found = yield from _all_at_once(found.reached, today)
    sample = found.sample
    if sample is None or sample.minutes is not None:
        return sample
    return (yield from _proven(sample, windows=found.windows))


@dataclass(frozen=True, slots=True)
class _Findings:
    """What going back brought; `reached` is the first day that was searched."""

    sample: Sample | None
    reached: date | None = None
    windows: int = 0


def _going_back(today: date, *, with_modality: bool) -> Plan[_Findings]:
    last, width, matched_windows, widest = today, 1, 0, 1
    studies: dict[str, StudyMatch] = {}
    reached: date | None = None
    for _ in range(MOST_WINDOWS):
        first = last - timedelta(days=width - 1)
        response = yield MeasurementRequest("STUDY", first, last, with_modality=with_modality)
        if not response.complete and width > 1:
            width = max(1, width // _GROWTH**2)
            continue
        if not response.complete and response.matches and not studies:
            return (yield from _part_of(first, response))
        if not response.complete:
            last = first - _DAY
            continue
        studies |= {match.study_instance_uid: match for match in response.matches}
        reached, last = first, first - _DAY
        if response.matches:
            matched_windows, widest = matched_windows + 1, max(widest, width)
        else:
            width *= _GROWTH
        if len(studies) >= ENOUGH:
            break
    if not studies or reached is None:
        return _Findings(None, reached)
    whole = Sample(reached, today, tuple(studies.values()), with_modality=with_modality, widest_days=widest)
    return _Findings(whole, reached, matched_windows)


def _part_of(day: date, response: MeasurementResponse) -> Plan[_Findings]:
    """Search so many minutes of a busy day that a few studies lie in them."""
    minutes = sorted(
        minute for match in response.matches if (minute := _minute(match.study_time)) is not None
    )
    if len(minutes) <= ENOUGH:
        return _Findings(None)
    window = minutes[0], minutes[ENOUGH]
    again = yield MeasurementRequest("STUDY", day, day, window)
    if not again.complete or not again.matches:
        return _Findings(None)
    return _Findings(Sample(day, day, _once(again.matches), window))


def _all_at_once(reached: date, today: date) -> Plan[_Findings]:
    """Search the same days with an empty Modality among the keys: some archives find nothing without it."""
    response = yield MeasurementRequest("STUDY", reached, today, with_modality=True)
    if not response.complete or not response.matches:
        return _Findings(None)
    return _Findings(Sample(reached, today, _once(response.matches), with_modality=True), reached, 0)


def _proven(sample: Sample, windows: int) -> Plan[Sample]:
    """Compare what one question brings with what its parts bring, where that may differ."""
    if windows > 1:
        return (yield from _compared_with_whole(sample))
    if is_usual_cap(len(sample.studies)):
        return (yield from _compared_with_halves(sample))
    return sample


def _compared_with_whole(sample: Sample) -> Plan[Sample]:
    whole = yield sample.request()
    number = len(_once(whole.matches))
    if not whole.complete or not number:
        return sample
    if number < len(sample.studies):
        return replace(sample, cap=number)
    at_once = whole.largest_page or number
    return replace(sample, proven=at_once, widest_days=max(sample.widest_days, sample.days))


def _compared_with_halves(sample: Sample) -> Plan[Sample]:
    studies: dict[str, StudyMatch] = {}
    for part in _halves(sample):
        response = yield part
        if not response.complete or response.largest_page:
            return sample
        studies |= {match.study_instance_uid: match for match in response.matches}
    number = len(sample.studies)
    if len(studies) > number:
        return replace(sample, studies=tuple(studies.values()), cap=number)
    return replace(sample, proven=number)


def _halves(sample: Sample) -> tuple[MeasurementRequest, MeasurementRequest]:
    request = sample.request()
    if sample.first < sample.last:
        middle = sample.first + (sample.last - sample.first) // 2
        return replace(request, last=middle), replace(request, first=middle + _DAY)
    noon = _MINUTES // 2
    return replace(request, minutes=(0, noon - 1)), replace(request, minutes=(noon, _MINUTES - 1))


def _once(matches: Iterable[StudyMatch]) -> tuple[StudyMatch, ...]:
    studies: Mapping[str, StudyMatch] = {match.study_instance_uid: match for match in matches}
    return tuple(studies.values())


def _day(text: str | None) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8])) if text and len(text) >= 8 else None  # noqa: PLR2004 - yyyymmdd
    except ValueError:
        return None


def _minute(text: str | None) -> int | None:
    if not text or not text[:4].isdecimal() or len(text) < 4:  # noqa: PLR2004 - hhmm
        return None
    minute = int(text[:2]) * 60 + int(text[2:4])
    return minute if minute < _MINUTES else None
