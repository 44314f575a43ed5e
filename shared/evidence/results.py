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
    """A station and type; an empty station: the PACS returns no station name.

    `header_studies` are those of the studies of which the store has headers without pixels.
    """

    station: str
    type: str
    first_day: str
    last_day: str
    software_versions: list[str]
    studies: int
    sources: SourceCounts
    header_studies: int
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
    """A study behind a number of the coverage, and the query that decided it.

    `stored_whole` and `stored_headers` are the numbers of its objects in the store, whole and as headers.
    """

    study_instance_uid: str
    accession_number: str
    day: str
    station: str
    type: str
    source: str
    reason: str
    job_id: str
    stored_whole: int
    stored_headers: int


@with_config(_CLOSED)
class SideResult(TypedDict):
    """A side: a remote node with its query, or the store without one; `studies` are those of the types.

    `missing` counts the windows and studies that the node did not return in full, `headers` the objects of
    these studies of which the store has only the header.
    """

    name: str
    kind: str
    query: str | None
    status: str
    complete: bool
    studies: int
    missing: int
    headers: int


@with_config(_CLOSED)
class DifferenceResult(TypedDict):
    """A study, series or object that only one side has; not `certain`: the other side is not complete."""

    only_in: str
    kind: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    objects: int
    certain: bool
    day: str
    type: str
    accession_number: str


@with_config(_CLOSED)
class ComparisonCounts(TypedDict):
    """Studies that both sides have, that could not be compared, and what only one side has."""

    both: int
    not_compared: int
    left_only_studies: int
    left_only_objects: int
    right_only_studies: int
    right_only_objects: int


@with_config(_CLOSED)
class ComparisonResult(TypedDict):
    """A comparison: waiting, incomplete, nothing_matched, nothing_differs or different.

    `differences` holds at most as many as the page or `limit` shows; the CSV has all.
    """

    id: str
    status: str
    requested_by: str
    requested_at: str
    left: SideResult
    right: SideResult
    counts: ComparisonCounts
    differences: list[DifferenceResult]


@with_config(_CLOSED)
class LineCounts(TypedDict):
    """Lines by state."""

    has_dose: int
    not_retrieved: int
    no_dose_object: int
    not_asked: int
    not_in_pacs: int


@with_config(_CLOSED)
class LineResult(TypedDict):
    """A line of the list: has_dose, not_retrieved, no_dose_object, not_asked or not_in_pacs.

    `detail` tells why it is not asked or not in the PACS; `job` is the query that decided the study;
    `headers` of its objects are stored without pixels.
    """

    line: int
    state: str
    detail: str
    accession_number: str
    study_instance_uid: str
    date: str | None
    room: str
    procedure: str
    type: str
    job: str
    headers: int


@with_config(_CLOSED)
class LineErrorResult(TypedDict):
    """A line that cannot be used."""

    line: int
    field: str
    problem: str


@with_config(_CLOSED)
class ReconciliationResult(TypedDict):
    """A list against the ledger of a node; weeks are named by their Monday, an empty room or week is none.

    `errors` holds at most 1000 of `number_of_errors`; of `header_lines` headers without pixels are stored.
    """

    node_id: int
    node: str
    at: str
    totals: LineCounts
    header_lines: int
    by_room: dict[str, LineCounts]
    by_week: dict[str, LineCounts]
    number_of_errors: int
    errors: list[LineErrorResult]
    lines: list[LineResult]
