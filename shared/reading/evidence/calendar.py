"""The completeness calendar of a node, read from its ledger."""

from __future__ import annotations

import calendar
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from datetime import time as time_of_day

from sqlalchemy.orm import Session

from shared.clock import iso
from shared.contract.criteria import CODES
from shared.database.models import Node
from shared.errors import InvalidInputError
from shared.evidence.calendar import (
    COMPARED_DAYS,
    CalendarDay,
    Clockwork,
    DayCounts,
    DayLedger,
    Freshness,
    calendar_days,
    freshness,
)
from shared.evidence.results import CalendarDayResult, CalendarResult, CalendarTypeResult
from shared.node_access.limits import next_opening, parse_hours, parse_zone
from shared.reading.evidence.tallies import NodeNumbers, node_numbers, node_proofs
from shared.settings import Settings

_BACK = timedelta(days=COMPARED_DAYS)
#: Hours come every day, but for one that a change of the clocks takes away.
_OPEN_WITHIN = timedelta(days=3)
#: Years of a calendar; no archive is older, and days of the last year have an end.
_FIRST_YEAR, _LAST_YEAR = 1900, 2999


def parse_month(text: str, today: date) -> date:
    """Return the first day of a month such as 2026-11; that of today for an empty text.

    Raises:
        InvalidInputError: it is not written so, or beyond any archive; names `month`.
    """
    if not text:
        return today.replace(day=1)
    try:
        first = datetime.strptime(text, "%Y-%m").date()  # noqa: DTZ007 - a month has no zone
    except ValueError:
        raise InvalidInputError("month", "must be a month: yyyy-mm") from None
    if not _FIRST_YEAR <= first.year <= _LAST_YEAR:
        raise InvalidInputError("month", f"must be in the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return first


def parse_types(given: Iterable[str]) -> list[str]:
    """Return the given modality types in the order of the form; all but SR if none is given.

    Raises:
        InvalidInputError: one of them is no type; names `type`.
    """
    wanted = {name.strip().upper() for name in given} - {""}
    if not wanted <= set(CODES):
        raise InvalidInputError("type", f"must be one of {', '.join(CODES)}")
    return [name for name in CODES if name in wanted or not (wanted or name == "SR")]


def calendar_json(
    session: Session, node: Node, types: Sequence[str], month: date, settings: Settings, now: datetime
) -> CalendarResult:
    """Return the month that begins with this day, and how far each type is proven up to now."""
    last = month.replace(day=calendar.monthrange(month.year, month.month)[1])
    clockwork = clockwork_of(node, settings, now)
    shown = _days_by_type(session, node, types, month, last, clockwork)
    today = settings.day_of(now)
    recent = shown
    if not month <= today <= last:
        recent = _days_by_type(session, node, types, today, today, clockwork)
    return {
        "node_id": node.id,
        "node": node.name,
        "month": f"{month:%Y-%m}",
        "at": iso(now),
        "types": [
            _type_json(name, [entry for entry in shown[name] if entry.day >= month], recent[name], clockwork)
            for name in types
        ],
    }


def clockwork_of(node: Node, settings: Settings, now: datetime) -> Clockwork:
    """Return what depends on the clock: days are those of the site, hours those of the node."""
    zone = parse_zone(settings.time_zone)
    windows, node_zone = parse_hours(node.hours), parse_zone(node.time_zone)

    def end_of_day(day: date) -> datetime:
        midnight = datetime.combine(day + timedelta(days=1), time_of_day())
        return midnight.replace(tzinfo=zone) if zone is not None else midnight.astimezone()

    def was_open(since: datetime, until: datetime) -> bool:
        return until - since > _OPEN_WITHIN or next_opening(windows, node_zone, since) <= until

    return Clockwork(now, end_of_day, was_open)


def _days_by_type(
    session: Session, node: Node, types: Sequence[str], first: date, last: date, clockwork: Clockwork
) -> dict[str, list[CalendarDay]]:
    """Return the days of each type from eight weeks before `first`, so that they can be compared."""
    begin = first - _BACK
    proofs = node_proofs(session, node.id, begin, last, clockwork.end_of_day)
    ledger = DayLedger(proofs, counts_of(node_numbers(session, node.id, begin, last)))
    return {name: calendar_days(ledger, name, begin, last, clockwork) for name in types}


def counts_of(numbers: NodeNumbers) -> dict[tuple[date, str], DayCounts]:
    """Return the numbers of settled and of open studies by day and type."""
    counts: dict[tuple[date, str], DayCounts] = {}
    for day, tally in numbers.days.items():
        settled: Counter[str] = Counter()
        for (type_name, _, _), number in tally.settled.items():
            settled[type_name] += number
        for type_name in {*settled, *tally.open}:
            counts[day, type_name] = DayCounts(settled[type_name], tally.open[type_name])
    return counts


def _type_json(
    name: str, days: Sequence[CalendarDay], recent: Sequence[CalendarDay], clockwork: Clockwork
) -> CalendarTypeResult:
    fresh: Freshness = freshness(recent)
    until = fresh.complete_until
    lag_s = None if until is None else int((clockwork.now - clockwork.end_of_day(until)).total_seconds())
    return {
        "type": name,
        "last_complete": None if fresh.last_complete is None else fresh.last_complete.isoformat(),
        "complete_until": None if until is None else until.isoformat(),
        "lag_s": lag_s,
        "days": [_day_json(entry) for entry in days],
    }


def _day_json(entry: CalendarDay) -> CalendarDayResult:
    return {
        "day": entry.day.isoformat(),
        "state": entry.state.value,
        "studies": entry.studies,
        "unsettled": entry.unsettled,
        "median": entry.median,
        "thin": entry.thin,
        "running": entry.running,
    }
