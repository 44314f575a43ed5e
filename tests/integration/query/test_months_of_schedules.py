"""Months of a schedule with three replicas that die at random: no gap, nothing twice, nothing too early."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from services.query.ledger.schedule_runs import incomplete_days
from services.query.scheduler import Scheduler
from shared.database.models import Query, Schedule, ScheduleRun
from shared.database.session import Database, Session
from shared.errors import DatabaseAwayError
from shared.schedules.recurrence import parse_recurrence, previous_due
from shared.schedules.watermark import RunPlan, Span, read_completeness, read_plan
from tests.support.jobs.schedules import SITE, HandDrivenQueries, plan_nightly

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


@dataclass
class Clock:
    """A clock that a test sets."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


class Killed(BaseException):
    """A replica is dead: nothing catches it."""


class Grave(Database):
    """A database whose client dies now and then, before or after a commit, and that is away at times."""

    chance: random.Random
    away = False

    @contextmanager
    def write(self) -> Iterator[Session]:
        if self.away:
            raise DatabaseAwayError("away")
        with super().write() as session:
            yield session
            if self.chance.random() < 0.04:
                raise Killed
        if self.chance.random() < 0.04:
            raise Killed


@dataclass
class Pacs:
    """A PACS that is away for some days; each study has a report, some days late."""

    #: Of each study: when it was made, and when its report came.
    studies: list[tuple[datetime, datetime]]
    #: What was completely returned: each day, and when.
    returned: dict[date, list[datetime]] = field(default_factory=dict)
    away: bool = False

    def returns(self, day: date, now: datetime) -> bool:
        if not self.away:
            self.returned.setdefault(day, []).append(now)
        return not self.away

    def unfound(self, zone: ZoneInfo) -> list[tuple[datetime, datetime]]:
        return [
            (made, reported)
            for made, reported in self.studies
            if not any(found >= reported for found in self.returned.get(made.astimezone(zone).date(), ()))
        ]


@pytest.mark.parametrize(
    ("begin", "end", "when"),
    [
        ("2024-03-12T12:00", "2024-05-04T12:00", "every 300 minutes"),
        ("2024-10-08T12:00", "2024-11-30T12:00", "30 2,14 * * *"),
    ],
)
def test_months_of_three_mortal_replicas_leave_no_gap(sqlite_url, begin, end, when):
    # Given
    chance = random.Random(begin)
    first, last = at(begin), at(end)
    clock = Clock(first)
    database = Grave(sqlite_url)
    Grave.chance = random.Random(end)
    with_life(database, lambda: plan_nightly(database, first, when=when))
    queries = HandDrivenQueries(database, clock)
    replicas = [Scheduler(database, queries.begin, SITE, clock) for _ in range(3)]
    made = [first + timedelta(minutes=chance.randrange(60 * 24 * 50)) for _ in range(600)]
    pacs = Pacs([(moment, moment + timedelta(days=3) * chance.random()) for moment in made])
    ends: dict[str, datetime] = {}
    checks = Checks(database, when)
    # When
    while clock.now < last:
        clock.now += timedelta(minutes=chance.choice((5, 60, 150, 400)))
        now = clock.now
        pacs.away = chance.random() < 0.2 or (now - first).days in {20, 21, 22, 35, 36}
        database.away = (now - first).days % 13 == 5
        for query in queries.running():
            ends.setdefault(query.id, now + timedelta(minutes=chance.randrange(400)))
            if ends[query.id] <= now:
                with_life(database, partial(queries.end, query, partial(pacs.returns, now=now)))
        for replica in chance.sample(replicas, chance.randrange(4)):
            try:
                replica.tick()
            except (Killed, DatabaseAwayError):
                replicas[replicas.index(replica)] = Scheduler(database, queries.begin, SITE, clock)
        checks.after_step()
    # Then
    settled = [study for study in pacs.unfound(BERLIN) if study[0] < clock.now - timedelta(days=9)]
    assert settled == []
    checks.at_end(clock.now)
    database.close()


def with_life(database: Grave, work: Callable[[], object]) -> None:
    """Do what has nothing to do with replicas, whatever happens to them."""
    away, database.away = database.away, False
    chance, Grave.chance = Grave.chance, random.Random()
    Grave.chance.random = lambda: 1.0  # type: ignore[method-assign]
    try:
        work()
    finally:
        database.away, Grave.chance = away, chance


class Checks:
    """What holds after each step, and at the end."""

    def __init__(self, database: Database, when: str) -> None:
        self.database = database
        self.when = parse_recurrence(when)
        self.proven: list[Span] = []
        self.checked = 0
        self.watermark = datetime.min.replace(tzinfo=UTC)

    def after_step(self) -> None:
        with self.database.read() as session:
            schedule = session.get_one(Schedule, 1)
            running = list(session.scalars(select(Query.id).where(Query.status == "running")))
            new = [
                (read_plan(run.plan), incomplete_days(session, str(run.job_id)) or set())
                for run in session.scalars(select(ScheduleRun).where(ScheduleRun.id > self.checked))
                if run.plan is not None and run.ended_at is not None
            ]
            is_open = ScheduleRun.ended_at.is_(None)
            still_open = session.scalar(select(func.count()).where(is_open)) or 0
            newest = session.scalar(select(func.max(ScheduleRun.id)).where(~is_open))
        assert len(running) <= 1
        assert still_open <= 1
        self.checked = newest or 0
        for plan, failed in new:
            self._check_run(plan, failed)
        completeness = read_completeness(schedule.completeness)
        assert completeness.watermark == schedule.watermark >= self.watermark
        self.watermark = schedule.watermark
        assert not gaps(self.proven, completeness.begin, schedule.watermark)

    def _check_run(self, plan: RunPlan, failed: set[date]) -> None:
        twice = sum(
            (overlap(span, proven) for span in plan.spans for proven in self.proven), start=timedelta()
        )
        assert twice <= SITE.rules.overlap * len(plan.spans)
        for span in plan.spans:
            self.proven = joined(
                [*self.proven, *(part for part in by_day(span) if day_of(part) not in failed)]
            )

    def at_end(self, now: datetime) -> None:
        with self.database.read() as session:
            dues = list(session.scalars(select(ScheduleRun.due_at)))
        assert len(dues) == len(set(dues)) > 60
        for due in dues:
            assert previous_due(self.when, BERLIN, due, due - timedelta(seconds=1)) == due
        assert now - self.watermark < timedelta(days=4)


def day_of(span: Span) -> date:
    return span.start.astimezone(BERLIN).date()


def by_day(span: Span) -> list[Span]:
    """Return the parts of a span in each day."""
    parts, start = [], span.start
    while start < span.end:
        midnight = datetime.combine(start.astimezone(BERLIN).date() + timedelta(days=1), datetime.min.time())
        following = min(span.end, midnight.replace(tzinfo=BERLIN).astimezone(UTC))
        parts.append(Span(start, following))
        start = following
    return parts


def overlap(first: Span, second: Span) -> timedelta:
    return max(timedelta(), min(first.end, second.end) - max(first.start, second.start))


def joined(spans: list[Span]) -> list[Span]:
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def gaps(spans: list[Span], start: datetime, end: datetime) -> list[Span]:
    """Return what of the time from start to end no span covers."""
    found, reached = [], start
    for span in spans:
        if span.start > reached and reached < end:
            found.append(Span(reached, min(span.start, end)))
        reached = max(reached, span.end)
    return [*found, Span(reached, end)] if reached < end else found
