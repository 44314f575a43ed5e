"""Limits of a node as arithmetic: hours of the day, requests a minute, simultaneous associations. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

MAX_ASSOCIATIONS_DEFAULT, MAX_ASSOCIATIONS_MOST = 4, 64
REQUESTS_PER_MINUTE_MOST = 6000
HOURS_MAX_LENGTH = 200
TIME_ZONE_MAX_LENGTH = 64

_MINUTES_A_DAY = 24 * 60
_WINDOW = re.compile(r"(\d{2}):(\d{2})\s*-\s*(\d{2}):(\d{2})", re.ASCII)
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*)*")

#: A change of the clocks, or of the date line, can take away a whole day's hours.
_SEARCH = timedelta(days=3)

#: Seconds' worth of requests that may be sent without a pause.
_BURST_S = 1.0

#: Time without a refusal after which a node is tried with one more simultaneous association.
RECOVERY_STEP = timedelta(seconds=30)
#: Refusals so close to each other are one event: the associations were requested together.
_ONE_EVENT = timedelta(seconds=1)


# Hours of the day


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of the day by the clock on the wall, in minutes since midnight; the end is not in it.

    A window whose end is not after its start goes on past midnight.
    """

    start: int
    end: int

    def __contains__(self, minute: int) -> bool:
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end

    def __str__(self) -> str:
        return f"{_clock(self.start)}-{_clock(self.end)}"


def parse_hours(text: str) -> tuple[Window, ...]:
    """Read hours such as "18:00-06:00, 12:00-13:00"; an empty text means always.

    Raises:
        ValueError: it is no such text; the message names the expected form.
    """
    if not text.strip():
        return ()
    if len(text) > HOURS_MAX_LENGTH:
        raise ValueError(f"must have at most {HOURS_MAX_LENGTH} characters")
    return tuple(_window(part.strip()) for part in text.split(","))


def format_hours(windows: tuple[Window, ...]) -> str:
    """Return hours as they are kept."""
    return ",".join(map(str, windows))


def _window(text: str) -> Window:
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise ValueError('must be hours of the day such as "18:00-06:00", several separated by commas')
    hour, minute, end_hour, end_minute = map(int, found.groups())
    start, end = hour * 60 + minute, end_hour * 60 + end_minute
    if minute >= 60 or end_minute >= 60 or start >= _MINUTES_A_DAY or end > _MINUTES_A_DAY:  # noqa: PLR2004
        raise ValueError("must hold times from 00:00 to 24:00")
    if start == end:
        raise ValueError("must begin and end at different times; leave it empty for always")
    return Window(start, end)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def parse_zone(name: str) -> tzinfo | None:
    """Return the time zone of this name in the IANA database; none for an empty name: the server's own.

    Raises:
        ValueError: there is no such zone.
    """
    if not name:
        return None
    problem = 'must be a time zone of the IANA database, such as "Europe/Berlin"'
    if len(name) > TIME_ZONE_MAX_LENGTH or not _ZONE.fullmatch(name):
        raise ValueError(problem)
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError):
        raise ValueError(problem) from None


def is_open(windows: tuple[Window, ...], zone: tzinfo | None, now: datetime) -> bool:
    """Return whether the local time of that zone lies within the hours."""
    if not windows:
        return True
    there = now.astimezone(zone)
    minute = there.hour * 60 + there.minute
    return any(minute in window for window in windows)


def next_opening(windows: tuple[Window, ...], zone: tzinfo | None, now: datetime) -> datetime:
    """Return the first whole minute from now on, in UTC, that lies within the hours; `now` if it does.

    It checks the local time minute by minute, so that hours which a change of the clocks skips, repeats
    or cuts short are what people on the spot take them for.
    """
    if is_open(windows, zone, now):
        return now
    start = now.astimezone(UTC).replace(second=0, microsecond=0)
    for minutes in range(1, _SEARCH // timedelta(minutes=1)):
        moment = start + timedelta(minutes=minutes)
        if is_open(windows, zone, moment):
            return moment
    return start + _SEARCH


# Limits of a node


@dataclass(frozen=True, slots=True)
class Limits:
    """What the administrators of a node allow."""

    name: str
    max_associations: int
    #: None: no limit.
    requests_per_minute: int | None
    windows: tuple[Window, ...]
    #: None: the server's own.
    zone: tzinfo | None
    #: Who paused the node, and since when; empty if nobody did.
    paused: str = ""
    #: Until when its fuse has blown, and why.
    blown_until: datetime | None = None
    blown_note: str = ""

    def closed_until(self, now: datetime) -> datetime | None:
        """Return when the node's hours begin; None if they allow requests now."""
        return None if is_open(self.windows, self.zone, now) else next_opening(self.windows, self.zone, now)

    def on_the_wall(self, moment: datetime) -> str:
        """Return the time of day in the node's zone."""
        return f"{moment.astimezone(self.zone):%H:%M}"


# Requests a minute


@dataclass(frozen=True, slots=True)
class Bucket:
    """Requests that may be sent, as of a moment; below zero where some are promised for later."""

    tokens: float
    at: datetime

    def reserve(self, requests_per_minute: int, now: datetime) -> tuple[Bucket, float]:
        """Take one request out; return what is left, and in how many seconds the request may be sent.

        In any t seconds at most t * requests_per_minute / 60 + burst requests may be sent.
        """
        filled = self.filled(requests_per_minute, now)
        left = replace(filled, tokens=filled.tokens - 1)
        return left, max(0.0, -left.tokens * 60 / requests_per_minute)

    def give_back(self, requests_per_minute: int, now: datetime) -> Bucket:
        """Put back one request that was not sent."""
        filled = self.filled(requests_per_minute, now)
        return replace(filled, tokens=min(filled.tokens + 1, burst(requests_per_minute)))

    def filled(self, requests_per_minute: int, now: datetime) -> Bucket:
        """Return it as of now; a clock that went back changes nothing."""
        elapsed_s = (now - self.at).total_seconds()
        if elapsed_s <= 0:
            return replace(self, tokens=min(self.tokens, burst(requests_per_minute)))
        tokens = self.tokens + elapsed_s * requests_per_minute / 60
        return Bucket(min(tokens, burst(requests_per_minute)), now)


def burst(requests_per_minute: int) -> float:
    """Return how many requests may be sent without a pause."""
    return max(1.0, requests_per_minute / 60 * _BURST_S)


# Congestion


@dataclass(frozen=True, slots=True)
class Slowdown:
    """Simultaneous associations that a node was found to accept, and when it last refused one."""

    associations: int
    at: datetime

    def allowed(self, max_associations: int, now: datetime) -> int:
        """Return how many are allowed now: one more for each half minute without a refusal."""
        steps = max(0, (now - self.at) // RECOVERY_STEP)
        return max(1, min(max_associations, self.associations + steps))

    def is_over(self, max_associations: int, now: datetime) -> bool:
        """Return whether nothing of it is left."""
        return self.allowed(max_associations, now) >= max_associations


def refused(before: Slowdown | None, max_associations: int, standing: int, now: datetime) -> Slowdown:
    """Return what follows from an association that the node refused for congestion while `standing` stood.

    Half of what was allowed, and no more than stood; never less than one.
    """
    if before is not None and abs(now - before.at) < _ONE_EVENT:
        return replace(before, at=max(before.at, now))
    allowed = before.allowed(max_associations, now) if before is not None else max_associations
    return Slowdown(max(1, min(allowed // 2, standing)), now)
