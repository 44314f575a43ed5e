"""A node's tasks in flight are shared by its jobs; those for which nobody waits stand back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.broker.worker import Worker
from shared.clock import utc_now
from shared.contract.messages import BACKGROUND
from shared.database.models import Node, RetrieveTask
from shared.jobs.shares.fair_share import credits_of
from shared.node_access.limits import MAX_ASSOCIATIONS_DEFAULT
from shared.nodes.nodes import add_node, parse_node
from tests.support.jobs.rows import a_query, a_retrieve
from tests.support.waiting import wait_until

ALL = credits_of(MAX_ASSOCIATIONS_DEFAULT)


def begin(bench, tasks: int, *job_ids: str, **columns) -> None:
    """Begin jobs, one after the other."""
    for job_id in job_ids:
        bench.begin(tasks, job_id, **columns)
        bench.engine.advance(job_id)


def order_of_work(bench) -> list[str]:
    """Let one worker do all that is to be done; return the jobs in the order of their tasks."""
    job_of: dict[int, str] = {}
    worker = Worker(bench.broker, "query-tasks", bench.engine.handle, workers=1)
    worker.start()
    wait_until(lambda: all(task.state == "done" for task in bench.tasks()), timeout_s=100)
    worker.stop(5)
    job_of |= {task.id: task.job_id for task in bench.tasks()}
    return [job_of[task_id] for task_id in bench.work.performed]


def test_a_job_alone_has_all_that_its_node_allows(bench):
    # When
    begin(bench, 40, "a")
    # Then
    assert bench.in_flight("a") == ALL


def test_the_limit_of_the_node_counts(bench):
    # Given
    remote = {"kind": "remote", "name": "pacs", "host": "127.0.0.1", "port": 104, "ae_title": "PACS"}
    with bench.database.write() as session:
        node_id = add_node(session, parse_node(remote), utc_now()).id
        session.get_one(Node, node_id).max_associations = 1
    # When
    begin(bench, 40, "a", remote_id=node_id)
    # Then
    assert bench.in_flight("a") == credits_of(1)


def test_jobs_of_other_nodes_take_nothing_away(bench):
    # When
    begin(bench, 40, "a", remote_id=1)
    begin(bench, 40, "b", remote_id=2)
    # Then
    assert (bench.in_flight("a"), bench.in_flight("b")) == (ALL, ALL)


def test_a_small_job_ends_after_a_few_tasks_of_a_large_one(bench):
    # Given
    begin(bench, 30, "large")
    begin(bench, 4, "small")
    # When
    done = order_of_work(bench)
    # Then
    before = done[: len(done) - done[::-1].index("small")]
    assert before.count("large") <= 2 * ALL


def test_ten_jobs_go_on_side_by_side(bench):
    # Given
    jobs = [f"job-{number}" for number in range(10)]
    begin(bench, 8, *jobs)
    # When
    done = order_of_work(bench)
    # Then
    for end in range(len(done)):
        so_far = [done[:end].count(job_id) for job_id in jobs]
        assert max(so_far) - min(so_far) <= ALL


def test_what_a_job_leaves_the_others_get_at_once(bench):
    # Given
    begin(bench, 3, "a")
    begin(bench, 40, "b")
    before = bench.in_flight("b")
    # When
    bench.perform("a", 3)
    # Then
    assert bench.job("a").status == "completed"
    assert (before, bench.in_flight("b")) == (ALL - 3, ALL)


def test_what_a_cancelled_job_leaves_the_others_get_at_once(bench):
    # Given
    begin(bench, 40, "a", "b")
    # When
    bench.control.cancel("a")
    # Then
    assert bench.in_flight("b") == ALL


def test_a_job_that_waits_leaves_its_share_to_others(bench):
    # Given
    begin(bench, 40, "a", "b")
    later = utc_now() + timedelta(hours=1)
    with bench.database.write() as session:
        bench.engine.ledger.postpone(session, "a", later)
    # When
    bench.perform("a", bench.in_flight("a"))
    # Then
    assert (bench.in_flight("a"), bench.in_flight("b")) == (0, ALL)


def test_the_sweeper_finds_jobs_that_have_less_than_their_share(bench):
    # Given
    bench.begin(40, "a")
    bench.begin(40, "b")
    # When
    bench.engine.sweep(queue_is_empty=True)
    # Then
    assert bench.in_flight("a") + bench.in_flight("b") == ALL


def test_a_job_for_which_nobody_waits_has_one_task_in_flight_beside_others(bench):
    # Given
    begin(bench, 40, "scheduled", priority=BACKGROUND)
    begin(bench, 40, "waited-for")
    # When
    bench.perform("scheduled", ALL)
    # Then
    assert (bench.in_flight("scheduled"), bench.in_flight("waited-for")) == (1, ALL - 1)


def test_a_job_for_which_nobody_waits_goes_on_slowly_and_then_as_others_do(bench):
    # Given
    begin(bench, 20, "waited-for")
    begin(bench, 20, "scheduled", priority=BACKGROUND)
    # When
    done = order_of_work(bench)
    # Then
    first = done[: len(done) - done[::-1].index("waited-for")]
    assert 1 <= first.count("scheduled") <= 20 // (ALL - 1) + 2


@pytest.mark.parametrize(("state", "in_flight"), [("running", 1), ("done", ALL)])
def test_what_somebody_waits_for_in_another_service_goes_before(bench, state, in_flight):
    # Given
    task = {"kind": "move", "created_at": utc_now(), "due_at": utc_now()}
    with bench.database.write() as session:
        session.add(a_query("ended"))
        session.flush()
        session.add(a_retrieve("r", "ended", status="running"))
        session.flush()
        session.add(RetrieveTask(job_id="r", state=state, **task))
    # When
    begin(bench, 40, "scheduled", priority=BACKGROUND)
    # Then
    assert bench.in_flight("scheduled") == in_flight
