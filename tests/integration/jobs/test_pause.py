"""Paused jobs and nodes: their tasks wait, nothing of them fails, and they go on as if no time had passed."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from shared.broker.worker import Worker
from shared.clock import utc_now
from shared.contract.messages import NodePaused, NodeResumed, Paused, Resumed
from shared.control.node_control import NodeControl, publish_pause
from shared.database.models import Node, Query, QueryTask
from shared.database.models.pause import Pause
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.errors import BrokerAwayError, DatabaseAwayError
from tests.integration.jobs.conftest import Bench, task_message
from tests.support.waiting import wait_until

NODE_ID = 1


def pause(bench: Bench, command_id: str = "pause-1", job_id: str = "query-1") -> bool:
    return bench.control.pause(job_id, Pause("physicist", utc_now(), command_id))


def resume(bench: Bench, command_id: str = "resume-1") -> bool:
    return bench.control.resume("query-1", command_id, "physicist")


def work(bench: Bench) -> None:
    while any(task.state == "queued" for task in bench.tasks()):
        bench.perform("query-1")


def states(bench: Bench) -> list[str]:
    return [task.state for task in bench.tasks()]


@pytest.fixture
def running(bench: Bench) -> Bench:
    """A job of three tasks, all of them queued, on a node of which there is a row."""
    with bench.database.write() as session:
        node = {"kind": "remote", "name": "pacs", "host": "pacs", "port": 104, "ae_title": "PACS"}
        session.add(Node(id=NODE_ID, created_at=utc_now(), **node))
    bench.begin(3)
    bench.engine.advance("query-1")
    assert states(bench) == ["queued"] * 3
    return bench


@pytest.fixture
def nodes(running: Bench) -> NodeControl:
    return NodeControl(running.database, utc_now)


def test_a_paused_job_has_nothing_in_flight_and_goes_on(running: Bench):
    # When
    assert pause(running)
    for task in running.tasks():
        running.engine.handle(task_message(task.id), False)
    running.engine.sweep(queue_is_empty=True)
    # Then
    job = running.job()
    assert (job.status, running.work.performed) == ("running", [])
    assert states(running) == ["pending"] * 3
    assert job.waits_for.startswith("paused by physicist since 20")
    # When
    assert resume(running)
    work(running)
    # Then
    assert (running.job().status, len(running.work.performed)) == ("completed", 3)
    assert running.job().waits_for == ""


def test_work_in_hand_is_stopped_and_handed_back(running: Bench):
    # Given
    begun = threading.Event()

    def act(_claim, cancellation):
        begun.set()
        assert cancellation.wait(10)
        raise InterruptedWorkError(cancellation.reason)

    running.work.act = act
    running.engine.running_tasks.start()
    worker = Worker(running.broker, "query-tasks", running.engine.handle, workers=1)
    worker.start()
    begun.wait(10)
    # When
    pause(running)
    wait_until(lambda: states(running) == ["pending"] * 3)
    worker.stop(5)
    running.engine.running_tasks.stop()
    # Then
    assert {(task.failures, task.starts, task.lease_until) for task in running.tasks()} == {(0, 0, None)}


def test_a_task_whose_worker_died_in_a_pause_is_taken_over_after_it(running: Bench):
    # Given
    def die(_claim, _cancellation):
        raise DatabaseAwayError("killed")

    running.work.act = die
    with pytest.raises(DatabaseAwayError):
        running.perform("query-1")
    running.work.act = lambda _claim, _cancellation: []
    pause(running)
    # When: its message comes to another worker, and later its lease ends
    other = running.new_engine("second")
    other.handle(task_message(running.tasks()[0].id), True)
    with running.database.write() as session:
        dead = session.query(QueryTask).filter_by(state="running").one()
        dead.lease_until = utc_now() - timedelta(seconds=1)
    other.sweep(queue_is_empty=True)
    # Then
    assert states(running) == ["pending"] * 3
    assert len(running.work.performed) == 1
    resume(running)
    work(running)
    assert running.job().status == "completed"


def test_what_a_peer_makes_of_being_stopped_is_no_failure(running: Bench):
    # Given
    def act(_claim, cancellation):
        pause(running)
        cancellation.cancel("paused")
        raise PeerError(Outcome.ABORTED, "", permanent=True)

    running.work.act = act
    # When
    running.perform("query-1")
    # Then
    assert (running.work.given_up, states(running)) == ([], ["pending"] * 3)


def test_a_job_whose_last_task_ends_in_a_pause_ends_after_it(running: Bench):
    # Given
    running.perform("query-1", 2)

    def act(_claim, _cancellation):
        pause(running)
        return []

    running.work.act = act
    # When
    running.perform("query-1")
    running.engine.sweep(queue_is_empty=True)
    # Then
    assert (running.job().status, states(running)) == ("running", ["done"] * 3)
    resume(running)
    assert running.job().status == "completed"


def test_a_second_pause_changes_nothing_and_is_responded_to(running: Bench):
    # When
    pause(running)
    running.control.pause("query-1", Pause("another", utc_now(), "pause-2"))
    # Then
    wait_until(lambda: sum(isinstance(event, Paused) for event in running.events) == 2)
    paused = [event for event in running.events if isinstance(event, Paused)]
    assert [(event.command_id, event.paused_by) for event in paused] == [
        ("pause-1", "physicist"),
        ("pause-2", "physicist"),
    ]


def test_a_pause_that_comes_again_after_the_resume_does_not_pause(running: Bench):
    # Given
    pause(running)
    resume(running)
    # When
    pause(running)
    # Then
    assert running.job().pause is None
    work(running)
    assert running.job().status == "completed"


def test_pausing_an_ended_job_repeats_its_end(running: Bench):
    # Given
    work(running)
    running.wait_for_end()
    # When
    assert pause(running)
    assert resume(running)
    # Then
    running.wait_for_end(3)
    assert {ending.status for ending in running.endings} == {"completed"}
    assert running.job().pause is None
    assert not any(isinstance(event, Paused | Resumed) for event in running.events)


def test_a_paused_job_can_be_cancelled(running: Bench):
    # Given
    pause(running)
    # When
    running.control.cancel("query-1")
    # Then
    assert (running.job().status, running.job().pause) == ("cancelled", None)
    running.wait_for_end()


def test_a_job_of_another_service_is_left_alone(running: Bench):
    assert not pause(running, job_id="nothing")
    assert not running.control.resume("nothing", "resume-1", "")


def test_a_pause_takes_effect_though_the_broker_is_away(running: Bench, monkeypatch):
    # Given
    def away(*_arguments, **_options):
        raise BrokerAwayError("away")

    with monkeypatch.context() as patch:
        patch.setattr(running.publisher, "event", away)
        # When
        with pytest.raises(BrokerAwayError):
            pause(running)
    # Then: the command comes again
    assert running.job().pause is not None
    pause(running)
    wait_until(lambda: any(isinstance(event, Paused) for event in running.events))


def test_the_time_of_a_pause_counts_in_no_limit(running: Bench):
    # Given
    now = utc_now()
    began = now - timedelta(minutes=30)
    with running.database.write() as session:
        job = session.get_one(Query, "query-1")
        job.wait_for("pacs is away", began + timedelta(seconds=20), began + timedelta(minutes=15))
        job.begin_pause(Pause("physicist", began, "pause-1"))
        for task in session.query(QueryTask):
            task.state, task.failures, task.created_at = "pending", 2, began - timedelta(minutes=6)
            task.failing_since, task.due_at = began - timedelta(minutes=5), began + timedelta(seconds=20)
    # When
    resume(running)
    # Then
    job = running.job()
    assert job.gives_up_at is not None
    assert abs(job.gives_up_at - now - timedelta(minutes=15)) < timedelta(seconds=20)
    for task in running.tasks():
        assert task.failing_since is not None
        assert abs(now - task.failing_since - timedelta(minutes=5)) < timedelta(seconds=20)
        assert abs(task.due_at - now - timedelta(seconds=20)) < timedelta(seconds=20)


def test_all_jobs_of_a_paused_node_wait(running: Bench, nodes: NodeControl):
    # Given
    running.begin(1, "query-2")
    # When
    nodes.pause("pacs", "pause-1", "admin")
    running.engine.advance("query-2")
    running.begin(1, "query-3")
    running.control.begin("query-3")
    running.engine.sweep(queue_is_empty=True)
    # Then
    assert states(running) == ["pending"] * 5
    assert [running.job(f"query-{number}").status for number in (1, 3)] == ["running", "queued"]
    assert running.job("query-3").waits_for.startswith("the node pacs is paused by admin since 20")
    # When
    nodes.resume(NODE_ID, "resume-1", "admin")
    running.engine.sweep(queue_is_empty=True)
    # Then
    assert states(running) == ["queued"] * 5


def test_a_job_needs_its_own_pause_and_that_of_its_node_ended(running: Bench, nodes: NodeControl):
    # Given
    pause(running)
    nodes.pause("pacs", "pause-2", "admin")
    # When
    resume(running)
    # Then
    assert states(running) == ["pending"] * 3
    wait_until(lambda: any(isinstance(event, Resumed) for event in running.events))
    resumed = [event for event in running.events if isinstance(event, Resumed)]
    assert resumed[0].note.startswith("the node pacs is paused by admin")
    # When
    nodes.resume("pacs", "resume-2", "admin")
    running.engine.sweep(queue_is_empty=True)
    # Then
    assert states(running) == ["queued"] * 3


def test_the_time_of_a_node_pause_counts_in_no_limit(running: Bench, nodes: NodeControl):
    # Given
    now = utc_now()
    with running.database.write() as session:
        session.get_one(Node, NODE_ID).begin_pause(Pause("admin", now - timedelta(minutes=30), "pause-1"))
        for task in session.query(QueryTask):
            task.state, task.failures, task.failing_since = "pending", 1, now - timedelta(minutes=31)
    # When
    nodes.resume("pacs", "resume-1", "admin")
    # Then
    for task in running.tasks():
        assert task.failing_since is not None
        assert abs(now - task.failing_since - timedelta(minutes=1)) < timedelta(seconds=20)


def test_a_node_command_that_comes_again_changes_nothing(running: Bench, nodes: NodeControl):
    # Given
    for _ in range(2):
        publish_pause(running.publisher, nodes.pause("pacs", "pause-1", "admin"), "pause-1")
    # When
    for command in ("resume-1", "resume-2"):
        publish_pause(running.publisher, nodes.resume("pacs", command, "admin"), command)
    publish_pause(running.publisher, nodes.pause("pacs", "pause-1", "admin"), "pause-1")
    # Then
    wait_until(lambda: sum(isinstance(event, NodePaused | NodeResumed) for event in running.events) == 5)
    events = [event for event in running.events if isinstance(event, NodePaused | NodeResumed)]
    assert [event.NAME for event in events] == ["paused", "paused", "resumed", "resumed", "resumed"]
