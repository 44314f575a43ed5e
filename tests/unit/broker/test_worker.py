from __future__ import annotations

import threading

from shared.broker.memory.broker import MemoryBroker
from shared.broker.port import Message
from shared.broker.retry import LONGEST_HOLD_S
from shared.broker.worker import Worker, stop_all
from shared.errors import DatabaseAwayError
from shared.metrics.process_metrics import REGISTRY
from tests.support.waiting import wait_until


class OneDelivery:
    """A delivery that remembers how it ended."""

    def __init__(self) -> None:
        self.message = Message("echo", b"{}", "m1")
        self.redelivered = False
        self.delivery_count = 0
        self.lost = False
        self.ended: list[str] = []

    def ack(self):
        self.ended.append("ack")

    def requeue(self):
        self.ended.append("requeue")

    def dead_letter(self, reason):
        self.ended.append(reason)


def test_delivery_held_for_long_enough_is_given_back():
    # Given
    times = iter([0.0, LONGEST_HOLD_S])

    def away(message, redelivered):
        raise DatabaseAwayError("away")

    worker = Worker(MemoryBroker(), "echo", away, workers=1, clock=lambda: next(times))
    delivery = OneDelivery()
    # When
    worker.handle(delivery)
    # Then
    assert delivery.ended == ["requeue"]


def test_lost_delivery_is_not_tried_again():
    # Given
    delivery = OneDelivery()
    tries = []

    def lose_and_fail(message, redelivered):
        tries.append(message)
        delivery.lost = True
        raise DatabaseAwayError("away")

    worker = Worker(MemoryBroker(), "echo", lose_and_fail, workers=1, jitter=lambda: 1.0)
    # When
    worker.handle(delivery)
    # Then
    assert len(tries) == 1
    assert delivery.ended == []


def test_workers_stopped_together_share_one_grace_period():
    # Given
    broker = MemoryBroker()
    running, may_end = threading.Barrier(3, timeout=30), threading.Event()

    def slow(message, redelivered):
        running.wait()
        may_end.wait(30)

    workers = [Worker(broker, queue, slow, workers=1) for queue in ("echo", "query")]
    for worker in workers:
        worker.start()
    broker.command(Message("echo", b"{}", "m1"))
    broker.command(Message("query", b"{}", "m2"))
    running.wait()
    stopping = threading.Thread(target=stop_all, args=(workers, 30.0))
    # When
    stopping.start()
    wait_until(lambda: broker.queue_state("echo").consumers + broker.queue_state("query").consumers == 0)
    may_end.set()
    stopping.join(30)
    # Then
    assert not stopping.is_alive()
    assert broker.queue_state("echo").ready == broker.queue_state("query").ready == 0


def test_what_comes_of_messages_is_counted_from_zero():
    # Given
    broker = MemoryBroker()
    broker.declare()
    # When
    worker = Worker(broker, "query", lambda _message, _redelivered: None, workers=1)
    worker.start()
    worker.stop(1.0)
    # Then: an alert sees an increase with the first defect, too
    labels = {"queue": "query", "outcome": "defect"}
    assert REGISTRY.get_sample_value("doseqr_messages_total", labels) is not None
