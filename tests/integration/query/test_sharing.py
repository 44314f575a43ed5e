"""What the PACS sees of several queries at once: they are interleaved, whoever works on them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import pytest

from shared.contract.messages import BACKGROUND, RunQuery
from shared.database.models import Query, QueryTask
from shared.jobs.shares.fair_share import credits_of
from shared.nodes.nodes import find_node
from simulator.scp import ScriptedPacs
from simulator.witness import RecordedRequest
from tests.support.peers.studies import ct_study, days_of
from tests.support.services.in_process import System
from tests.support.waiting import wait_until

LAST = dt.date(2024, 3, 31)
ASSOCIATIONS = 2
ALL = credits_of(ASSOCIATIONS)


def ready(system: System, pacs: ScriptedPacs, services: int = 1, associations: int = ASSOCIATIONS) -> None:
    node = system.add_remote("pacs", pacs.host, pacs.port, pacs.ae_title)
    system.add_own_store()
    with system.database.write() as session:
        find_node(session, node.id).max_associations = associations
    system.start(*["query"] * services)


def of_days(days: int, last: dt.date = LAST) -> dict[str, object]:
    first = last - dt.timedelta(days=days - 1)
    return {"types": ["CT"], "date_from": str(first), "date_until": str(last)}


def tasks_ended(system: System, job_id: str, *, during: str) -> int:
    """Return how many tasks of a query ended while another ran."""
    with system.database.read() as session:
        other = session.get_one(Query, during)
        ended = [task.ended_at for task in session.query(QueryTask).filter_by(job_id=job_id)]
    assert other.ended_at is not None
    return sum(moment is not None and other.requested_at <= moment <= other.ended_at for moment in ended)


def newest_day(request: RecordedRequest, days: Mapping[str, dt.date]) -> dt.date:
    """Return the last day that a C-FIND requests."""
    if request.level != "STUDY":
        return max(days[uid] for uid in request.uids() if uid in days)
    return dt.date.fromisoformat(request.keys["StudyDate"][0].rpartition("-")[2])


def test_a_query_of_a_day_waits_for_a_few_tasks_of_one_of_five_years(system, scripted_pacs):
    # Given
    archive = days_of(600, LAST - dt.timedelta(days=5 * 365), LAST, ct_study)
    pacs = scripted_pacs(archive, relational="refused", request_delay_s=0.02)
    ready(system, pacs)
    large = system.query(of_days(5 * 365))
    wait_until(lambda: len(pacs.witness.of("find")) >= 10)
    # When: a busy machine makes less of a difference to a slow PACS
    pacs.change(request_delay_s=0.2)
    small = system.finished_query(of_days(1))
    # Then
    assert system.status(large) == "running"
    assert small["status"] == "completed"
    assert tasks_ended(system, large, during=small["id"]) <= 4 * ALL


def test_ten_queries_at_once_share_the_node(system, scripted_pacs, monkeypatch):
    # Given: short tasks, two and more for each query, which pass associations on in the order of their coming
    monkeypatch.setattr("shared.node_access.pool.TURN_S", 0.05)
    weeks = [LAST - dt.timedelta(weeks=4 * number) for number in range(10)]
    archive = days_of(600, weeks[-1] - dt.timedelta(days=27), LAST, ct_study)
    pacs = scripted_pacs(archive, relational="refused", request_delay_s=0.4)
    ready(system, pacs, services=2, associations=4)
    # When: all of them wait for the node before it has returned much
    jobs = [system.query(of_days(28, last)) for last in weeks]
    wait_until(lambda: all(system.status(job_id) for job_id in jobs))
    pacs.change(request_delay_s=0.05)
    for job_id in jobs:
        system.wait_for_end(job_id)
    # Then
    assert {system.status(job_id) for job_id in jobs} == {"completed"}
    days = {study.study_instance_uid: study.date or LAST for study in archive}
    days_queried = [newest_day(request, days) for request in pacs.witness.of("find")]
    owners = [
        next(n for n, last in enumerate(weeks) if day > last - dt.timedelta(days=28)) for day in days_queried
    ]
    begins = [owners.index(number) for number in range(10)]
    ends = [len(owners) - owners[::-1].index(number) for number in range(10)]
    assert max(begins) < min(ends)
    assert pacs.witness.associations_most <= 4


@pytest.mark.parametrize("services", [1, 5])
def test_few_workers_and_many_put_the_same_load_on_a_pacs(system, scripted_pacs, services):
    # Given
    archive = days_of(120, LAST - dt.timedelta(days=60), LAST, ct_study)
    pacs = scripted_pacs(archive, relational="refused", request_delay_s=0.01)
    ready(system, pacs, services)
    # When
    query = system.finished_query(of_days(61))
    # Then
    assert query["status"] == "completed"
    assert pacs.witness.associations_most == ASSOCIATIONS


def test_a_scheduled_query_stands_back_while_somebody_waits(system, scripted_pacs):
    # Given
    archive = days_of(200, LAST - dt.timedelta(days=200), LAST, ct_study)
    pacs = scripted_pacs(archive, relational="refused", uid_lists_series="refused", request_delay_s=0.01)
    ready(system, pacs)
    order = RunQuery(remote="pacs", store="doseqr", criteria=of_days(200), priority=BACKGROUND)
    scheduled = system.command(order)
    wait_until(lambda: len(pacs.witness.of("find")) >= 10)
    # When
    waited_for = system.finished_query(of_days(60))
    # Then
    with system.database.read() as session:
        tasks = session.query(QueryTask).filter_by(job_id=waited_for["id"]).count()
    assert system.status(scheduled) == "running"
    assert tasks_ended(system, scheduled, during=waited_for["id"]) <= tasks + 3 * ALL
    system.wait_for_end(scheduled)
    assert system.query_json(scheduled)["status"] == "completed"
    assert system.query_json(scheduled)["priority"] == BACKGROUND
