"""Response times and requests of a node by day, as geometry of an SVG and as the rows of its table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from services.web.views.job.charts import BOTTOM, HEIGHT, LEFT, WIDTH, AxisLabel, ChartBar, nice
from shared.reading.lists.response_times import NodePace, by_day

#: Day labels that there is room for.
_LABELS = 10
#: Widest bar.
_WIDEST = 48.0


@dataclass(frozen=True, slots=True)
class PaceRow:
    """A day: requests, and median and 95th percentile of their durations where these were read."""

    day: date
    requests: int
    median_ms: int | None
    p95_ms: int | None


@dataclass(frozen=True, slots=True)
class PacePoint:
    """A duration of a day, with the line that it is on."""

    x: float
    y: float
    line: str
    text: str


@dataclass(frozen=True, slots=True)
class PaceChart:
    """Two lines of durations, a bar of requests for each day, and the table of all."""

    rows: list[PaceRow]
    median: str
    p95: str
    #: The points of the lines: a single day has no line.
    points: list[PacePoint]
    ticks: list[AxisLabel]
    days: list[AxisLabel]
    #: The requests of each day, to a scale of their own.
    bars: list[ChartBar]


def pace_chart(pace: NodePace, day_of: Callable[[datetime], date]) -> PaceChart:
    """Return the chart; `day_of` gives the day of a moment at the site."""
    requests = {
        day: sum(numbers) for day, numbers in by_day((day_of(at), n) for at, n in pace.requests).items()
    }
    durations = by_day((day_of(find.at), find.duration_ms) for find in pace.finds)
    rows = [_row(day, requests.get(day, 0), durations.get(day)) for day in sorted({*requests, *durations})]
    top = nice(max((row.p95_ms or 0 for row in rows), default=0))
    most = max((row.requests for row in rows), default=0) or 1
    step = (WIDTH - LEFT) / max(1, len(rows))
    places = [LEFT + step * (place + 0.5) for place in range(len(rows))]
    return PaceChart(
        rows,
        _line(zip(places, (row.median_ms for row in rows), strict=True), top),
        _line(zip(places, (row.p95_ms for row in rows), strict=True), top),
        [point for place, row in zip(places, rows, strict=True) for point in _points(row, place, top)],
        [AxisLabel(LEFT - 6, _y(value, top), f"{value}") for value in sorted({0, top // 2, top})],
        _labels(rows, places),
        [_bar(row, place, min(step * 0.6, _WIDEST), most) for place, row in zip(places, rows, strict=True)],
    )


def _row(day: date, requests: int, durations: list[int] | None) -> PaceRow:
    if not durations:
        return PaceRow(day, requests, None, None)
    ordered = sorted(durations)
    p95 = ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)]
    return PaceRow(day, requests, ordered[len(ordered) // 2], p95)


def _line(points: Iterable[tuple[float, int | None]], top: int) -> str:
    return " ".join(f"{round(x, 1)},{_y(value, top)}" for x, value in points if value is not None)


def _y(value: int, top: int) -> float:
    room = HEIGHT - BOTTOM - 8
    return round(HEIGHT - BOTTOM - room * value / (top or 1), 1)


def _points(row: PaceRow, place: float, top: int) -> list[PacePoint]:
    values = (("median", row.median_ms), ("p95", row.p95_ms))
    return [
        PacePoint(round(place, 1), _y(value, top), line, f"{row.day}: {value} ms")
        for line, value in values
        if value is not None
    ]


def _bar(row: PaceRow, place: float, width: float, most: int) -> ChartBar:
    y = _y(row.requests, most)
    height = round(HEIGHT - BOTTOM - y, 1)
    return ChartBar(round(place - width / 2, 1), y, round(width, 1), height, 0, f"{row.day}: {row.requests}")


def _labels(rows: Sequence[PaceRow], places: Sequence[float]) -> list[AxisLabel]:
    every = -(-len(rows) // _LABELS) or 1
    return [
        AxisLabel(round(x, 1), HEIGHT - 6, f"{row.day:%m-%d}")
        for place, (x, row) in enumerate(zip(places, rows, strict=True))
        if place % every == 0
    ]
