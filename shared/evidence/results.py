"""The forms of the JSON results: what the readings return and the HTTP API describes."""

from __future__ import annotations

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

_CLOSED = ConfigDict(extra="forbid")


@with_config(_CLOSED)
class CalendarDayResult(TypedDict):
    """A day: not_due, closed, not_asked, empty, complete, holes or thin.

    `studies` are settled, `unsettled` found and not fully decided; `median` is that of the same weekdays of
    the eight weeks before; `running`: a query that runs covers what is left.
    """

    day: str
    state: str
    studies: int
    unsettled: int
    median: float | None
    thin: bool
    running: bool


@with_config(_CLOSED)
class CalendarTypeResult(TypedDict):
    """The days of one type, and how far it is proven up to now.

    `complete_until` is the last day before which no day of the last eight weeks has a hole; `lag_s` is the
    time since its end, in seconds.
    """

    type: str
    last_complete: str | None
    complete_until: str | None
    lag_s: int | None
    days: list[CalendarDayResult]


@with_config(_CLOSED)
class CalendarResult(TypedDict):
    """A month of a node."""

    node_id: int
    node: str
    month: str
    at: str
    types: list[CalendarTypeResult]
