"""Lines of cron: minute, hour, day of the month, month, day of the week. Pure.

The five fields of crontab(5) without its extensions: lists, ranges, steps after `*` or a range, English
names of months and days. Where both fields of days are restricted, a day that fits either of them counts; a
field that begins with `*` restricts nothing in this sense, as in Vixie cron.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time

LINE_MAX_LENGTH = 200

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_WEEKDAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
#: Sunday is 0 and 7.
_SUNDAY, _SUNDAY_TOO = 0, 7
#: A leap year: it has every day of the calendar.
_LEAP_YEAR = 2024


@dataclass(frozen=True, slots=True)
class _Field:
    """One of the five fields."""

    name: str
    least: int
    most: int
    names: Mapping[str, int]


_MINUTE = _Field("minute", 0, 59, {})
_HOUR = _Field("hour", 0, 23, {})
_DAY = _Field("day of the month", 1, 31, {})
_MONTH = _Field("month", 1, 12, _MONTHS)
_WEEKDAY = _Field("day of the week", 0, 7, _WEEKDAYS)
_FIELDS = (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)


@dataclass(frozen=True, slots=True)
class CronLine:
    """A parsed line."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    #: 0 is Sunday.
    weekdays: frozenset[int]
    #: Whether a day has to fit only one of the two fields of days.
    either_day: bool

    def matches(self, day: date) -> bool:
        """Return whether it is due on this day."""
        if day.month not in self.months:
            return False
        fits = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return any(fits) if self.either_day else all(fits)

    def times(self) -> Sequence[time]:
        """Return the times of such a day at which it is due, in their order."""
        return [time(hour, minute) for hour in self.hours for minute in self.minutes]


def parse_cron(line: str) -> CronLine:
    """Read a line.

    Raises:
        ValueError: it is none, or never due; the message names the field.
    """
    if len(line) > LINE_MAX_LENGTH:
        raise ValueError(f"must have at most {LINE_MAX_LENGTH} characters")
    texts = line.split()
    if len(texts) != len(_FIELDS):
        raise ValueError(
            "a cron line has five fields: minute, hour, day of the month, month, day of the week; "
            f"this has {len(texts)}"
        )
    minutes, hours, days, months, weekdays = map(_values, _FIELDS, texts)
    weekdays = {_SUNDAY if weekday == _SUNDAY_TOO else weekday for weekday in weekdays}
    either_day = not texts[2].startswith("*") and not texts[4].startswith("*")
    if not either_day and not any(_has_day(month, days) for month in months):
        raise ValueError("is never due: none of these months has such a day")
    return CronLine(
        tuple(sorted(minutes)),
        tuple(sorted(hours)),
        frozenset(days),
        frozenset(months),
        frozenset(weekdays),
        either_day,
    )


def _has_day(month: int, days: set[int]) -> bool:
    return min(days) <= calendar.monthrange(_LEAP_YEAR, month)[1]


def _values(field: _Field, text: str) -> set[int]:
    values: set[int] = set()
    for item in text.split(","):
        values |= _item(field, item)
    return values


def _item(field: _Field, text: str) -> set[int]:
    """Return the values of one item of a list: a value, or `*` or a range, with or without a step."""
    span, slash, step_text = text.partition("/")
    first_text, dash, last_text = span.partition("-")
    if span == "*":
        first, last = field.least, field.most
        if field is _WEEKDAY:
            last -= 1
    elif dash:
        first, last = _value(field, first_text, text), _value(field, last_text, text)
        if field is _WEEKDAY and last == _SUNDAY < first:
            last = _SUNDAY_TOO
        if first > last:
            raise _wrong(
                field, text, f"a range goes from the lower to the higher of {field.least} to {field.most}"
            )
    elif slash:
        raise _wrong(field, text, "a step stands behind * or a range")
    else:
        return {_value(field, span, text)}
    return set(range(first, last + 1, _step(field, step_text, text) if slash else 1))


def _step(field: _Field, text: str, item: str) -> int:
    width = field.most - field.least
    if not _is_number(text) or not 1 <= int(text) <= width:
        raise _wrong(field, item, f"a step is a number from 1 to {width}")
    return int(text)


def _value(field: _Field, text: str, item: str) -> int:
    named = field.names.get(text.lower())
    if named is not None:
        return named
    if not _is_number(text) or not field.least <= int(text) <= field.most:
        names = f", or {', '.join(field.names)}" if field.names else ""
        raise _wrong(field, item, f"values are {field.least} to {field.most}{names}")
    return int(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 2  # noqa: PLR2004 - no value has three digits


def _wrong(field: _Field, item: str, why: str) -> ValueError:
    return ValueError(f"{field.name}: {item[:20]!r} is not possible; {why}")
