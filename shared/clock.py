"""The clock, in UTC, as a function that tests replace by passing another one; and times as text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import overload

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time now, aware, in UTC."""
    return datetime.now(tz=UTC)


@overload
def iso(moment: datetime) -> str: ...


@overload
def iso(moment: datetime | None) -> str | None: ...


def iso(moment: datetime | None) -> str | None:
    """Return a time as text (RFC 3339, UTC)."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
