"""What the next run of a schedule covers, and how far everything before is complete. Pure.

The watermark is the moment up to which every window since the beginning is complete. A run covers from there,
less an overlap, until now, less the time in which studies settle; of what was incomplete, the holes, all. Old
days are covered once more some days later, for what arrived late.

C-FIND is by days: whole days of the zone are requested, also where a window is a part of one. Times of
studies are often absent, or those of another clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from shared.contract.criteria_fields import DateRange
from shared.schedules.recurrence import moment_of

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CoverageRules:
    """How windows follow each other."""

    overlap: timedelta = timedelta(hours=1)
    #: How long studies settle: reports come hours after images.
    settle_lag: timedelta = timedelta(hours=2)
    #: Days after which a day is covered once more, lowest first.
    late_days: tuple[int, ...] = (1, 7)


@dataclass(frozen=True, slots=True)
class Span:
    """From a moment until another one, in UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Completeness:
    """How far everything since the beginning is complete."""

    #: The first moment that it covers.
    begin: datetime
    #: Where its last window ended.
    covered_until: datetime
    #: What was not complete before that, in order.
    holes: tuple[Span, ...] = ()
    #: For each number of `late_days`: the last day that is done.
    late_until: Mapping[int, date] = field(default_factory=dict)
    #: Days whose late coverage was not complete.
    late_holes: tuple[DateRange, ...] = ()

    @property
    def watermark(self) -> datetime:
        """The moment up to which everything since the beginning is complete."""
        return min([self.covered_until, *(hole.start for hole in self.holes)])


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run covers."""

    #: The moment from which its windows are reckoned, and where the last one ends.
    at: datetime
    until: datetime
    #: Holes and the new window, in order.
    spans: tuple[Span, ...]
    #: Days that are covered once more.
    late: tuple[DateRange, ...]
    #: All of it as days, in order, none twice.
    days: tuple[DateRange, ...]


def begin(first_day: date, zone: tzinfo | None) -> Completeness:
    """Return the completeness of a schedule that covers from this day of its zone on."""
    start = _midnight(first_day, zone)
    return Completeness(begin=start, covered_until=start)


def plan_run(
    completeness: Completeness, zone: tzinfo | None, now: datetime, rules: CoverageRules
) -> RunPlan | None:
    """Return what a run covers that begins now; None if there is nothing yet."""
    now = now.replace(microsecond=0)
    until = max(now - rules.settle_lag, completeness.covered_until)
    windows = _windows(completeness, until)
    # With nothing new, a run that somebody wants covers the overlap once more.
    ended = [Span(completeness.covered_until, completeness.covered_until)]
    reached = (
        Span(max(completeness.begin, window.start - rules.overlap), window.end) for window in windows or ended
    )
    spans = [span for span in reached if span.start < span.end]
    late = _merged([*completeness.late_holes, *_late_days(completeness, zone, now, rules)])
    days = _merged([*(_days_of(span, zone) for span in spans), *late])
    if not days:
        return None
    return RunPlan(now, until, tuple(_joined(spans)), late, days)


def conclude(
    completeness: Completeness,
    plan: RunPlan,
    incomplete: Collection[date] | None,
    zone: tzinfo | None,
    rules: CoverageRules,
) -> Completeness:
    """Return the completeness after a run: past all of it but the days that are incomplete (None: all)."""

    def is_incomplete(day: date) -> bool:
        return incomplete is None or day in incomplete

    # Without the overlap: what was complete before stays so, and the watermark never goes back.
    windows = _windows(completeness, plan.until)
    holes = _joined(part for window in windows for day, part in _by_day(window, zone) if is_incomplete(day))
    late_holes = _merged(
        DateRange(date_from=day, date_until=day)
        for days in plan.late
        for day in _each_day(days)
        if is_incomplete(day)
    )
    return replace(
        completeness,
        covered_until=max(plan.until, completeness.covered_until),
        holes=tuple(holes),
        late_until=_late_until(completeness, plan, zone, rules),
        late_holes=late_holes,
    )


def _windows(completeness: Completeness, until: datetime) -> list[Span]:
    """Return what is not known to be complete: the holes, and what is new."""
    new = Span(completeness.covered_until, until)
    return [*completeness.holes, *([new] if new.start < new.end else [])]


def _late_days(
    completeness: Completeness, zone: tzinfo | None, now: datetime, rules: CoverageRules
) -> Iterator[DateRange]:
    """Yield the days that ended so many days ago and have been covered only before that."""
    covered = _last_whole_day(completeness.covered_until, zone)
    for number in rules.late_days:
        first = _late_done(completeness, number, zone) + _DAY
        last = min(covered, _last_whole_day(now - number * _DAY, zone))
        if first <= last:
            yield DateRange(date_from=first, date_until=last)


def _late_until(
    completeness: Completeness, plan: RunPlan, zone: tzinfo | None, rules: CoverageRules
) -> dict[int, date]:
    """Return the marks after a run; what it covered for the first time, but so late, needs no second time."""
    covered = _last_whole_day(plan.until, zone)
    return {
        number: max(
            _late_done(completeness, number, zone),
            min(covered, _last_whole_day(plan.at - number * _DAY, zone)),
        )
        for number in rules.late_days
    }


def _late_done(completeness: Completeness, number: int, zone: tzinfo | None) -> date:
    return completeness.late_until.get(number) or _last_whole_day(completeness.begin, zone)


def _last_whole_day(moment: datetime, zone: tzinfo | None) -> date:
    """Return the last day of the zone that has ended at this moment."""
    return moment.astimezone(zone).date() - _DAY


def _days_of(span: Span, zone: tzinfo | None) -> DateRange:
    last = span.end - timedelta(microseconds=1)
    return DateRange(date_from=span.start.astimezone(zone).date(), date_until=last.astimezone(zone).date())


def _by_day(span: Span, zone: tzinfo | None) -> Iterator[tuple[date, Span]]:
    """Yield the parts of a span that lie in each day of the zone."""
    for day in _each_day(_days_of(span, zone)):
        start = max(span.start, _midnight(day, zone))
        end = min(span.end, _midnight(day + _DAY, zone))
        if start < end:
            yield day, Span(start, end)


def _midnight(day: date, zone: tzinfo | None) -> datetime:
    return moment_of(datetime.combine(day, time()), zone)


def _each_day(days: DateRange) -> Iterator[date]:
    day = days.date_from
    while day <= days.date_until:
        yield day
        day += _DAY


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Return spans in order, those that touch as one."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        if joined and span.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return joined


def _merged(days: Iterable[DateRange]) -> tuple[DateRange, ...]:
    """Return ranges of days in order, those that touch as one."""
    merged: list[DateRange] = []
    for part in sorted(days, key=lambda part: part.date_from):
        if merged and part.date_from <= merged[-1].date_until + _DAY:
            last = max(merged[-1].date_until, part.date_until)
            merged[-1] = DateRange(date_from=merged[-1].date_from, date_until=last)
        else:
            merged.append(part)
    return tuple(merged)


# As the ledger keeps it


def completeness_json(completeness: Completeness) -> dict[str, object]:
    """Return plain values; `read_completeness` of them gives an equal completeness."""
    return {
        "begin": _text(completeness.begin),
        "covered_until": _text(completeness.covered_until),
        "holes": [_span_json(hole) for hole in completeness.holes],
        "late_until": {str(number): day.isoformat() for number, day in completeness.late_until.items()},
        "late_holes": [days.model_dump(mode="json") for days in completeness.late_holes],
    }


def read_completeness(values: Mapping[str, object]) -> Completeness:
    """Return the completeness of plain values."""
    late_until = _mapping(values["late_until"])
    return Completeness(
        begin=_moment(values["begin"]),
        covered_until=_moment(values["covered_until"]),
        holes=_spans(values["holes"]),
        late_until={int(number): date.fromisoformat(str(day)) for number, day in late_until.items()},
        late_holes=_ranges(values["late_holes"]),
    )


def plan_json(plan: RunPlan) -> dict[str, object]:
    """Return plain values; `read_plan` of them gives an equal plan."""
    return {
        "at": _text(plan.at),
        "until": _text(plan.until),
        "spans": [_span_json(span) for span in plan.spans],
        "late": [days.model_dump(mode="json") for days in plan.late],
        "days": [days.model_dump(mode="json") for days in plan.days],
    }


def read_plan(values: Mapping[str, object]) -> RunPlan:
    """Return the plan of plain values."""
    return RunPlan(
        at=_moment(values["at"]),
        until=_moment(values["until"]),
        spans=_spans(values["spans"]),
        late=_ranges(values["late"]),
        days=_ranges(values["days"]),
    )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _moment(value: object) -> datetime:
    return datetime.fromisoformat(str(value))


def _span_json(span: Span) -> list[str]:
    return [_text(span.start), _text(span.end)]


def _spans(value: object) -> tuple[Span, ...]:
    return tuple(Span(_moment(start), _moment(end)) for start, end in _items(value))


def _ranges(value: object) -> tuple[DateRange, ...]:
    return tuple(DateRange.model_validate(days) for days in _items(value))


def _items(value: object) -> Sequence[Sequence[object]]:
    assert isinstance(value, list)
    return value


def _mapping(value: object) -> Mapping[str, object]:
    assert isinstance(value, dict)
    return value
