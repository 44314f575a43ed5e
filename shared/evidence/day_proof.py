"""Which days of which modality codes the queries of a node prove, all of them taken together. Pure.

A query proves a day for a code if its windows of that day and code are complete, and if it was requested when
the day was over: a study of the evening is not in a list of the afternoon. Parts of a day from several
queries add up to a whole one, to the minute. Three kinds of queries prove no day:

- one that names studies or accession numbers: it proves nothing about the others;
- one of certain times of day: studies without a Study Time match no range (PS3.4 C.2.2.2.5);
- one that could not finish a study of unknown date: that may belong to any day.

Filters of description and station name do not matter here. They are compared after the search, so what they
drop was found, and stands in the ledger as a study that nobody examined (shared/evidence/calendar.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from shared.contract.criteria import CODES, DateWindow
from shared.querying.slices import Slice

_MINUTES_OF_A_DAY = 24 * 60
#: A bit for each minute of a day.
WHOLE_DAY = (1 << _MINUTES_OF_A_DAY) - 1

EndOfDay = Callable[[date], datetime]


@dataclass(frozen=True, slots=True)
class UnprovenWindow:
    """A window of a query that is not complete."""

    window: Slice
    #: Whether it was requested of the PACS and failed; otherwise nobody came to it.
    failed: bool


@dataclass(frozen=True, slots=True)
class DaySearch:
    """A query of all studies of some days, as far as its windows are complete."""

    job_id: str
    codes: frozenset[str]
    #: The parts of its days, none over another.
    windows: Sequence[DateWindow]
    requested_at: datetime
    ended: bool
    unproven: Sequence[UnprovenWindow] = ()
    #: Whether a study of unknown date could not be finished.
    lacks_undated: bool = False

    def days_within(self, first: date, last: date) -> Iterator[date]:
        """Return the days of the query from `first` to `last`, both inclusive."""
        for part in self.windows:
            day = max(first, part.date_from or first)
            end = min(last, part.date_until or last)
            while day <= end:
                yield day
                day += timedelta(days=1)

    def days(self) -> list[date]:
        """Return all of its days in order; not of one that is open on a side."""
        return sorted(self.days_within(date.min, date.max))

    def on(self, day: date) -> DaySearch:
        """Return it for one of its days alone, which is to be read for each code."""
        return replace(self, unproven=[part for part in self.unproven if _has_day(part.window, day)])

    def minutes_of(self, day: date, code: str) -> tuple[int, int]:
        """Return the minutes of one of its days that are complete, and those that failed, as bits."""
        open_minutes = failed = 0
        for part in self.unproven:
            if _covers(part.window, day, code):
                minutes = _bits(*part.window.minutes())
                open_minutes |= minutes
                failed |= minutes if part.failed else 0
        return WHOLE_DAY & ~open_minutes, failed


@dataclass(slots=True)
class DayProof:
    """What is proven of one day for one code."""

    #: The minutes of the day that are proven, as bits.
    minutes: int = 0
    #: Whether a request for a part of it went out.
    requested: bool = False
    #: Whether a query that has not ended still covers it.
    running: bool = False

    @property
    def complete(self) -> bool:
        """Whether the whole day is proven."""
        return self.minutes == WHOLE_DAY


DayProofs = dict[tuple[date, str], DayProof]


def prove_days(
    searches: Iterable[DaySearch],
    first: date,
    last: date,
    end_of_day: EndOfDay,
    proven: DayProofs | None = None,
) -> DayProofs:
    """Return what the searches prove of the days from `first` to `last`; days without any are left out.

    It is added to what is `proven`.
    """
    proofs = proven if proven is not None else {}
    for search in searches:
        for day in search.days_within(first, last):
            on_day = search.on(day)
            proves = search.requested_at >= end_of_day(day) and not search.lacks_undated
            for code in search.codes:
                proof = proofs.setdefault((day, code), DayProof())
                complete, failed = on_day.minutes_of(day, code)
                proof.requested |= bool(complete or failed)
                proof.running |= not search.ended and complete != WHOLE_DAY
                proof.minutes |= complete if proves else 0
    return proofs


def proof_of_type(proofs: DayProofs, day: date, type_name: str) -> DayProof:
    """Return what is proven of a day for all codes of a modality type."""
    found = [proofs.get((day, code), DayProof()) for code in CODES[type_name]]
    minutes = WHOLE_DAY
    for proof in found:
        minutes &= proof.minutes
    return DayProof(minutes, any(proof.requested for proof in found), any(proof.running for proof in found))


def _covers(window: Slice, day: date, code: str) -> bool:
    codes = window.codes()
    return _has_day(window, day) and (not codes or code in codes)


def _has_day(window: Slice, day: date) -> bool:
    return (window.date_from or day) <= day <= (window.date_until or day)


def _bits(first_minute: int, last_minute: int) -> int:
    return ((1 << (last_minute - first_minute + 1)) - 1) << first_minute
