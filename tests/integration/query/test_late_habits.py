"""A PACS that shows only late in a query that it hides studies by their keys: nothing is lost by then."""

from __future__ import annotations

import datetime as dt

import pytest
from sqlalchemy import select

from services.query.completion import recheck_tasks
from shared.database.models import NodeProfile, Query, QueryFind, QueryTask
from shared.querying.payloads import read_slice
from shared.querying.profile import Profile
from simulator.archive.model import Study
from tests.integration.query.test_adaptive import found, profile_of
from tests.integration.query.test_query import ready
from tests.support.peers.studies import ct_study, series, study

LAST = dt.date(2024, 6, 30)
DAYS = 110
FIRST = LAST - dt.timedelta(days=DAYS - 1)
SPAN = {"types": ["CT"], "date_from": str(FIRST), "date_until": str(LAST)}


def report_first(day: dt.date) -> Study:
    """Return a study whose report came before its images."""
    return study(series("rdsr_ct"), series("ct_image"), date=day)


def learn(system, **known: object) -> None:
    """Let this be known of the node before."""
    with system.database.write() as session:
        row = session.get_one(NodeProfile, 1)
        row.data = Profile(**known).to_json()  # type: ignore[arg-type]


@pytest.mark.parametrize("matching", ["first_value", "whole_list"])
def test_a_code_that_hides_studies_after_a_hundred_windows_loses_none(system, scripted_pacs, matching):
    # Given: windows of one day each, of which only the last two have a study of two codes
    plain = [ct_study(with_rdsr=False, date=LAST - dt.timedelta(days=number)) for number in range(DAYS - 2)]
    late = [report_first(FIRST), report_first(FIRST + dt.timedelta(days=1))]
    pacs = scripted_pacs([*plain, *late], code_matching=matching)
    ready(system, pacs)
    system.finished_query(SPAN | {"date_from": str(LAST)})
    learn(system, busiest=1000.0, widest_days=7)
    # When
    query = system.finished_query(SPAN)
    # Then
    assert query["status"] == "completed"
    assert found(query) == {study.study_instance_uid for study in [*plain, *late]}
    assert profile_of(system).codes_hide


def test_a_range_that_loses_days_is_noticed_at_the_first_study_of_it(system, scripted_pacs):
    # Given: the node was believed about empty windows before; only the oldest one shows anything
    weeks = [LAST - dt.timedelta(days=7 * number) for number in range(8)]
    lost = [ct_study(date=day, time=dt.time(10)) for day in weeks]
    shown = ct_study(date=weeks[-1] - dt.timedelta(days=3), time=dt.time(10))
    pacs = scripted_pacs([*lost, shown], date_matching="last_day_excluded")
    ready(system, pacs)
    system.finished_query({"types": ["CT"], "date_from": "2020-01-01", "date_until": "2020-01-01"})
    learn(system, busiest=70.0, widest_days=31, modalities_matched=True)
    # When
    first = str(weeks[-1] - dt.timedelta(days=6))
    query = system.finished_query(SPAN | {"date_from": first})
    # Then
    assert query["status"] == "completed"
    assert found(query) == {study.study_instance_uid for study in [*lost, shown]}


def test_windows_believed_before_a_habit_was_known_are_searched_again(system, scripted_pacs):
    # Given
    ready(system, scripted_pacs([ct_study(date=day) for day in (FIRST, LAST)]))
    query = system.finished_query(SPAN | {"date_from": str(LAST - dt.timedelta(days=6))})
    with system.database.write() as session:
        tasks = session.scalars(select(QueryTask).where(QueryTask.state == "done", QueryTask.kind == "slice"))
        done = tasks.all()
        for task in done:
            task.payload = {**task.payload, "unproven": ["ranges"]}
        profile = Profile(date_ranges=False)
        before = session.get_one(Query, query["id"]).slices_complete
        # When
        follow = recheck_tasks(session, query["id"], profile)
        session.flush()
        # Then
        days = [read_slice(task.payload).window for task in follow]  # type: ignore[union-attr]
        counted = session.get_one(Query, query["id"], populate_existing=True)
        assert [day.date_from for day in days] == [LAST - dt.timedelta(days=number) for number in range(7)]
        assert all(day.days == 1 for day in days)
        assert (counted.slices_complete, counted.slices_total) == (before - len(done), 7)
        assert {task.state for task in done} == {"cut"}
        assert recheck_tasks(session, query["id"], profile) == []


def test_windows_believed_before_the_cap_was_known_are_searched_again_if_they_reach_it(system, scripted_pacs):
    # Given: a window of two matches, believed while nothing was known of a cap
    ready(system, scripted_pacs([ct_study(date=day) for day in (FIRST, LAST)]))
    query = system.finished_query(SPAN | {"date_from": str(LAST)})
    with system.database.write() as session:
        [done] = session.scalars(
            select(QueryTask).where(QueryTask.state == "done", QueryTask.kind == "slice")
        ).all()
        done.payload = {**done.payload, "answers": 2, "unproven": ["cap"]}
        # When
        too_few = recheck_tasks(session, query["id"], Profile(cap=3))
        reaches_it = recheck_tasks(session, query["id"], Profile(cap=2))
        # Then
        assert too_few == []
        assert [read_slice(task.payload).rechecked for task in reaches_it] == [True]  # type: ignore[union-attr]


def test_control_requests_are_marked_in_the_ledger(system, scripted_pacs):
    # Given
    ready(system, scripted_pacs([ct_study(date=LAST) for _ in range(3)]))
    # When
    query = system.finished_query(SPAN | {"date_from": str(LAST - dt.timedelta(days=6))})
    # Then
    with system.database.read() as session:
        control = session.scalars(select(QueryFind.control).where(QueryFind.job_id == query["id"])).all()
    assert 0 < sum(control) < len(control)
