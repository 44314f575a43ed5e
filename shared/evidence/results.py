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


@with_config(_CLOSED)
class SourceCounts(TypedDict):
    """Studies by where their dose is; `none`: nothing in them carries it."""

    report: int
    enhanced_sr: int
    unknown_sr: int
    images: int
    none: int


@with_config(_CLOSED)
class WeekResult(TypedDict):
    """A week, by its Monday."""

    week: str
    studies: int
    sources: SourceCounts


@with_config(_CLOSED)
class AlertResult(TypedDict):
    """stopped: reports came with most studies, and with none of the last ones; new: a station that is new."""

    kind: str
    since: str
    studies: int


@with_config(_CLOSED)
class StationResult(TypedDict):
    """A station and type; an empty station: the PACS returns no station name."""

    station: str
    type: str
    first_day: str
    last_day: str
    software_versions: list[str]
    studies: int
    sources: SourceCounts
    alerts: list[AlertResult]
    weeks: list[WeekResult]


@with_config(_CLOSED)
class CoverageResult(TypedDict):
    """The stations of a node.

    `not_settled` studies are found and not decided, and count nowhere else.
    """

    node_id: int
    node: str
    date_from: str
    date_until: str
    at: str
    not_settled: int
    stations: list[StationResult]


@with_config(_CLOSED)
class StationStudyResult(TypedDict):
    """A study behind a number of the coverage, and the query that decided it."""

    study_instance_uid: str
    accession_number: str
    day: str
    station: str
    type: str
    source: str
    reason: str
    job_id: str
