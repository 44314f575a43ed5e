"""The scheduler: once for each due time, one run at a time, and nothing before the watermark is missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import select

from services.query.scheduler import Scheduler, watermark_metrics
from shared.database.models import Query, Schedule, ScheduleRun
from shared.database.session import Database
from shared.nodes.nodes import list_nodes
from shared.nodes.removal import remove_node
from shared.schedules.definition import parse_schedule
from shared.schedules.ledger import (
    RunInProgressError,
    edit_schedule,
    find_schedule,
    job_id_of,
    pause,
    request_run,
    resume,
)
from shared.schedules.results import schedule_json
from shared.settings import Settings
from tests.support.jobs.rows import a_retrieve, a_study
from tests.support.jobs.schedules import NIGHTLY, SITE, HandDrivenQueries, days_of, plan_nightly

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


@dataclass
class Office:
    """A scheduler with its own time and queries that a test ends by hand."""

    database: Database
    now: datetime = field(default_factory=lambda: at("2024-05-06T12:00"))

    def __post_init__(self) -> None:
        self.queries = HandDrivenQueries(self.database, lambda: self.now)
        self.scheduler = Scheduler(self.database, self.queries.begin, SITE, lambda: self.now)

    def tick(self, moment: str) -> None:
        self.now = at(moment)
        self.scheduler.tick()

    def end_all(self, *incomplete: str) -> None:
        for query in self.queries.running():
            self.queries.end(query, lambda day: day.isoformat() not in incomplete)
        self.scheduler.tick()

    def runs(self) -> list[ScheduleRun]:
        with self.database.read() as session:
            return list(session.scalars(select(ScheduleRun).order_by(ScheduleRun.id)))

    def schedule(self) -> Schedule:
        with self.database.read() as session:
            return find_schedule(session, "nightly")


@pytest.fixture
def office(sqlite_database: Database) -> Office:
    office = Office(sqlite_database)
    plan_nightly(sqlite_database, office.now)
    return office


def test_nothing_is_due_before_its_time(office):
    # When
    office.tick("2024-05-07T06:29")
    # Then
    assert office.runs() == []


def test_a_due_time_begins_one_query_of_its_days(office):
    # When
    office.tick("2024-05-07T06:30")
    office.scheduler.tick()
    # Then
    [query] = office.queries.running()
    [run] = office.runs()
    assert (query.schedule_name, query.id) == ("nightly", job_id_of(1, at("2024-05-07T06:30")))
    assert [str(day) for day in days_of(query.criteria)] == ["2024-05-06", "2024-05-07"]
    assert (run.status, run.due_at, run.job_id) == ("", at("2024-05-07T06:30"), query.id)


def test_the_watermark_moves_when_the_query_has_ended(office):
    # Given
    office.tick("2024-05-07T06:30")
    before = office.schedule().watermark
    # When
    office.end_all()
    # Then
    assert before == at("2024-05-06T00:00")
    assert office.schedule().watermark == at("2024-05-07T04:30")
    assert office.runs()[0].status == "completed"


def test_the_watermark_stays_before_what_is_incomplete(office):
    # Given
    office.tick("2024-05-07T06:30")
    # When
    office.end_all("2024-05-07")
    # Then
    assert office.schedule().watermark == at("2024-05-07T00:00")
    assert office.runs()[0].status == "incomplete"


@pytest.mark.parametrize(
    ("study_date", "watermark"), [("20240507", "2024-05-07T00:00"), (None, "2024-05-06T00:00")]
)
def test_a_study_that_could_not_be_examined_holds_its_day_back(office, study_date, watermark):
    # Given
    office.tick("2024-05-07T06:30")
    [query] = office.queries.running()
    with office.database.write() as session:
        session.add(a_study("1.2.3", query.id, state="missing", decision="", study_date=study_date))
    # When
    office.end_all()
    # Then
    assert office.schedule().watermark == at(watermark)


def test_after_downtime_one_run_catches_up(office):
    # When
    office.tick("2024-05-20T09:00")
    office.end_all()
    office.tick("2024-05-20T09:05")
    # Then
    [run] = office.runs()
    assert run.due_at == at("2024-05-20T06:30")
    assert office.schedule().watermark == at("2024-05-20T07:00")


def test_a_run_waits_for_the_one_before(office):
    # Given
    office.tick("2024-05-07T06:30")
    # When
    office.tick("2024-05-09T06:30")
    during = len(office.runs())
    office.end_all()
    # Then
    assert during == 1
    assert [run.due_at for run in office.runs()] == [at("2024-05-07T06:30"), at("2024-05-09T06:30")]


def test_a_run_lasts_until_its_retrieve_has_ended(office):
    # Given
    with office.database.write() as session:
        given = parse_schedule(NIGHTLY | {"retrieve": True})
        edit_schedule(session, find_schedule(session, "nightly", lock=True), given, SITE, office.now)
    office.tick("2024-05-07T06:30")
    [query] = office.queries.running()
    with office.database.write() as session:
        session.get_one(Query, query.id).studies_kept = 1
    office.end_all()
    unordered = office.runs()[0].status
    # When
    with office.database.write() as session:
        session.add(a_retrieve(f"{query.id}-r", query.id, status="running"))
    office.scheduler.tick()
    running = office.runs()[0].status
    with office.database.write() as session:
        session.add(a_retrieve("other", query.id))
        session.get_one(type(a_retrieve()), f"{query.id}-r").status = "incomplete"
    office.scheduler.tick()
    # Then: what did not arrive is not complete, but the windows are
    assert (unordered, running, office.runs()[0].status) == ("", "", "incomplete")
    assert office.schedule().watermark == at("2024-05-07T04:30")


def test_a_run_whose_node_was_removed_fails_with_a_sentence(office):
    # Given
    with office.database.write() as session:
        remove_node(session, list_nodes(session, "remote")[0], Settings(), office.now)
    # When
    office.tick("2024-05-07T06:30")
    # Then
    [run] = office.runs()
    assert (run.status, run.detail) == (
        "failed",
        "The query could not begin: remote: the remote node pacs was removed; known: none.",
    )
    assert office.schedule().watermark == at("2024-05-06T00:00")
    with office.database.read() as session:
        shown = schedule_json(session, find_schedule(session, "nightly"), SITE, office.now)
    assert shown["remote"] == "pacs"


def test_a_paused_schedule_waits_and_goes_on_with_the_next_due_time(office):
    # Given
    with office.database.write() as session:
        pause(find_schedule(session, "nightly", lock=True), office.now)
    office.tick("2024-05-08T06:30")
    # When
    with office.database.write() as session:
        resume(find_schedule(session, "nightly", lock=True), office.now)
    office.tick("2024-05-08T07:00")
    while_waiting = office.runs()
    office.tick("2024-05-09T06:30")
    # Then
    assert while_waiting == []
    [query] = office.queries.running()
    assert next(days_of(query.criteria)) == date(2024, 5, 6)


def test_a_requested_run_begins_at_once_even_while_paused(office):
    # Given
    with office.database.write() as session:
        schedule = find_schedule(session, "nightly", lock=True)
        pause(schedule, office.now)
        job_id = request_run(session, schedule, "bob", office.now)
        twice = request_run(session, schedule, "bob", office.now + timedelta(seconds=3))
    # When
    office.scheduler.tick()
    # Then
    [query] = office.queries.running()
    assert query.id == job_id == twice
    assert [(run.requested, run.requested_by) for run in office.runs()] == [(True, "bob")]
    with office.database.write() as session, pytest.raises(RunInProgressError, match=job_id):
        request_run(session, find_schedule(session, "nightly", lock=True), "bob", office.now)


def test_two_runs_requested_in_one_second_are_two(office):
    # Given
    job_ids = []
    # When
    for _ in range(2):
        with office.database.write() as session:
            job_ids.append(
                request_run(session, find_schedule(session, "nightly", lock=True), "bob", office.now)
            )
        office.scheduler.tick()
        office.end_all()
    # Then
    assert [run.job_id for run in office.runs()] == job_ids
    assert len(set(job_ids)) == 2


def test_a_requested_run_with_nothing_to_cover_is_skipped(office):
    # Given
    with office.database.write() as session:
        schedule = find_schedule(session, "nightly", lock=True)
        given = parse_schedule(NIGHTLY | {"start": "2024-06-01"})
        edit_schedule(session, schedule, given, SITE, office.now)
        request_run(session, schedule, "bob", office.now)
    # When
    office.scheduler.tick()
    office.scheduler.tick()
    # Then
    assert [run.status for run in office.runs()] == ["skipped"]
    assert office.queries.running() == []


def test_a_run_of_before_another_start_does_not_count(office):
    # Given
    office.tick("2024-05-07T06:30")
    with office.database.write() as session:
        schedule = find_schedule(session, "nightly", lock=True)
        given = parse_schedule(NIGHTLY | {"start": "2024-05-01"})
        edit_schedule(session, schedule, given, SITE, office.now)
    # When
    office.end_all()
    # Then
    assert office.schedule().watermark == at("2024-05-01T00:00")


def test_what_a_run_covers_by_former_criteria_is_covered_again(office):
    # Given: a run in progress
    office.tick("2024-05-07T06:30")
    with office.database.write() as session:
        schedule = find_schedule(session, "nightly", lock=True)
        given = parse_schedule(NIGHTLY | {"criteria": {"types": ["CT", "MG"]}})
        edit_schedule(session, schedule, given, SITE, office.now)
    # When
    office.end_all()
    office.tick("2024-05-08T06:30")
    # Then
    assert office.schedule().watermark == at("2024-05-06T00:00")
    [query] = office.queries.running()
    assert [str(day) for day in days_of(query.criteria)] == ["2024-05-06", "2024-05-07", "2024-05-08"]
    assert query.criteria["types"] == ["CT", "MG"]


def test_the_defect_of_one_schedule_does_not_stop_the_others(office):
    # Given
    plan_nightly(office.database, office.now, name="other")
    begin = office.queries.begin

    def fail(job_id, command, schedule):
        if schedule.name == "nightly":
            raise ZeroDivisionError
        begin(job_id, command, schedule)

    office.now = at("2024-05-07T06:30")
    # When
    Scheduler(office.database, fail, SITE, lambda: office.now).tick()
    # Then
    assert [query.schedule_name for query in office.queries.running()] == ["other"]


def test_the_metric_is_the_lag_of_each_type(office):
    # Given
    registry = CollectorRegistry()
    office.now = at("2024-05-06T03:00")

    class Metrics:
        def collect(self):
            return watermark_metrics(office.database, lambda: office.now)

    registry.register(Metrics())
    # When
    text = generate_latest(registry).decode()
    # Then
    assert 'doseqr_watermark_lag_seconds{node="pacs",schedule="nightly",type="CT"} 10800.0' in text
