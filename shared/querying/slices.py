"""How a query is cut into slices of one C-FIND each, and a slice in two. Pure.

Dates and times of day are inclusive at both ends, as in DICOM range matching (PS3.4 C.2.2.2.5); times are to
the minute, a minute reaching to its last microsecond, so that no fraction of a second falls between slices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, time, timedelta

from shared.contract.criteria import CODES, Criteria, DateWindow, windows
from shared.querying.profile import CAREFUL_DAYS, WIDEST_DAYS

_DAY = timedelta(days=1)
_MINUTES_OF_A_DAY = 24 * 60
#: Where a window without beginning is cut: hardly an archive holds older studies, and then ever further back.
_EARLY_CUTS = tuple(date(1990 - years, 1, 1) for years in (0, 20, 60, 140, 300, 620, 1260))

#: Hardly any archive has studies from before this day: windows without beginning are not cut further there.
EARLIEST = date(1990, 1, 1)

#: Days of the widest piece of a window without beginning or end that is more than a year old.
OLD_DAYS = 31


@dataclass(frozen=True, slots=True)
class Slice:
    """A window of study dates or of times of one day, and a code; None: no end on that side, any code.

    Several codes are one value with backslashes, as in DICOM (PS3.5 6.2): any of them.
    """

    date_from: date | None = None
    date_until: date | None = None
    time_from: time | None = None
    time_until: time | None = None
    code: str | None = None

    @property
    def days(self) -> int | None:
        """Return the width in days; None for a window without beginning or end."""
        if self.date_from is None or self.date_until is None:
            return None
        return (self.date_until - self.date_from).days + 1

    def codes(self) -> list[str]:
        """Return the codes; empty: any."""
        return self.code.split("\\") if self.code else []

    def study_date_key(self, *, day_as_range: bool = False) -> str:
        """Return the matching key for Study Date (0008,0020); empty: any."""
        start, end = _da(self.date_from), _da(self.date_until)
        if start == end and not (day_as_range and start):
            return start
        return f"{start}-{end}"

    def study_time_key(self) -> str:
        """Return the matching key for Study Time (0008,0030); empty: any."""
        if self.time_from is None and self.time_until is None:
            return ""
        start, end = self.minutes()
        return f"{_hhmm(start)}00-{_hhmm(end)}59.999999"

    def minutes(self) -> tuple[int, int]:
        """Return the first and the last minute of the day."""
        start, end = self.time_from, self.time_until
        return (
            0 if start is None else start.hour * 60 + start.minute,
            _MINUTES_OF_A_DAY - 1 if end is None else end.hour * 60 + end.minute,
        )


def plan(criteria: Criteria, today: date, widest_days: int | None, codes_split: bool) -> list[Slice]:
    """Return the slices that a query begins with, newest days first.

    `widest_days` is the widest window of a request (None: no limit); a window without beginning or end stays
    in one piece. With `codes_split` there is a slice for each code, for an archive that matches on
    ModalitiesInStudy; without, one for all.

    Raises:
        InvalidInputError: The criteria begin after today.
    """
    codes: list[str | None] = [None]
    if codes_split:
        codes = [code for name in criteria.requested_types() for code in CODES[name]]
    return [
        Slice(days.date_from, days.date_until, criteria.time_from, criteria.time_until, code)
        for part in windows(criteria, today)
        for days in _windows(part, widest_days)
        for code in codes
    ]


def halve(part: Slice, today: date) -> tuple[Slice, Slice] | None:
    """Cut a slice in two, the newer first, that together cover exactly the same; None: it is one minute.

    Dates are cut first, then the times of a single day. A window without beginning is cut at 1990, then ever
    further back; one without end is cut after today.
    """
    day = _first_of_newer(part.date_from, part.date_until, today)
    if day is not None:
        return replace(part, date_from=day), replace(part, date_until=day - _DAY)
    start, end = part.minutes()
    if start >= end:
        return None
    middle = (start + end) // 2
    older = replace(part, time_from=_time(start), time_until=_time(middle))
    return replace(part, time_from=_time(middle + 1), time_until=_time(end)), older


def pieces_of_open(part: Slice, today: date) -> list[Slice]:
    """Cut a window without beginning or end into windows of days, newest first, that cover the same."""
    last = part.date_until or today
    first = part.date_from or EARLIEST
    pieces = [] if part.date_until else [replace(part, date_from=today + _DAY)]
    day = last
    while day >= first:
        width = CAREFUL_DAYS if (last - day).days < WIDEST_DAYS else OLD_DAYS
        begin = max(first, day - timedelta(days=width - 1))
        pieces.append(replace(part, date_from=begin, date_until=day))
        day = begin - _DAY
    if part.date_from is None:
        pieces.append(replace(part, date_until=min(last, first - _DAY)))
    return pieces


def _windows(days: DateWindow, widest_days: int | None) -> list[DateWindow]:
    if days.date_from is None or days.date_until is None or widest_days is None:
        return [days]
    parts, end = [], days.date_until
    step = timedelta(days=max(widest_days, 1) - 1)
    while end - days.date_from > step:
        parts.append(DateWindow(end - step, end))
        end = end - step - _DAY
    return [*parts, DateWindow(days.date_from, end)]


def _first_of_newer(start: date | None, end: date | None, today: date) -> date | None:
    """Return the first day of the newer half; None for a single day."""
    if start is None:
        cut = next((cut for cut in _EARLY_CUTS if end is None or cut <= end), None)
        if cut is not None:
            return cut
        start = date.min
    if end is None:
        if start <= today < date.max:
            return today + _DAY
        end = date.max
    if start == end:
        return None
    return start + (end - start) // 2 + _DAY


def _time(minute: int) -> time:
    return time(*divmod(minute, 60))


def _hhmm(minute: int) -> str:
    hours, minutes = divmod(minute, 60)
    return f"{hours:02}{minutes:02}"


def _da(day: date | None) -> str:
    """Return a DA value (PS3.5 6.2), its year always of four digits."""
    return "" if day is None else f"{day.year:04}{day.month:02}{day.day:02}"
