"""When a schedule is due, in its time zone. Pure.

Times are by the clock on the wall. One that the clocks skip is due at the next that exists, one that they
show twice is due at the first of the two. Only "every N minutes" goes on by elapsed time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from shared.contract.criteria_fields import format_time, parse_time
from shared.schedules.cron import LINE_MAX_LENGTH, CronLine, parse_cron

__all__ = ["LINE_MAX_LENGTH", "Recurrence", "moment_of", "next_due", "parse_recurrence", "previous_due"]

MINUTES_MOST = 24 * 60

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
#: Two time zones, or a zone before and after a change, lie less than this apart.
_FARTHEST = timedelta(hours=27)
#: The 29th of February can be eight years away, around a year such as 2100.
_DAYS_SEARCHED = 9 * 366
_SATURDAY = 6
_EVERY = re.compile(r"every\s+([0-9]{1,5})\s+minutes?", re.IGNORECASE)
_AT = re.compile(r"(daily|weekdays)\s+(?:at\s+)?(\S+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Recurrence:
    """When something is due: every so many minutes, or at times of some days."""

    #: As it is kept and shown.
    text: str
    every_minutes: int = 0
    #: Which days, and at which times of such a day, in their order; not for `every_minutes`.
    on: Callable[[date], bool] = bool
    times: Sequence[time] = ()


def parse_recurrence(text: str) -> Recurrence:
    """Read `every 60 minutes`, `daily 06:30`, `weekdays 06:30` or the five fields of a cron line.

    Raises:
        ValueError: it is none of these; the message names what is wrong.
    """
    text = " ".join(text.split())
    if every := _EVERY.fullmatch(text):
        return _every(int(every[1]))
    if at := _AT.fullmatch(text):
        at_time, days = parse_time(at[2]), at[1].lower()
        on = _on_weekdays if days == "weekdays" else _always
        return Recurrence(f"{days} {format_time(at_time)}", on=on, times=(at_time,))
    if text[:1].isalpha() or not text:
        raise ValueError(
            'must be such as "every 60 minutes", "daily 06:30", "weekdays 06:30", or a cron line such as '
            '"30 6 * * mon-fri"'
        )
    line: CronLine = parse_cron(text)
    return Recurrence(text, on=line.matches, times=tuple(line.times()))


def next_due(recurrence: Recurrence, zone: tzinfo | None, after: datetime) -> datetime:
    """Return the first due time after this moment, in UTC.

    Raises:
        ValueError: there is none; `parse_recurrence` lets no such recurrence through.
    """
    if recurrence.every_minutes:
        step = timedelta(minutes=recurrence.every_minutes)
        return after + step - (after - _EPOCH) % step
    first = after.astimezone(zone).date() - _DAY
    for offset in range(_DAYS_SEARCHED):
        for due in _due_on(recurrence, zone, first + offset * _DAY):
            if due > after:
                return due
    raise ValueError(f"{recurrence.text} is never due")


def previous_due(
    recurrence: Recurrence, zone: tzinfo | None, until: datetime, after: datetime
) -> datetime | None:
    """Return the last due time until this moment and after the other one, in UTC; None if there is none."""
    due = _previous_due(recurrence, zone, until, after)
    return due if due is not None and due > after else None


def _previous_due(
    recurrence: Recurrence, zone: tzinfo | None, until: datetime, after: datetime
) -> datetime | None:
    if recurrence.every_minutes:
        return until - (until - _EPOCH) % timedelta(minutes=recurrence.every_minutes)
    day, oldest = until.astimezone(zone).date() + _DAY, after.astimezone(zone).date() - _DAY
    while day >= oldest:
        for due in reversed(list(_due_on(recurrence, zone, day))):
            if due <= until:
                return due
        day -= _DAY
    return None


def moment_of(wall: datetime, zone: tzinfo | None) -> datetime:
    """Return the moment, in UTC, at which the clocks of a zone first show this time or a later one.

    `wall` has no time zone itself; None as zone: that of the machine.
    """
    moment = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _wall(moment, zone) == wall:
        return moment
    # The clocks skip it: search for the moment at which they are moved.
    before, behind = moment - _FARTHEST, moment + _FARTHEST
    while behind - before > _SECOND:
        middle = before + (behind - before) / 2
        if _wall(middle, zone) < wall:
            before = middle
        else:
            behind = middle
    return behind.replace(microsecond=0)


def _wall(moment: datetime, zone: tzinfo | None) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _due_on(recurrence: Recurrence, zone: tzinfo | None, day: date) -> Iterator[datetime]:
    """Yield the due times of a day of the zone, each once."""
    last: datetime | None = None
    for at in recurrence.times if recurrence.on(day) else ():
        due = moment_of(datetime.combine(day, at), zone)
        if due != last:
            yield due
        last = due


def _every(minutes: int) -> Recurrence:
    if not 1 <= minutes <= MINUTES_MOST:
        raise ValueError(f"every 1 to {MINUTES_MOST} minutes")
    return Recurrence(f"every {minutes} minutes", every_minutes=minutes)


def _always(_day: date) -> bool:
    return True


def _on_weekdays(day: date) -> bool:
    return day.isoweekday() < _SATURDAY
