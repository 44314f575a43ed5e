"""Durations, ages and ranges of days as text for people, in the language of the page."""

from __future__ import annotations

from datetime import date, datetime

from services.web.language import date_text, gettext, ngettext

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400
EN_DASH = "\N{EN DASH}"


def span(seconds: float) -> str:
    """Return how long something took: `38 s`, `1 min 38 s`, `2 h 5 min`, `3 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 1:
        return gettext("under 1 s")
    if whole < _MINUTE_S:
        return gettext("%(number)s s", number=whole)
    if whole < _HOUR_S:
        return _two(minutes=whole // _MINUTE_S, seconds=whole % _MINUTE_S)
    if whole < _DAY_S:
        return _two(hours=whole // _HOUR_S, minutes=whole % _HOUR_S // _MINUTE_S)
    return _two(days=whole // _DAY_S, hours=whole % _DAY_S // _HOUR_S)


def _two(*, days: int = 0, hours: int = 0, minutes: int = 0, seconds: int = 0) -> str:
    parts = [gettext("%(number)s d", number=days)] if days else []
    parts += [gettext("%(number)s h", number=hours)] if hours else []
    parts += [gettext("%(number)s min", number=minutes)] if minutes else []
    parts += [gettext("%(number)s s", number=seconds)] if seconds else []
    return " ".join(parts)


def age(moment: datetime, now: datetime) -> str:
    """Return how long ago something was, in one unit: `just now`, `3 min ago`, `2 days ago`."""
    seconds = (now - moment).total_seconds()
    if seconds < -_MINUTE_S:
        return gettext("in %(duration)s", duration=_one_unit(-seconds))
    if seconds < _MINUTE_S:
        return gettext("just now")
    return gettext("%(duration)s ago", duration=_one_unit(seconds))


def _one_unit(seconds: float) -> str:
    if seconds < _HOUR_S:
        return gettext("%(number)s min", number=int(seconds // _MINUTE_S))
    if seconds < _DAY_S:
        return gettext("%(number)s h", number=int(seconds // _HOUR_S))
    days = int(seconds // _DAY_S)
    return ngettext("%(number)s day", "%(number)s days", days, number=days)


def days_text(first: date, last: date) -> str:
    """Return a range of days without repeating month and year: `1-25 Nov 2024`."""
    end = date_text(last, gettext("d MMM yyyy"))
    if first == last:
        return end
    if (first.year, first.month) == (last.year, last.month):
        begin = date_text(first, gettext("d"))
        return f"{begin}{EN_DASH}{end}"
    pattern = gettext("d MMM") if first.year == last.year else gettext("d MMM yyyy")
    begin = date_text(first, pattern)
    return f"{begin} {EN_DASH} {end}"


def day_heading(day: date, today: date) -> str:
    """Return a day as the heading of a diary: `Today`, `Yesterday`, `Mon 25 Nov 2024`."""
    ago = (today - day).days
    if ago in (0, 1):
        return (gettext("Today"), gettext("Yesterday"))[ago]
    return date_text(day, gettext("EEE d MMM yyyy"))
