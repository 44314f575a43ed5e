"""Rates and times left, as text for people; pure."""

from __future__ import annotations

_MINUTE_S, _HOUR_S = 60, 3600


def rate_text(per_s: float, left_s: float | None, singular: str, plural: str) -> str:
    """Return a rate by second or minute, and the time left where it is known."""
    rate, unit = (per_s, "second") if per_s >= 1 else (per_s * _MINUTE_S, "minute")
    text = f"{rate:.1f} {singular if rate == 1 else plural} a {unit}"
    return text if left_s is None else f"{text}, about {duration(left_s)} left"


def duration(seconds: float) -> str:
    """Return a duration as text, rounded up to seconds or minutes."""
    whole = int(seconds) + 1
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{-(-whole // _MINUTE_S)} min"
    hours, rest = divmod(-(-whole // _MINUTE_S), 60)
    return f"{hours} h {rest} min"
