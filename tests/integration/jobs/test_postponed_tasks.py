"""Work that a node's limits do not allow yet: it waits without having failed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.clock import utc_now
from shared.dicom.errors import NotNowError, Outcome, PeerError
from shared.jobs.engine import REREAD_LIMITS_AFTER
from shared.jobs.retry import Policy
from tests.integration.jobs.conftest import task_message
from tests.support.jobs.rows import NOW, a_query

PATIENCE = timedelta(seconds=Policy().patience_s)


def not_now(*, hours: float = 0.0, whole_node: bool = False):
    """Return what raises the refusal of a node's limits."""

    def act(_claim, _cancellation):
        until = utc_now() + timedelta(hours=hours, seconds=2)
        raise NotNowError(until, "pacs takes requests from 18:00", whole_node=whole_node)

    return act


def test_waiting_is_no_failure_and_the_job_shows_what_for(bench):
    # Given
    bench.work.act = not_now()
    bench.begin(2)
    # When
    bench.engine.handle(task_message(1), False)
    # Then
    waiting, other = bench.tasks()
    assert (waiting.state, waiting.failures, waiting.error, waiting.starts) == ("pending", 0, "", 0)
    assert waiting.due_at > utc_now()
    assert other.due_at < utc_now()
    assert bench.job().note == "pacs takes requests from 18:00"
    assert bench.work.given_up == []


def test_hours_hold_for_all_tasks_of_the_job_and_are_read_again(bench):
    # Given
    bench.work.act = not_now(hours=12, whole_node=True)
    bench.begin(40)
    # When
    bench.engine.handle(task_message(1), False)
    # Then
    pending = [task for task in bench.tasks() if task.state == "pending"]
    now = utc_now()
    assert len(pending) == 40
    assert all(now < task.due_at <= now + REREAD_LIMITS_AFTER for task in pending)


def test_the_time_of_waiting_is_no_time_of_failing(bench):
    # Given
    def fail(_claim, _cancellation):
        raise PeerError(Outcome.CONNECTION_REFUSED, "away")

    bench.work.act = fail
    bench.begin(1)
    bench.engine.handle(task_message(1), False)
    failing_since = bench.tasks()[0].failing_since
    # When
    bench.work.act = not_now()
    bench.engine.handle(task_message(1), True)
    # Then
    task = bench.tasks()[0]
    assert task.failures == 1
    assert task.failing_since > failing_since


@pytest.mark.parametrize("whole_node", [False, True])
def test_a_cancelled_job_does_not_wait(bench, whole_node):
    # Given
    def cancelled_meanwhile(claim, cancellation):
        bench.control.cancel(claim.job_id)
        return not_now(whole_node=whole_node)(claim, cancellation)

    bench.work.act = cancelled_meanwhile
    bench.begin(1)
    # When
    bench.engine.handle(task_message(1), False)
    # Then
    bench.wait_for_end()
    assert bench.job().status == "cancelled"
    assert bench.job().note == ""
    assert [task.state for task in bench.tasks()] == ["cancelled"]


def test_a_job_whose_peer_is_away_keeps_its_times_as_data(bench):
    # Given
    def fail(_claim, _cancellation):
        raise PeerError(Outcome.CONNECTION_REFUSED, "away")

    bench.work.act = fail
    bench.begin(1)
    # When
    before = utc_now()
    bench.engine.handle(task_message(1), False)
    # Then
    job, task = bench.job(), bench.tasks()[0]
    assert job.note == "pacs — connection refused: away"
    assert job.next_try_at == task.due_at
    assert (
        timedelta(0)
        <= job.gives_up_at - before - timedelta(seconds=Policy().patience_s)
        < timedelta(seconds=30)
    )


def test_a_job_that_goes_on_waits_no_more(bench):
    # Given
    def fail(_claim, _cancellation):
        raise PeerError(Outcome.CONNECTION_REFUSED, "away")

    bench.work.act = fail
    bench.begin(1)
    bench.engine.handle(task_message(1), False)
    bench.work.act = lambda _claim, _cancellation: []
    # When
    bench.engine.handle(task_message(1), True)
    # Then
    job = bench.job()
    assert (job.note, job.next_try_at, job.gives_up_at) == ("", None, None)


def test_progress_shows_when_a_waiting_job_tries_again_and_gives_up(bench):
    # Given
    job = a_query(note="pacs is busy", next_try_at=NOW, gives_up_at=NOW + timedelta(minutes=20))
    # When / Then
    assert job.waits_for == (
        "pacs is busy; next try at 2024-05-01T12:00:00Z; gives up at 2024-05-01T12:20:00Z"
    )
