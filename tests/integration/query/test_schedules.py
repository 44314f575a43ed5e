"""Recurring queries with real parts: the query service and a scripted PACS, replicas over PostgreSQL."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from datetime import time, timedelta

import pytest
from sqlalchemy import func, select

from services.query.scheduler import Scheduler
from shared.clock import utc_now
from shared.contract.results import ScheduleDetails
from shared.database.models import Query, QueryFind, ScheduleRun
from shared.database.session import Database
from shared.reading.query_json import QueryJson
from shared.schedules.definition import parse_schedule
from shared.schedules.ledger import add_schedule, find_schedule, request_run, set_completeness, site_of
from shared.schedules.results import schedule_json
from shared.schedules.watermark import read_completeness
from simulator.behaviour import Behaviour, Fault
from tests.integration.query.test_query import ready
from tests.integration.query.test_unchanged_studies import Shelf
from tests.support.jobs.schedules import SITE, HandDrivenQueries, plan_nightly
from tests.support.peers.studies import ct_study, mg_study, series
from tests.support.services.in_process import System, kept_objects, kept_series
from tests.support.waiting import wait_until

#: Of the studies: three days ago, so that few windows are searched.
DAY = utc_now().astimezone().date() - timedelta(days=3)
NIGHTLY = {
    "name": "nightly",
    "remote": "pacs",
    "store": "doseqr",
    "criteria": {"types": ["CT"]},
    "when": "daily 06:30",
    "start": str(DAY),
}


@pytest.fixture(autouse=True)
def short_ticks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.query.scheduler.TICK_S", 0.1)
        yield


def plan(system: System, **changes: object) -> None:
    with system.database.write() as session:
        given = parse_schedule(NIGHTLY | changes)
        add_schedule(session, given, "ada", site_of(system.settings), utc_now())


def ran(system: System) -> tuple[ScheduleDetails, QueryJson]:
    """Run it now; return the JSON of the run and of its query."""
    with system.database.write() as session:
        job_id = request_run(session, find_schedule(session, "nightly", lock=True), "ada", utc_now())

    def last() -> ScheduleDetails:
        with system.database.read() as session:
            site = site_of(system.settings)
            return schedule_json(session, find_schedule(session, "nightly"), site, utc_now())

    wait_until(lambda: any(run["job"] == job_id and run["ended_at"] for run in last()["runs"]))
    return last(), system.query_json(job_id)


def cover_once_more(system: System) -> None:
    """Let the first day be due once more."""
    with system.database.write() as session:
        schedule = find_schedule(session, "nightly", lock=True)
        completeness = read_completeness(schedule.completeness)
        marks = {number: DAY - timedelta(days=1) for number in completeness.late_until}
        set_completeness(schedule, dataclasses.replace(completeness, late_until=marks))


def finds(system: System, job_id: str) -> dict[str, int]:
    with system.database.read() as session:
        counted = select(QueryFind.level, func.count()).where(QueryFind.job_id == job_id)
        return dict(session.execute(counted.group_by(QueryFind.level)).all())


def test_a_run_is_an_ordinary_job_that_names_its_schedule(system, scripted_pacs):
    # Given
    ready(system, scripted_pacs([ct_study(date=DAY)]))
    plan(system)
    # When
    schedule, query = ran(system)
    # Then
    [run] = schedule["runs"]
    assert (query["status"], query["schedule"], query["requested_by"]) == ("completed", "nightly", "ada")
    assert (run["status"], run["counts"]["found"], run["counts"]["kept"]) == ("completed", 1, 1)
    assert schedule["watermark"] == run["window_until"]
    assert schedule["watermark_lag_s"] >= 7200


def test_what_a_run_decided_costs_the_next_no_request(system, scripted_pacs):
    # Given: reports are kept and not retrieved, others have none
    studies = [
        ct_study(date=DAY),
        ct_study(date=DAY, with_rdsr=False),
        ct_study(date=DAY, with_rdsr=False, with_esr=True),
    ]
    ready(system, scripted_pacs(studies))
    plan(system)
    _, first = ran(system)
    cover_once_more(system)
    # When
    schedule, second = ran(system)
    # Then
    assert schedule["runs"][0]["late"]
    assert finds(system, second["id"]).keys() == {"STUDY"}
    assert [study["reason"] for study in second["studies"]] == [study["reason"] for study in first["studies"]]
    assert kept_objects(second) == kept_objects(first)
    assert kept_series(second) == kept_series(first)


def test_covering_days_once_more_costs_few_requests(system, scripted_pacs):
    # Given: two days of a small hospital, on a PACS that takes no lists of UIDs
    studies = [
        ct_study(
            date=DAY + timedelta(days=number % 2),
            time=time(7 + number % 12, number % 60),
            with_rdsr=number % 3 > 0,
        )
        for number in range(140)
    ]
    # A busier day before: it is known how many matches the PACS returns in full, and that it matches codes.
    busier = DAY - timedelta(days=1)
    before = [ct_study(date=busier, time=time(7 + number % 12, number // 12)) for number in range(160)]
    before += [mg_study(date=busier) for _ in range(5)]
    pacs = scripted_pacs([*before, *studies], uid_lists_series="refused", uid_lists_image="refused")
    ready(system, pacs)
    system.finished_query({"types": ["CT"], "date_from": str(busier), "date_until": str(busier)})
    plan(system)
    _, first = ran(system)
    # When: as often as they are covered late, after one and seven days
    later = []
    for _ in range(2):
        cover_once_more(system)
        later.append(ran(system)[1])
    # Then
    extra = [finds(system, query["id"]) for query in later]
    assert [levels.keys() for levels in extra] == [{"STUDY"}, {"STUDY"}]
    assert sum(levels["STUDY"] for levels in extra) <= 0.05 * first["finds"], (extra, first["finds"])


def test_a_report_that_came_late_is_found_and_kept(system, scripted_pacs):
    # Given: a study without a report, all of it judged
    study = ct_study(date=DAY, with_rdsr=False)
    shelf = Shelf([study, ct_study(date=DAY)])
    ready(system, scripted_pacs(shelf))
    plan(system)
    _, first = ran(system)
    late = series("rdsr_ct", number=99)
    shelf.refill(dataclasses.replace(study, series=(*study.series, late)))
    cover_once_more(system)
    # When
    _, second = ran(system)
    # Then
    assert study.study_instance_uid in {
        found["study_instance_uid"] for found in first["studies"] if found["decision"] == "drop"
    }
    report = {instance.sop_instance_uid for instance in late.instances}
    assert report <= kept_objects(second) or late.series_instance_uid in kept_series(second)


def test_an_incomplete_day_is_covered_again_by_the_next_run(system, scripted_pacs):
    # Given: a PACS that names a study and does not say what is in it
    fault = Fault.model_validate({"operation": "find", "level": "SERIES", "kind": "abort", "always": True})
    pacs = scripted_pacs([ct_study(date=DAY)], faults=(fault,))
    ready(system, pacs)
    plan(system)
    first, _ = ran(system)
    # When
    pacs.behaviour = Behaviour()
    second, query = ran(system)
    # Then
    assert first["runs"][0]["status"] == "incomplete"
    assert first["watermark"][:10] <= str(DAY) < second["watermark"]
    assert len(first["holes"]) == 1
    assert second["holes"] == []
    assert str(query["criteria"]["date_from"]) <= str(DAY)
    assert query["status"] == "completed"


def test_replicas_over_postgresql_take_a_due_time_once(postgres_url):
    # Given
    now = utc_now()
    databases = [Database(postgres_url) for _ in range(4)]
    plan_nightly(databases[0], now, when="every 1 minutes", start="2024-05-01")
    begun: list[str] = []
    later = now + timedelta(minutes=3)

    def replica(database: Database) -> Scheduler:
        queries = HandDrivenQueries(database, lambda: later)

        def begin(job_id, command, schedule):
            begun.append(job_id)
            queries.begin(job_id, command, schedule)

        return Scheduler(database, begin, SITE, lambda: later)

    barrier = threading.Barrier(4, timeout=30)

    def tick(database: Database) -> None:
        scheduler = replica(database)
        barrier.wait()
        scheduler.tick()

    # When
    threads = [threading.Thread(target=tick, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    # Then
    with databases[0].read() as session:
        assert session.scalar(select(func.count()).select_from(ScheduleRun)) == 1
        assert session.scalar(select(func.count()).select_from(Query)) == 1
    assert len(set(begun)) == 1
    for database in databases:
        database.close()
