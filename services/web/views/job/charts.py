"""Charts of a query as plain geometry: stacked bars by day, bars by reason, response times of the PACS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate

from services.web.language import lazy_gettext

#: Size of a chart by day in the units of its view box.
WIDTH, HEIGHT, LEFT, BOTTOM = 720, 220, 44, 24
#: Days above which bars stand for months.
MOST_DAYS = 92


@dataclass(frozen=True, slots=True)
class ChartBar:
    """A rectangle of a chart; `series` is the place of its type, which decides its colour."""

    x: float
    y: float
    width: float
    height: float
    series: int
    text: str


@dataclass(frozen=True, slots=True)
class AxisLabel:
    """A text at a place of an axis."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class StackedChart:
    """Numbers by day, or month, and type."""

    types: list[str]
    rows: list[tuple[str, list[int]]]
    bars: list[ChartBar]
    ticks: list[AxisLabel]
    days: list[AxisLabel]
    #: What a row stands for: day or month.
    unit: str


def studies_by_day(counts: Iterable[tuple[str | None, str | None, int]]) -> StackedChart:
    """Return the chart of numbers by study date (DA, PS3.5 6.2) and type; without a date, by `no date`."""
    found = [(_day(text), kind or "other", number) for text, kind, number in counts]
    days = {day for day, _, _ in found}
    unit = "month" if len(days) > MOST_DAYS else "day"
    table: dict[str, dict[str, int]] = {}
    for day, kind, number in found:
        row = table.setdefault(day[:7] if unit == "month" and day != NO_DATE else day, {})
        row[kind] = row.get(kind, 0) + number
    types = sorted({kind for _, kind, _ in found})
    rows = [(name, [table[name].get(kind, 0) for kind in types]) for name in sorted(table)]
    top = nice(max((sum(numbers) for _, numbers in rows), default=0))
    return StackedChart(types, rows, _bars(types, rows, top), _ticks(top), _names(rows), unit)


NO_DATE = lazy_gettext("no date")


def _day(text: str | None) -> str:
    try:
        return date.fromisoformat(text or "").isoformat()
    except ValueError:
        return NO_DATE


def nice(most: int) -> int:
    """Return a round number that is not below."""
    size = 1
    while True:
        for factor in (1, 2, 5):
            if size * factor >= most:
                return max(size * factor, 1)
        size *= 10


def _step(rows: Sequence[object]) -> float:
    return (WIDTH - LEFT) / max(len(rows), 1)


def _bars(types: Sequence[str], rows: Sequence[tuple[str, list[int]]], top: int) -> list[ChartBar]:
    step, room = _step(rows), HEIGHT - BOTTOM - 8
    width = min(step * 0.8, 48.0)
    bars = []
    for place, (name, numbers) in enumerate(rows):
        x = LEFT + step * place + (step - width) / 2
        for series, (number, below) in enumerate(zip(numbers, accumulate([0, *numbers]), strict=False)):
            if number:
                height = room * number / top
                y = HEIGHT - BOTTOM - room * below / top - height
                text = f"{name}, {types[series]}: {number}"
                size = round(width, 1), round(height, 1)
                bars.append(ChartBar(round(x, 1), round(y, 1), *size, series, text))
    return bars


def _ticks(top: int) -> list[AxisLabel]:
    room = HEIGHT - BOTTOM - 8
    values = sorted({0, top // 2, top})
    return [
        AxisLabel(LEFT - 6, round(HEIGHT - BOTTOM - room * value / top, 1), str(value)) for value in values
    ]


def _names(rows: Sequence[tuple[str, list[int]]]) -> list[AxisLabel]:
    """Return names below the bars, as many as there is room for."""
    step, room = _step(rows), 80
    every = max(1, round(room / step + 0.5))
    return [
        AxisLabel(round(LEFT + step * (place + 0.5), 1), HEIGHT - 6, name)
        for place, (name, _) in enumerate(rows)
        if place % every == 0 and LEFT + step * (place + 0.5) <= WIDTH - room / 2
    ]


@dataclass(frozen=True, slots=True)
class ReasonBar:
    """Studies of one reason, and their part of the largest number in a hundred."""

    reason: str
    decision: str
    number: int
    percent: float


def reason_bars(kept: Mapping[str, int], dropped: Mapping[str, int]) -> list[ReasonBar]:
    """Return the reasons, the most frequent first, those of kept studies before the others."""
    most = max([*kept.values(), *dropped.values()], default=1)
    return [
        ReasonBar(reason, decision, number, round(100 * number / most, 1))
        for decision, counts in (("keep", kept), ("drop", dropped))
        for reason, number in sorted(counts.items(), key=lambda item: -item[1])
    ]


@dataclass(frozen=True, slots=True)
class ResponseTimes:
    """How long C-FINDs of one level took, in milliseconds."""

    level: str
    number: int
    median_ms: int
    p95_ms: int
    longest_ms: int
    #: Median and 95th percentile as parts of the longest in a hundred.
    median_percent: float
    p95_percent: float


def response_times(durations: Iterable[tuple[str, int]]) -> list[ResponseTimes]:
    """Return the times of each level, from the durations of single C-FINDs."""
    by_level: dict[str, list[int]] = {}
    for level, duration_ms in durations:
        by_level.setdefault(level, []).append(duration_ms)
    longest = max((max(times) for times in by_level.values()), default=0) or 1
    order = ("STUDY", "SERIES", "IMAGE")
    levels = sorted(by_level, key=lambda level: order.index(level) if level in order else len(order))
    return [_times(level, sorted(by_level[level]), longest) for level in levels]


def _times(level: str, times: Sequence[int], longest: int) -> ResponseTimes:
    median, p95 = times[len(times) // 2], times[min(len(times) - 1, len(times) * 95 // 100)]
    percents = (round(100 * value / longest, 1) for value in (median, p95))
    return ResponseTimes(level, len(times), median, p95, times[-1], *percents)
