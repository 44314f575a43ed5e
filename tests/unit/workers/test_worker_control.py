"""Each worker that is meant does what a control message orders, once, in time, and reports how it stands."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from shared.broker.memory.broker import MemoryBroker
from shared.broker.port import Message
from shared.clock import utc_now
from shared.contract.messages import (
    ClaimedTask,
    ControlCommand,
    DrainWorkers,
    PingWorkers,
    ResumeWorkers,
    SetLogLevel,
    WorkerStatus,
)
from shared.messaging.codec import command_message, decode_event
from shared.workers.duty import Duty
from shared.workers.log_level import LogLevel
from shared.workers.worker_control import WorkerControl
from tests.support.waiting import wait_until

WORKER = "query@host:17"


class Site:
    """One worker and what it publishes."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.broker.declare()
        self.duty, self.level, self.stopping = Duty(), LogLevel(), threading.Event()
        self.in_hand = threading.Event()
        self.in_hand.set()
        self.begun = 0
        self.duty.consists_of(self._end, self._begin)
        self.messages: list[Message] = []
        self.broker.subscribe(["worker.#"], self.messages.append)
        parts = (self.duty, self.level, self.stopping, {"doseqr": "1"})
        self.control = WorkerControl("query", WORKER, self.broker, *parts)

    def _end(self) -> None:
        self.in_hand.wait(20)

    def _begin(self) -> None:
        self.begun += 1

    def order(self, command: ControlCommand, *, command_id: str = "order-1", age_s: float = 0.0) -> None:
        sent_at = utc_now() - timedelta(seconds=age_s)
        self.control.take(command_message(command, source="/test", now=sent_at, command_id=command_id))

    def statuses(self) -> list[WorkerStatus]:
        events = [decode_event(message)[1] for message in self.messages]
        return [event for event in events if isinstance(event, WorkerStatus)]

    def wait_for(self, *states: str) -> None:
        wait_until(lambda: [status.state for status in self.statuses()] == list(states))


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.in_hand.set()
    site.broker.close()


def test_a_ping_is_responded_to_with_what_the_worker_does(site):
    # Given
    task = ClaimedTask(job_id="job-1", task_id=7, kind="slice")
    site.duty.claimed_tasks = lambda: [task]
    # When
    site.order(PingWorkers())
    site.order(PingWorkers())
    # Then
    site.wait_for("running", "running")
    status = site.statuses()[0]
    assert (status.worker, status.tasks, status.takes_tasks) == (WORKER, [task], True)
    assert (status.versions, status.log_level, status.log_level_until) == ({"doseqr": "1"}, "INFO", "")
    assert site.messages[0].routing_key == "worker.status.order-1"
    assert len({message.message_id for message in site.messages}) == 1


@pytest.mark.parametrize(
    ("command", "age_s"),
    [
        (PingWorkers(service="retrieve"), 0),
        (PingWorkers(worker="query@host:18"), 0),
        (PingWorkers(expires_s=60), 61),
        (DrainWorkers(service="query", worker="other"), 0),
    ],
)
def test_a_message_for_others_or_too_late_changes_nothing(site, command, age_s):
    # When
    site.order(command, age_s=age_s)
    site.order(PingWorkers(service="query", worker=WORKER), command_id="order-2")
    # Then
    site.wait_for("running")
    assert site.statuses()[0].command_id == "order-2"


@pytest.mark.parametrize("body", [b"", b"{}", b"[" * 10_000, b'{"specversion": "1.0"}'])
def test_what_makes_no_sense_is_passed_over(site, body):
    # When
    site.control.take(Message("control.drain", body, "x"))
    # Then
    assert site.duty.state == "running"


def test_a_drained_worker_first_finishes_what_it_has(site):
    # Given
    site.in_hand.clear()
    # When
    site.order(DrainWorkers())
    site.wait_for("draining")
    assert not site.duty.takes_tasks
    site.in_hand.set()
    # Then
    site.wait_for("draining", "drained")
    assert not site.stopping.is_set()


def test_a_worker_that_is_to_end_ends_once_it_is_drained(site):
    # Given
    site.in_hand.clear()
    site.order(DrainWorkers(end=True))
    site.wait_for("draining")
    assert not site.stopping.is_set()
    # When
    site.in_hand.set()
    # Then
    assert site.stopping.wait(10)


def test_a_second_drain_is_reported_as_well(site):
    # Given
    site.order(DrainWorkers())
    wait_until(lambda: site.duty.state == "drained")
    # When
    site.order(DrainWorkers(), command_id="order-2")
    # Then
    wait_until(lambda: {"order-1", "order-2"} == {status.command_id for status in site.statuses()})


def test_a_resumed_worker_is_not_drained_by_the_order_before(site):
    # Given
    site.in_hand.clear()
    site.order(DrainWorkers(end=True))
    # When
    site.order(ResumeWorkers(), command_id="order-2")
    site.in_hand.set()
    # Then
    wait_until(lambda: site.begun == 1)
    assert site.duty.state == "running"
    assert not site.stopping.wait(0.2)


def test_the_level_of_the_log_falls_back_by_itself(site):
    # Given
    levels: list[str] = []
    site.level.configure("WARNING", levels.append)
    # When
    site.order(SetLogLevel(level="DEBUG", for_s=1))
    # Then
    wait_until(lambda: levels == ["WARNING", "DEBUG", "WARNING"])
    assert site.statuses()[0].log_level == "DEBUG"
    assert site.statuses()[0].log_level_until
    assert site.level.until is None
