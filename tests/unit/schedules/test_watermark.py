"""The watermark moves only over complete windows; runs follow each other without a gap."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contract.criteria_fields import DateRange
from shared.schedules.watermark import (
    Completeness,
    CoverageRules,
    Span,
    begin,
    completeness_json,
    conclude,
    plan_json,
    plan_run,
    read_completeness,
    read_plan,
)
from tests.support.examples import examples

BERLIN = ZoneInfo("Europe/Berlin")
RULES = CoverageRules()
MONDAY = date(2024, 5, 6)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


def days(first: str, last: str = "") -> DateRange:
    return DateRange.model_validate({"date_from": first, "date_until": last or first})


def span(start: str, end: str) -> Span:
    return Span(at(start), at(end))


def after_run(
    completeness: Completeness, now: str, *incomplete: str, rules: CoverageRules = RULES
) -> Completeness:
    plan = plan_run(completeness, BERLIN, at(now), rules)
    assert plan is not None
    return conclude(completeness, plan, {date.fromisoformat(day) for day in incomplete}, BERLIN, rules)


def test_the_first_run_covers_from_the_first_day():
    # When
    plan = plan_run(begin(MONDAY, BERLIN), BERLIN, at("2024-05-06T12:00"), RULES)
    # Then
    assert plan is not None
    assert plan.spans == (span("2024-05-06T00:00", "2024-05-06T10:00"),)
    assert plan.days == (days("2024-05-06"),)


@pytest.mark.parametrize("now", ["2024-05-05T20:00", "2024-05-06T00:00", "2024-05-06T02:00"])
def test_before_anything_has_settled_there_is_nothing_to_cover(now):
    assert plan_run(begin(MONDAY, BERLIN), BERLIN, at(now), RULES) is None


def test_a_run_covers_from_the_watermark_less_the_overlap():
    # Given
    completeness = after_run(begin(MONDAY, BERLIN), "2024-05-07T02:30")
    # When
    plan = plan_run(completeness, BERLIN, at("2024-05-07T12:00"), RULES)
    # Then
    assert completeness.watermark == at("2024-05-07T00:30")
    assert plan is not None
    assert plan.spans == (span("2024-05-06T23:30", "2024-05-07T10:00"),)
    assert plan.days == (days("2024-05-06", "2024-05-07"),)


def test_the_watermark_stays_before_an_incomplete_day():
    # When
    completeness = after_run(begin(MONDAY, BERLIN), "2024-05-09T12:00", "2024-05-07")
    # Then
    assert completeness.watermark == at("2024-05-07T00:00")
    assert completeness.holes == (span("2024-05-07T00:00", "2024-05-08T00:00"),)


def test_the_next_run_covers_the_hole_and_what_is_new():
    # Given
    completeness = after_run(begin(MONDAY, BERLIN), "2024-05-09T12:00", "2024-05-07")
    # When
    plan = plan_run(completeness, BERLIN, at("2024-05-09T13:00"), RULES)
    # Then
    assert plan is not None
    assert plan.spans[0] == span("2024-05-06T23:00", "2024-05-08T00:00")
    assert plan.days == (days("2024-05-06", "2024-05-07"), days("2024-05-09"))
    closed = conclude(completeness, plan, set(), BERLIN, RULES)
    assert (closed.watermark, closed.holes) == (at("2024-05-09T11:00"), ())


def test_a_hole_of_today_begins_where_the_window_began():
    # Given
    completeness = after_run(begin(MONDAY, BERLIN), "2024-05-06T12:00")
    # When
    failed = after_run(completeness, "2024-05-06T14:00", "2024-05-06")
    # Then: not before what was complete already
    assert failed.watermark == at("2024-05-06T10:00")
    assert failed.covered_until == at("2024-05-06T12:00")


def test_a_run_of_which_nothing_is_known_moves_nothing():
    # Given
    completeness = after_run(begin(MONDAY, BERLIN), "2024-05-07T12:00")
    plan = plan_run(completeness, BERLIN, at("2024-05-09T12:00"), RULES)
    assert plan is not None
    # When
    failed = conclude(completeness, plan, None, BERLIN, RULES)
    # Then
    assert failed.watermark == at("2024-05-07T10:00")
    assert failed.holes == (span("2024-05-07T10:00", "2024-05-09T10:00"),)


def test_days_are_covered_once_more_after_one_and_seven_days():
    # Given: a run every day at noon
    completeness = begin(MONDAY, BERLIN)
    covered: list[tuple[str, list[str]]] = []
    # When
    for day in range(6, 16):
        now = f"2024-05-{day:02}T12:00"
        plan = plan_run(completeness, BERLIN, at(now), RULES)
        assert plan is not None
        covered.append((now[8:10], [f"{part.date_from:%d}-{part.date_until:%d}" for part in plan.late]))
        completeness = conclude(completeness, plan, set(), BERLIN, RULES)
    # Then
    assert covered == [
        *[("06", []), ("07", []), ("08", ["06-06"]), ("09", ["07-07"]), ("10", ["08-08"])],
        *[("11", ["09-09"]), ("12", ["10-10"]), ("13", ["11-11"]), ("14", ["06-06", "12-12"])],
        ("15", ["07-07", "13-13"]),
    ]


def test_what_was_old_when_it_was_first_covered_is_not_covered_once_more():
    # Given
    completeness = after_run(begin(date(2024, 1, 1), BERLIN), "2024-05-06T12:00")
    # When
    plan = plan_run(completeness, BERLIN, at("2024-05-06T13:00"), RULES)
    # Then
    assert plan is not None
    assert plan.late == ()


def test_late_days_that_were_incomplete_come_back_and_do_not_move_the_watermark():
    # Given
    completeness = after_run(after_run(begin(MONDAY, BERLIN), "2024-05-06T12:00"), "2024-05-07T12:00")
    # When
    failed = after_run(completeness, "2024-05-08T12:00", "2024-05-06")
    plan = plan_run(failed, BERLIN, at("2024-05-08T13:00"), RULES)
    # Then
    assert failed.watermark == at("2024-05-08T10:00")
    assert plan is not None
    assert plan.late == (days("2024-05-06"),)


def test_the_day_of_23_hours_has_no_gap():
    # Given: the night of the 31st of March
    completeness = after_run(begin(date(2024, 3, 30), BERLIN), "2024-03-31T01:30")
    # When
    failed = after_run(completeness, "2024-03-31T12:00", "2024-03-31")
    # Then
    assert failed.holes == (span("2024-03-31T00:00", "2024-03-31T10:00"),)
    assert failed.watermark == at("2024-03-31T00:00")


#: Days of all these zones begin and end at one.
EPOCH, HALF_HOUR = datetime(1970, 1, 1, tzinfo=UTC), timedelta(minutes=30)
steps = st.lists(
    st.tuples(st.integers(1, 2000), st.frozensets(st.integers(0, 15)) | st.none()), min_size=1, max_size=12
)
rules = st.builds(
    CoverageRules,
    overlap=st.integers(0, 300).map(lambda minutes: timedelta(minutes=minutes)),
    settle_lag=st.integers(0, 300).map(lambda minutes: timedelta(minutes=minutes)),
    late_days=st.sampled_from([(), (1,), (1, 7), (2, 3, 10)]),
)


@settings(max_examples=examples(60))
@given(
    st.sampled_from([ZoneInfo(name) for name in ("Europe/Berlin", "America/Santiago", "Asia/Kolkata")]),
    steps,
    rules,
)
def test_whatever_fails_nothing_before_the_watermark_is_missing(zone, steps, rules):
    # Given: each run lasts a moment, and some of its days are incomplete
    first_day = date(2024, 3, 20)
    completeness = begin(first_day, zone)
    now = completeness.begin
    complete: list[Span] = []
    # When
    for minutes, offsets in steps:
        now += timedelta(minutes=minutes)
        plan = plan_run(completeness, zone, now, rules)
        if plan is None:
            continue
        incomplete = None if offsets is None else {first_day + timedelta(days=offset) for offset in offsets}
        before, completeness = completeness, conclude(completeness, plan, incomplete, zone, rules)
        covered = [day for part in plan.days for day in (part.date_from, part.date_until)]
        assert covered == sorted(covered)
        complete += proven(plan.spans, incomplete, zone)
        # Then: it never goes back, and everything before it was covered
        assert completeness.watermark >= before.watermark
        assert completeness.watermark <= max(now - rules.settle_lag, completeness.begin)
        assert not gaps(complete, completeness.begin, completeness.watermark)
        assert read_completeness(completeness_json(completeness)) == completeness
        assert read_plan(plan_json(plan)) == plan


def proven(spans, incomplete, zone) -> list[Span]:
    """Return the hours of spans whose day was complete."""
    found = []
    for part in spans if incomplete is not None else ():
        moment = part.start
        while moment < part.end:
            following = min(part.end, moment + HALF_HOUR - (moment - EPOCH) % HALF_HOUR)
            if moment.astimezone(zone).date() not in incomplete:
                found.append(Span(moment, following))
            moment = following
    return found


def gaps(spans: list[Span], start: datetime, end: datetime) -> list[Span]:
    """Return what of the time from start to end no span covers."""
    found, reached = [], start
    for part in sorted(spans, key=lambda part: part.start):
        if part.start > reached and reached < end:
            found.append(Span(reached, min(part.start, end)))
        reached = max(reached, part.end)
    return [*found, Span(reached, end)] if reached < end else found
