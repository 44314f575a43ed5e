"""An engine at the broker: what it has not begun when its service stops is left to another worker."""

from __future__ import annotations

import threading

import pytest

from shared.database.models import Query
from shared.dicom.errors import InterruptedWorkError
from shared.jobs.engine import Engine
from shared.jobs.new_task import NewTask
from shared.jobs.retry import Policy
from shared.jobs.runner import run_engine
from shared.lifecycle import Lifecycle
from tests.support.waiting import wait_until

#: Seconds for what is in hand when the service stops; then it is interrupted.
GRACE_S = 0.2


class CountedNodes:
    """Counts the tasks that have arrived; each of them then waits for the turn of its node."""

    def __init__(self, engine: Engine[Query], patch: pytest.MonkeyPatch) -> None:
        self.arrived = 0
        self._lock = threading.Lock()
        self._node_of = engine.nodes.node_of
        patch.setattr(engine.nodes, "node_of", self.node_of)

    def node_of(self, job_id: str) -> int | None:
        with self._lock:
            self.arrived += 1
        return self._node_of(job_id)


def test_tasks_that_waited_for_their_turn_are_not_begun_while_the_service_stops(bench, monkeypatch):
    # Given: a node whose only turn is taken by a task that ends when it is interrupted
    def work_until_interrupted(_claim, cancellation):
        wait_until(lambda: cancellation.requested)
        raise InterruptedWorkError(cancellation.reason)

    bench.work.act = work_until_interrupted
    bench.begin(3, remote_id=7)
    engine = Engine(bench.work, bench.database, bench.publisher, "stopping", Policy())
    nodes = CountedNodes(engine, monkeypatch)
    engine.advance("query-1")
    # When
    with Lifecycle() as lifecycle:
        run_engine(engine, bench.broker, lifecycle, workers=1, grace_s=GRACE_S)
        wait_until(lambda: nodes.arrived >= 3 and len(bench.work.performed) == 1)
    # Then
    assert len(bench.work.performed) == 1
    assert {task.state for task in bench.tasks()} <= {"pending", "queued"}
    assert sum(task.starts for task in bench.tasks()) <= 1


def test_a_drained_worker_finishes_its_task_and_begins_no_other(bench):
    # Given: a task in hand, and others that wait
    finish = threading.Event()
    bench.work.act = lambda _claim, _cancellation: finish.wait(30) and []
    bench.begin(3, remote_id=7)
    engine = Engine(bench.work, bench.database, bench.publisher, "drained", Policy())
    with Lifecycle() as lifecycle:
        run_engine(engine, bench.broker, lifecycle, workers=1, grace_s=GRACE_S)
        duty, drained = lifecycle.duty_of("query"), threading.Event()
        engine.advance("query-1")
        wait_until(lambda: len(duty.claimed_tasks()) == 1)
        # When
        duty.drain(drained.set)
        assert not drained.wait(0.3)
        finish.set()
        # Then
        assert drained.wait(30)
        assert (duty.state, duty.claimed_tasks(), len(bench.work.performed)) == ("drained", [], 1)
        assert sum(task.state == "done" for task in bench.tasks()) == 1
        # And
        duty.resume()
        bench.wait_for_end()
    assert len(bench.work.performed) == 3


class SweptEngine(Engine[Query]):
    """Notes that the sweeper found no open job."""

    found_no_job = False

    def sweep(self, *, queue_is_empty: bool) -> bool:
        is_busy = super().sweep(queue_is_empty=queue_is_empty)
        self.found_no_job |= not is_busy
        return is_busy


def test_the_first_task_after_an_idle_time_puts_the_sweep_forward(bench, monkeypatch):
    # Given: a sweeper that found no open job, and a task with one that is due a moment after it
    monkeypatch.setattr("shared.jobs.runner.SWEEP_S", 0.05)
    monkeypatch.setattr("shared.jobs.runner.IDLE_SWEEP_S", 120.0)
    later = NewTask("slice", {}, delay_s=0.1)
    bench.work.act = lambda _claim, _cancellation: [later] if len(bench.work.performed) == 1 else []
    engine = SweptEngine(bench.work, bench.database, bench.publisher, "idle", Policy())
    with Lifecycle() as lifecycle:
        run_engine(engine, bench.broker, lifecycle, workers=1, grace_s=GRACE_S)
        wait_until(lambda: engine.found_no_job)
        # When
        bench.begin(1)
        engine.advance("query-1")
        # Then
        bench.wait_for_end()
    assert len(bench.work.performed) == 2
