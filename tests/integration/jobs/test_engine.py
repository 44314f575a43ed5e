"""The engine of jobs, on both databases: what may run twice, die half-way or run beside itself."""

from __future__ import annotations

import itertools
import json
import threading
import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from shared.broker.worker import Worker
from shared.clock import utc_now
from shared.contract.messages import Progress, RunTask
from shared.database.models import Query, QueryTask
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.errors import BrokerAwayError, DatabaseAwayError, InvalidInputError
from shared.jobs.ledger import QUEUED_AT_MOST
from shared.jobs.new_task import NewTask
from shared.jobs.retry import MAX_STARTS
from shared.jobs.shares.fair_share import credits_of
from shared.messaging.codec import command_message
from shared.node_access.limits import MAX_ASSOCIATIONS_DEFAULT
from tests.integration.jobs.conftest import task_message
from tests.support.waiting import wait_until


def queued_long_ago(bench) -> None:
    long_ago = utc_now() - 2 * QUEUED_AT_MOST
    with bench.database.write() as session:
        session.execute(update(QueryTask).values(state="queued", queued_at=long_ago))


def run_to_the_end(bench, engines: int = 1, workers: int = 2) -> None:
    running = [
        Worker(bench.broker, "query-tasks", bench.new_engine(f"w{n}").handle, workers=workers)
        for n in range(engines)
    ]
    for worker in running:
        worker.start()
    bench.engine.advance("query-1")
    bench.wait_for_end()
    for worker in running:
        worker.stop(5)


def test_a_job_with_many_tasks_on_four_engines_ends_with_one_event(bench):
    # Given
    bench.begin(60)
    # When
    run_to_the_end(bench, engines=4)
    # Then
    assert len(bench.endings) == 1
    assert bench.endings[0].status == "completed"
    assert bench.endings[0].counts == {"done": 60}
    assert sorted(bench.work.performed) == [task.id for task in bench.tasks()]


def test_tasks_that_follow_from_a_task_are_done_before_the_job_ends(bench):
    # Given
    bench.work.act = lambda claim, _: [NewTask("examine")] * 3 if claim.kind == "slice" else []
    bench.begin(5)
    # When
    run_to_the_end(bench)
    # Then
    assert [task.state for task in bench.tasks()] == ["done"] * 20


def test_only_a_few_tasks_of_a_job_are_in_the_queue_at_once(bench):
    # Given
    bench.begin(40)
    # When
    bench.engine.advance("query-1")
    # Then
    assert bench.broker.queue_state("query-tasks").ready == credits_of(MAX_ASSOCIATIONS_DEFAULT)


def test_a_job_without_tasks_ends_at_once(bench):
    # Given
    bench.begin(0)
    # When
    bench.engine.advance("query-1")
    # Then
    bench.wait_for_end()
    assert bench.endings[0].status == "completed"


def test_a_message_that_comes_twice_does_the_work_once(bench):
    # Given
    bench.begin(1)
    task = bench.tasks()[0]
    # When
    bench.engine.handle(task_message(task.id), False)
    bench.engine.handle(task_message(task.id), True)
    bench.wait_for_end()
    # Then
    assert bench.work.performed == [task.id]
    assert len(bench.endings) == 1


def test_a_live_claim_of_another_worker_stands(bench):
    # Given
    bench.begin(1)
    task_id = bench.tasks()[0].id
    with bench.database.write() as session:
        bench.engine.ledger.claim(session, task_id, "other", utc_now(), redelivered=False)
    # When
    bench.engine.handle(task_message(task_id), False)
    # Then
    assert bench.work.performed == []


def test_a_redelivered_task_is_taken_over_and_the_former_holder_changes_nothing(bench):
    # Given
    bench.begin(1)
    task_id = bench.tasks()[0].id
    with bench.database.write() as session:
        former, _ = bench.engine.ledger.claim(session, task_id, "other", utc_now(), redelivered=False)
    # When
    bench.engine.handle(task_message(task_id), True)
    with bench.database.write() as session:
        still_held = bench.engine.ledger.end(session, former, "failed", "x", "", utc_now())
    # Then
    assert not still_held
    assert [task.state for task in bench.tasks()] == ["done"]
    assert bench.job().status == "completed"


def test_a_task_whose_work_the_database_left_is_done_by_the_next_try_of_the_same_worker(bench):
    # Given
    bench.begin(1)
    task_id = bench.tasks()[0].id

    def database_away_once(_claim, _cancellation):
        if len(bench.work.performed) == 1:
            raise DatabaseAwayError("away")
        return []

    bench.work.act = database_away_once
    # When
    with pytest.raises(DatabaseAwayError):
        bench.engine.handle(task_message(task_id), False)
    bench.engine.handle(task_message(task_id), False)
    bench.wait_for_end()
    # Then
    assert bench.work.performed == [task_id, task_id]
    assert [task.state for task in bench.tasks()] == ["done"]
    assert len(bench.endings) == 1


def test_a_task_of_a_dead_worker_is_found_by_the_sweeper(bench):
    # Given
    bench.begin(1)
    task_id = bench.tasks()[0].id
    long_ago = utc_now() - timedelta(minutes=2)
    with bench.database.write() as session:
        bench.engine.ledger.claim(session, task_id, "dead", long_ago, redelivered=False)
    # When
    bench.engine.sweep(queue_is_empty=True)
    # Then
    assert bench.tasks()[0].state == "queued"
    assert bench.broker.queue_state("query-tasks").ready == 1


def test_a_task_whose_message_was_lost_is_published_again(bench):
    # Given
    bench.begin(1)
    queued_long_ago(bench)
    # When
    bench.engine.sweep(queue_is_empty=True)
    # Then
    assert bench.broker.queue_state("query-tasks").ready == 1


def test_a_task_that_waits_in_a_queue_is_not_published_again(bench):
    # Given
    bench.begin(1)
    queued_long_ago(bench)
    # When
    bench.engine.sweep(queue_is_empty=False)
    # Then
    assert bench.broker.queue_state("query-tasks").ready == 0


def test_tasks_that_could_not_be_published_are_pending_again(bench, monkeypatch):
    # Given
    bench.begin(3)

    def away(*_args, **_kwargs):
        raise BrokerAwayError("away")

    with monkeypatch.context() as patch:
        patch.setattr(bench.broker, "command", away)
        # When
        with pytest.raises(BrokerAwayError):
            bench.engine.advance("query-1")
    # Then
    assert [task.state for task in bench.tasks()] == ["pending"] * 3
    run_to_the_end(bench)
    assert bench.endings[0].counts == {"done": 3}


def test_a_failure_that_may_pass_is_tried_again_and_then_forgotten(bench):
    # Given
    failures = iter([True, True])

    def act(claim, _cancellation):
        if next(failures, False):
            raise PeerError(Outcome.ABORTED, "in the middle")
        return []

    bench.work.act = act
    bench.begin(1)
    # When
    bench.engine.handle(task_message(bench.tasks()[0].id), False)
    first = bench.tasks()[0]
    for _ in range(2):
        bench.engine.handle(task_message(first.id), False)
    # Then
    assert (first.state, first.failures, first.error) == ("pending", 1, "aborted")
    assert first.due_at > first.started_at
    assert bench.tasks()[0].state == "done"
    assert bench.job().status == "completed"


def test_a_failure_that_stays_is_given_up_after_a_bounded_number_of_tries(bench):
    # Given
    def act(_claim, _cancellation):
        raise PeerError(Outcome.ABORTED, "always")

    bench.work.act = act
    bench.begin(1)
    task_id = bench.tasks()[0].id
    # When
    for _ in range(10):
        bench.engine.handle(task_message(task_id), False)
    # Then
    assert len(bench.work.performed) == 4
    assert bench.work.given_up == [(task_id, "aborted")]
    assert bench.endings[0].status == "incomplete"


def test_a_permanent_failure_is_not_tried_again(bench):
    # Given
    def act(_claim, _cancellation):
        raise PeerError(Outcome.STATUS, "no", status_code=0xA900, permanent=True)

    bench.work.act = act
    bench.begin(1)
    # When
    bench.engine.handle(task_message(bench.tasks()[0].id), False)
    # Then
    assert bench.tasks()[0].state == "failed"
    assert bench.tasks()[0].error == "status_a900"


def test_a_peer_that_is_away_is_waited_for_and_the_job_shows_it(bench):
    # Given
    def act(_claim, _cancellation):
        raise PeerError(
            Outcome.CONNECTION_REFUSED, "10.0.0.1:104 does not take connections", associating=True
        )

    bench.work.act = act
    bench.begin(1)
    # When
    for _ in range(10):
        bench.engine.handle(task_message(bench.tasks()[0].id), False)
    # Then
    assert bench.tasks()[0].state == "pending"
    assert bench.tasks()[0].failures == 10
    assert "does not take connections" in bench.job().note


def test_a_task_that_kills_its_workers_is_given_up(bench):
    # Given
    bench.begin(1)
    task_id = bench.tasks()[0].id
    with bench.database.write() as session:
        session.execute(update(QueryTask).values(starts=MAX_STARTS))
    # When
    bench.engine.handle(task_message(task_id), True)
    # Then
    assert bench.work.performed == []
    assert bench.tasks()[0].state == "failed"
    assert "workers ended in the middle" in bench.tasks()[0].detail


def test_cancelling_stops_work_in_hand_and_all_that_waits(bench):
    # Given
    started = threading.Event()

    def act(_claim, cancellation):
        started.set()
        assert cancellation.wait(20)
        raise InterruptedWorkError(cancellation.reason)

    bench.work.act = act
    bench.begin(30)
    bench.engine.running_tasks.start()
    worker = Worker(bench.broker, "query-tasks", bench.engine.handle, workers=1)
    worker.start()
    bench.engine.advance("query-1")
    assert started.wait(10)
    # When
    found = bench.control.cancel("query-1")
    # Then
    wait_until(lambda: all(task.state == "cancelled" for task in bench.tasks()))
    worker.stop(5)
    bench.engine.running_tasks.stop()
    assert found
    assert len(bench.work.performed) == 1
    assert [ending.status for ending in bench.endings] == ["cancelled"]


def test_a_stop_hands_the_task_back_for_another_worker(bench):
    # Given
    started = threading.Event()

    def act(_claim, cancellation):
        started.set()
        assert cancellation.wait(20)
        raise InterruptedWorkError(cancellation.reason)

    bench.work.act = act
    bench.begin(1)
    thread = threading.Thread(target=bench.engine.handle, args=(task_message(bench.tasks()[0].id), False))
    thread.start()
    assert started.wait(10)
    # When
    bench.engine.running_tasks.interrupt()
    thread.join(10)
    # Then
    assert bench.tasks()[0].state == "queued"
    assert bench.tasks()[0].failures == 0
    assert bench.broker.queue_state("query-tasks").ready == 1


def test_an_end_that_nobody_announced_is_announced_by_the_sweeper_once(bench):
    # Given
    bench.begin(0)
    with bench.database.write() as session:
        job = bench.engine.ledger.lock(session, "query-1")
        job.status, job.ended_at = "completed", utc_now() - timedelta(minutes=1)
    # When
    threads = [
        threading.Thread(target=bench.new_engine(f"w{n}").sweep, kwargs={"queue_is_empty": True})
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Then
    bench.wait_for_end()
    assert len(bench.endings) == 1


def test_progress_is_published_at_most_four_times_a_second_by_all_workers_together(bench):
    # Given
    bench.begin(40)
    began = utc_now()
    # When
    run_to_the_end(bench, engines=4)
    # Then
    seconds = (utc_now() - began).total_seconds()
    progress = [event for event in bench.events if isinstance(event, Progress)]
    assert 1 <= len(progress) <= seconds * 4 + 1


def test_a_message_that_is_no_task_is_refused(bench):
    # Given
    message = command_message(
        RunTask(job_id="query-1", task_id=1), source="/test", now=utc_now(), routing_key="task.query"
    )
    other = message.body.replace(b"doseqr.task.v1", b"doseqr.command.echo.v1").replace(
        b'"data":{"job_id":"query-1","task_id":1}', b'"data":{}'
    )
    # When / Then
    with pytest.raises(InvalidInputError, match=r"expected doseqr\.task"):
        bench.engine.handle(type(message)("task.query", other, "m"), False)


def test_a_task_of_a_job_that_nobody_knows_changes_nothing(bench):
    # When
    bench.engine.handle(task_message(999, "nobody"), False)
    # Then
    assert bench.events == []


def test_workers_that_waited_for_the_job_publish_four_times_a_second_at_most(bench):
    # Given: eight workers, which begin while another transaction holds the job, one after the other
    bench.begin(0)
    bodies: list[dict[str, Any]] = []
    bench.broker.subscribe(["query.progress.*"], lambda message: bodies.append(json.loads(message.body)))
    with bench.database.write() as session:
        session.get_one(Query, "query-1").status = "running"
    workers = [bench.new_engine(f"worker-{number}") for number in range(8)]
    threads = [threading.Thread(target=worker.events.try_progress, args=("query-1",)) for worker in workers]
    # When
    with bench.database.write() as session:
        bench.engine.ledger.lock(session, "query-1")
        for thread in threads:
            thread.start()
            time.sleep(0.3)
    for thread in threads:
        thread.join()
    # Then
    wait_until(lambda: bool(bodies))
    times = sorted(datetime.fromisoformat(body["time"]) for body in bodies)
    assert all(later - earlier >= timedelta(seconds=0.25) for earlier, later in itertools.pairwise(times))
