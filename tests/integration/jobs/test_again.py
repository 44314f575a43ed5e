"""An ended job runs again for what is missing of it, and ends once more."""

from __future__ import annotations

import threading

import pytest

from shared.broker.worker import Worker
from shared.clock import utc_now
from shared.contract.messages import Accepted
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.errors import BrokerAwayError, InvalidInputError
from shared.jobs.job_events import event_id
from shared.jobs.model import RerunRequest
from tests.integration.jobs.conftest import Bench, task_message
from tests.support.waiting import wait_until


def fail(_claim, _cancellation):
    raise PeerError(Outcome.STATUS, "no", status_code=0xA900, permanent=True)


def again(bench: Bench, command_id: str = "again-1") -> bool:
    """Ask again, as a service does: what failed or was cancelled is pending."""

    def prepare(session, job):
        bench.engine.ledger.retry(session, job.id, "slice", utc_now())

    return bench.control.rerun("query-1", RerunRequest(command_id, "physicist", utc_now()), prepare)


def work(bench) -> None:
    """Do all that is queued."""
    while any(task.state == "queued" for task in bench.tasks()):
        bench.perform("query-1")


@pytest.fixture
def incomplete(bench):
    """A job of three tasks of which one failed."""
    bench.begin(3)
    bench.engine.advance("query-1")
    bench.perform("query-1", 2)
    bench.work.act = fail
    bench.perform("query-1")
    bench.work.act = lambda _claim, _cancellation: []
    bench.work.performed.clear()
    assert bench.job().status == "incomplete"
    return bench


def test_only_what_failed_is_done_and_the_job_ends_once_more(incomplete):
    # When
    assert again(incomplete)
    status_between = incomplete.job().status
    work(incomplete)
    # Then
    job = incomplete.job()
    assert status_between == "running"
    assert len(incomplete.work.performed) == 1
    assert (job.status, job.round, job.failure, job.detail) == ("completed", 1, "", "")
    assert [rerun["requested_by"] for rerun in job.asked_again] == ["physicist"]
    incomplete.wait_for_end(2)
    assert [(ending.status, ending.round) for ending in incomplete.endings] == [
        ("incomplete", 0),
        ("completed", 1),
    ]


def test_each_round_has_an_event_of_its_own(incomplete):
    # Given
    ids: list[str] = []
    incomplete.broker.subscribe(["query.incomplete.#"], lambda message: ids.append(message.message_id))
    incomplete.work.act = fail
    # When
    for number in range(3):
        assert again(incomplete, f"again-{number}")
        work(incomplete)
    # Then
    wait_until(lambda: len(ids) == 3)
    assert ids == [event_id("query-1", number, "incomplete") for number in (1, 2, 3)]
    assert len(set(ids)) == 3


def test_the_same_command_twice_does_it_once(incomplete):
    # When
    for _ in range(2):
        again(incomplete)
    work(incomplete)
    again(incomplete)
    # Then
    assert incomplete.job().round == 1
    # The last time only the end is repeated.
    incomplete.wait_for_end(3)
    assert len(incomplete.work.performed) == 1
    assert incomplete.endings[1:] == [incomplete.endings[1]] * 2


def test_two_workers_with_the_same_command_do_it_once(incomplete):
    # When
    threads = [threading.Thread(target=again, args=(incomplete,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    work(incomplete)
    # Then
    assert incomplete.job().round == 1
    incomplete.wait_for_end(2)
    assert len(incomplete.endings) == 2
    begun = [event for event in incomplete.events if isinstance(event, Accepted)]
    assert {event.round for event in begun} == {1}


def test_a_completed_job_is_refused(bench):
    # Given
    bench.begin(1)
    bench.engine.advance("query-1")
    bench.perform("query-1")
    # When / Then
    with pytest.raises(InvalidInputError, match="nothing is missing"):
        again(bench)
    assert bench.job().round == 0


def test_a_job_that_runs_is_refused(bench):
    # Given
    bench.begin(1)
    bench.engine.advance("query-1")
    # When / Then
    with pytest.raises(InvalidInputError, match="has not ended yet; it is running"):
        again(bench)


def test_a_job_of_another_service_is_left_alone(bench):
    assert not again(bench)


def test_the_end_of_the_last_round_is_published_before_the_next_begins(bench, monkeypatch):
    # Given
    bench.work.act = fail
    bench.begin(1)
    bench.engine.advance("query-1")
    task_id = bench.tasks()[0].id

    def away(*_args, **_kwargs):
        raise BrokerAwayError("away")

    with monkeypatch.context() as patch:
        patch.setattr(bench.broker, "event", away)
        with pytest.raises(BrokerAwayError):
            bench.engine.handle(task_message(task_id), False)
    events_before = len(bench.endings)
    bench.work.act = lambda _claim, _cancellation: []
    # When
    again(bench)
    work(bench)
    # Then
    bench.wait_for_end(2)
    assert events_before == 0
    assert [(ending.status, ending.round) for ending in bench.endings] == [
        ("incomplete", 0),
        ("completed", 1),
    ]


def test_a_job_run_again_while_a_cancelled_task_runs_loses_nothing(bench):
    # Given
    stopped, go_on = threading.Event(), threading.Event()

    def until_cancelled(_claim, cancellation):
        assert cancellation.wait(20)
        stopped.set()
        assert go_on.wait(20)
        raise InterruptedWorkError(cancellation.reason)

    bench.work.act = until_cancelled
    bench.begin(8)
    bench.engine.running_tasks.start()
    bench.engine.advance("query-1")
    worker = Worker(bench.broker, "query-tasks", bench.engine.handle, workers=1)
    worker.start()
    wait_until(lambda: bool(bench.work.performed))
    bench.control.cancel("query-1")
    assert stopped.wait(10)
    bench.work.act = lambda _claim, _cancellation: []
    # When
    again(bench)
    go_on.set()
    # Then
    wait_until(lambda: len(bench.endings) == 2)
    worker.stop(5)
    bench.engine.running_tasks.stop()
    assert [task.state for task in bench.tasks()] == ["done"] * 8
    assert [ending.status for ending in bench.endings] == ["cancelled", "completed"]


def test_it_goes_on_after_everything_that_ran_is_gone(incomplete, monkeypatch):
    # Given
    def away(*_args, **_kwargs):
        raise BrokerAwayError("away")

    with monkeypatch.context() as patch:
        patch.setattr(incomplete.broker, "command", away)
        with pytest.raises(BrokerAwayError):
            again(incomplete)
    # When
    incomplete.new_engine("later").sweep(queue_is_empty=True)
    work(incomplete)
    # Then
    assert incomplete.job().status == "completed"
    incomplete.wait_for_end(2)
    assert len(incomplete.endings) == 2
