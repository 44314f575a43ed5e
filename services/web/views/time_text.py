"""Durations, ages and ranges of days as text for people; pure."""

from __future__ import annotations

from datetime import date, datetime

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400
EN_DASH = "\N{EN DASH}"


def span(seconds: float) -> str:
    """Return how long something took: `38 s`, `1 min 38 s`, `2 h 5 min`, `3 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 1:
        return "under 1 s"
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return _two(whole, _MINUTE_S, "min", 1, "s")
    if whole < _DAY_S:
        return _two(whole, _HOUR_S, "h", _MINUTE_S, "min")
    return _two(whole, _DAY_S, "d", _HOUR_S, "h")


def _two(whole: int, large: int, large_unit: str, small: int, small_unit: str) -> str:
    rest = whole % large // small
    text = f"{whole // large} {large_unit}"
    return f"{text} {rest} {small_unit}" if rest else text


def age(moment: datetime, now: datetime) -> str:
    """Return how long ago something was, in one unit: `just now`, `3 min ago`, `2 days ago`."""
    seconds = (now - moment).total_seconds()
    if seconds < -_MINUTE_S:
        return f"in {_one_unit(-seconds)}"
    return "just now" if seconds < _MINUTE_S else f"{_one_unit(seconds)} ago"


def _one_unit(seconds: float) -> str:
    if seconds < _HOUR_S:
        return f"{int(seconds // _MINUTE_S)} min"
    if seconds < _DAY_S:
        return f"{int(seconds // _HOUR_S)} h"
    days = int(seconds // _DAY_S)
    return f"{days} day{'s' if days > 1 else ''}"


def days_text(first: date, last: date) -> str:
    """Return a range of days without repeating month and year: `1-25 Nov 2024`."""
    end = f"{last.day} {last:%b %Y}"
    if first == last:
        return end
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}{EN_DASH}{end}"
    begin = f"{first.day} {first:%b}" if first.year == last.year else f"{first.day} {first:%b %Y}"
    return f"{begin} {EN_DASH} {end}"


def day_heading(day: date, today: date) -> str:
    """Return a day as the heading of a diary: `Today`, `Yesterday`, `Mon 25 Nov 2024`."""
    ago = (today - day).days
    if ago in (0, 1):
        return ("Today", "Yesterday")[ago]
    return f"{day:%a} {day.day} {day:%b %Y}"
