"""The completeness calendar: the state of each day of a node for a modality type. Pure.

A day is complete if its windows are proven (shared/evidence/day_proof.py) and every study that was found on
it is settled: decided by at least one query for the type, from all of its series. Not settled is a study that
is missing or not decided yet, one that a filter left out, and one of which a filter of station names left out
series. What one query left out, another one can settle.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from shared.evidence.day_proof import DayProofs, EndOfDay, proof_of_type

#: Reports reach a PACS hours after the images: until then a day is not due.
SETTLE_LAG = timedelta(hours=2)
#: Days before a day of which the same weekdays are compared with it, and how many of them are enough.
COMPARED_DAYS = 56
SAME_WEEKDAYS_MIN = 3
_WEEK = timedelta(days=7)
_DAY = timedelta(days=1)


class DayState(StrEnum):
    """How a day of a node stands for a modality type."""

    NOT_DUE = "not_due"
    #: It is due and nobody requested it, but the hours of the node have not begun since.
    CLOSED = "closed"
    NOT_REQUESTED = "not_asked"
    EMPTY = "empty"
    COMPLETE = "complete"
    HOLES = "holes"
    THIN = "thin"


PROVEN = frozenset({DayState.EMPTY, DayState.COMPLETE, DayState.THIN})


@dataclass(frozen=True, slots=True)
class DayCounts:
    """The studies of a day of one type: settled, and not settled."""

    settled: int = 0
    unsettled: int = 0


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """A day of the calendar; the median is that of the same weekdays before it."""

    day: date
    state: DayState
    studies: int = 0
    unsettled: int = 0
    median: float | None = None
    #: Whether it has less than half of the median; a day without studies may be thin as well as empty.
    thin: bool = False
    #: Whether a query that runs will complete it.
    running: bool = False


@dataclass(frozen=True, slots=True)
class DayLedger:
    """What the ledger holds of a node for some days."""

    proofs: DayProofs
    #: By day and type.
    counts: Mapping[tuple[date, str], DayCounts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Clockwork:
    """What depends on the clock: now, when a day ends, and whether a node was open in between."""

    now: datetime
    end_of_day: EndOfDay
    #: Whether the node took requests at any time from the first to the second moment.
    was_open: Callable[[datetime, datetime], bool]

    def due_at(self, day: date) -> datetime:
        """Return when a day can be complete."""
        return self.end_of_day(day) + SETTLE_LAG


def calendar_days(
    ledger: DayLedger, type_name: str, first: date, last: date, clockwork: Clockwork
) -> list[CalendarDay]:
    """Return the days from `first` to `last` of one type; each is compared with those before it."""
    days: dict[date, CalendarDay] = {}
    day = first
    while day <= last:
        days[day] = _with_median(_judge(ledger, type_name, day, clockwork), days)
        day += _DAY
    return list(days.values())


def _judge(ledger: DayLedger, type_name: str, day: date, clockwork: Clockwork) -> CalendarDay:
    proof = proof_of_type(ledger.proofs, day, type_name)
    counts = ledger.counts.get((day, type_name), DayCounts())
    due_at = clockwork.due_at(day)
    if clockwork.now < due_at:
        state = DayState.NOT_DUE
    elif proof.complete and not counts.unsettled:
        state = DayState.COMPLETE if counts.settled else DayState.EMPTY
    elif proof.requested:
        state = DayState.HOLES
    else:
        was_open = clockwork.was_open(due_at, clockwork.now)
        state = DayState.NOT_REQUESTED if was_open else DayState.CLOSED
    return CalendarDay(day, state, counts.settled, counts.unsettled, running=proof.running)


def _with_median(judged: CalendarDay, before: Mapping[date, CalendarDay]) -> CalendarDay:
    """Compare a proven day with the proven ones of the same weekday before it."""
    numbers = [
        earlier.studies
        for weeks in range(1, COMPARED_DAYS // 7 + 1)
        if (earlier := before.get(judged.day - weeks * _WEEK)) is not None and earlier.state in PROVEN
    ]
    if judged.state not in PROVEN or len(numbers) < SAME_WEEKDAYS_MIN:
        return judged
    median = float(statistics.median(numbers))
    thin = judged.studies < median / 2
    state = DayState.THIN if thin and judged.state is DayState.COMPLETE else judged.state
    return CalendarDay(
        judged.day, state, judged.studies, judged.unsettled, median, thin, running=judged.running
    )


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far the days of a node and type are proven."""

    #: The last proven day, and the last one before which no due day has a hole; none: nothing is proven.
    last_complete: date | None = None
    complete_until: date | None = None


def freshness(days: Sequence[CalendarDay]) -> Freshness:
    """Return how far these days, in order, are proven; those before the first proven one do not count."""
    last_complete: date | None = None
    complete_until: date | None = None
    gap = False
    for entry in days:
        if entry.state in PROVEN:
            last_complete = entry.day
            complete_until = complete_until if gap else entry.day
        elif last_complete is not None and entry.state is not DayState.NOT_DUE:
            gap = True
    return Freshness(last_complete, complete_until)
