"""Tasks of a node that is away wait without being begun, and are given up in time."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event, update
from sqlalchemy.orm import Session

from shared.clock import utc_now
from shared.database.models import NodeBudget, Query, QueryTask
from shared.dicom.peer import Timeouts
from shared.jobs.engine import Engine
from shared.jobs.retry import Policy
from shared.node_access.reachability import Reachability
from shared.nodes.nodes import add_node, parse_node
from shared.nodes.peers import peer_of
from tests.integration.jobs.conftest import Bench, task_message
from tests.support.ports import free_port
from tests.support.services.in_process import test_settings
from tests.support.services.web import statements

__all__ = ["test_settings"]

PATIENCE_S = 100.0
#: Of a try of a node that is away: its turn, and what follows for the node, the task and its job.
MOST_OF_A_TRY, COMMITS_OF_A_TRY = 15, 2


@pytest.fixture
def away_bench(bench: Bench, test_settings) -> Bench:
    """A bench whose engine tries nodes first; the job `query-1` has two tasks, for a node that is away."""
    values = {"kind": "remote", "name": "pacs", "host": "127.0.0.1", "port": free_port(), "ae_title": "PACS"}
    with bench.database.write() as session:
        node_id = add_node(session, parse_node(values), utc_now()).id
    reachability = Reachability(
        bench.database, Timeouts(3.0, 5.0), partial(peer_of, settings=test_settings), utc_now
    )
    policy = Policy(patience_s=PATIENCE_S)
    bench.engine = Engine(bench.work, bench.database, bench.publisher, "first", policy, utc_now, reachability)
    bench.begin(2, remote_id=node_id)
    bench.engine.advance("query-1")
    return bench


def make_due(bench: Bench, **columns: Any) -> None:
    """Let the node be tried again now, by tasks with these columns."""
    with bench.database.write() as session:
        session.execute(update(QueryTask).values(**columns))
        session.query(NodeBudget).update({"away_next_try_at": utc_now()})


def test_a_task_of_a_node_that_is_away_waits_without_a_start(away_bench: Bench):
    # Given
    bench, before = away_bench, utc_now()
    first, second = bench.tasks()
    # When
    bench.engine.handle(task_message(first.id), False)
    bench.engine.handle(task_message(second.id), False)
    # Then
    with bench.database.read() as session:
        budget = session.query(NodeBudget).one()
    job, tasks = bench.job(), bench.tasks()
    assert (bench.work.performed, budget.away_failures) == ([], 1)
    assert {(task.state, task.starts, task.failures, task.error) for task in tasks} == {
        ("pending", 0, 0, "connection_refused")
    }
    assert {task.due_at for task in tasks} == {budget.away_next_try_at} == {job.next_try_at}
    assert all(task.failing_since is not None and task.failing_since >= before for task in tasks)
    assert job.gives_up_at is not None
    assert abs(job.gives_up_at - before - timedelta(seconds=PATIENCE_S)) < timedelta(seconds=60)
    assert "does not take connections" in job.waits_for


@pytest.mark.parametrize("why", ["impatient", "redelivered"])
def test_a_task_that_is_not_to_wait_is_begun(away_bench: Bench, why: str):
    # Given
    bench = away_bench
    first, _ = bench.tasks()
    if why == "impatient":
        bench.engine.handle(task_message(first.id), False)
        make_due(bench, state="queued", failing_since=utc_now() - timedelta(seconds=PATIENCE_S + 1))
    # When
    bench.engine.handle(task_message(first.id), why == "redelivered")
    # Then: its own try finds out, and gives it up or takes it over
    assert bench.work.performed == [first.id]


def test_a_try_of_a_node_that_is_away_costs_few_statements(away_bench: Bench, request):
    # Given
    bench = away_bench
    first, _ = bench.tasks()
    bench.engine.handle(task_message(first.id), False)
    make_due(bench, state="queued")
    commits: list[object] = []
    note = commits.append
    event.listen(bench.database.engine, "commit", note)
    request.addfinalizer(lambda: event.remove(bench.database.engine, "commit", note))
    # When
    with statements(bench.database) as sent:
        bench.engine.handle(task_message(first.id), False)
    # Then
    with bench.database.read() as session:
        assert session.query(NodeBudget).one().away_failures == 2
    assert len(sent) <= MOST_OF_A_TRY
    assert len(commits) == COMMITS_OF_A_TRY


def test_a_try_that_waits_for_the_database_is_counted_as_another(away_bench: Bench, monkeypatch):
    # Given: the row of the job is locked for longer than the last try is ago
    bench = away_bench
    first, _ = bench.tasks()
    bench.engine.handle(task_message(first.id), False)
    make_due(bench, state="queued")
    with bench.database.write() as session:
        session.query(NodeBudget).update({"away_failed_at": utc_now() - timedelta(seconds=1)})
    lock = bench.engine.ledger.lock

    def lock_late(session: Session, job_id: str) -> Query | None:
        time.sleep(1.5)
        return lock(session, job_id)

    monkeypatch.setattr(bench.engine.ledger, "lock", lock_late)
    # When
    bench.engine.handle(task_message(first.id), False)
    # Then
    with bench.database.read() as session:
        budget = session.query(NodeBudget).one()
    assert budget.away_failures == 2
    assert budget.away_next_try_at is not None
    assert budget.away_next_try_at > utc_now()


def test_a_job_that_was_cancelled_meanwhile_gets_no_task_back(away_bench: Bench):
    # Given
    bench = away_bench
    first, _ = bench.tasks()
    bench.control.cancel("query-1")
    # When
    bench.engine.handle(task_message(first.id), False)
    # Then
    assert bench.work.performed == []
    assert {task.state for task in bench.tasks()} == {"cancelled"}
    assert bench.job().next_try_at is None
