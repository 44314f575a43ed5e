"""What every service's consumption has in common: ack, hold and retry, dead-letter, stop."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence

import structlog

from shared.broker.port import Broker, Consumer, Delivery, Message
from shared.broker.retry import Bury, Defect, TryAgain, decide_retry
from shared.errors import DoseQRError
from shared.metrics.process_metrics import consumption_begins, message_begins, message_ends

logger = structlog.get_logger(__name__)

#: Seconds for which a drained consumption waits for its handlers; each is done much sooner.
DRAIN_S = 3600.0

#: Handles a message; True: it was delivered before, to somebody who did not end it.
MessageHandler = Callable[[Message, bool], None]


class Worker:
    """One queue consumed by one handler that returns (done) or raises.

    Done is acked. A `RetriableError` keeps the delivery in hand and tries again with growing pauses, then
    gives it back. A `PermanentError` moves it to the dead letters with the error's text. Anything else is a
    defect and goes on to the pool, which logs it and bounds the deliveries.
    """

    def __init__(
        self,
        broker: Broker,
        queue: str,
        handler: MessageHandler,
        *,
        workers: int,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broker = broker
        self._queue = queue
        self._handler = handler
        self._workers = workers
        self._jitter = jitter
        self._clock = clock
        self._stopping = threading.Event()
        self._consumer: Consumer | None = None

    def start(self) -> None:
        """Begin to consume; returns at once.

        Raises:
            PermanentError: no queue has this name.
        """
        consumption_begins(self._queue)
        self._consumer = self._broker.consume(self._queue, self.handle, workers=self._workers)

    def stop(self, grace_s: float) -> None:
        """Take no more, end pauses at once, wait up to `grace_s` seconds for handlers, requeue the rest."""
        self._stopping.set()
        if self._consumer is not None:
            self._consumer.stop(grace_s)

    def handle(self, delivery: Delivery) -> None:
        """Bring one delivery to its end."""
        began = time.monotonic()
        message_begins(self._queue)
        outcome = "defect"
        try:
            outcome = self._bring_to_end(delivery)
        finally:
            message_ends(self._queue, outcome, time.monotonic() - began)

    def _bring_to_end(self, delivery: Delivery) -> str:
        began, jitter, attempt = self._clock(), self._jitter(), 0
        while not delivery.lost:
            attempt += 1
            try:
                self._handler(delivery.message, delivery.redelivered)
            except DoseQRError as error:
                decision = decide_retry(error, attempt=attempt, held_s=self._clock() - began, jitter=jitter)
                if isinstance(decision, Defect):
                    raise
                self._log(delivery, error, attempt, type(decision).__name__)
                if isinstance(decision, Bury):
                    delivery.dead_letter(decision.reason)
                    return "dead_lettered"
                if not isinstance(decision, TryAgain) or self._stopping.wait(decision.pause_s):
                    delivery.requeue()
                    return "requeued"
            else:
                delivery.ack()
                return "done"
        return "lost"

    def _log(self, delivery: Delivery, error: DoseQRError, attempt: int, action: str) -> None:
        logger.warning(
            "message not handled",
            action=action,
            queue=self._queue,
            message_id=delivery.message.message_id,
            correlation_id=delivery.message.correlation_id,
            routing_key=delivery.message.routing_key,
            attempt=attempt,
            error=type(error).__name__,
            detail=str(error),
        )


class Consumption:
    """A consumption that can be drained and begun again."""

    def __init__(self, make: Callable[[], Worker]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._workers: list[Worker] = []
        self._stopped = False

    def begin(self) -> None:
        """Begin to consume, unless it was stopped for good."""
        with self._lock:
            if not self._stopped:
                worker = self._make()
                worker.start()
                self._workers.append(worker)

    def drain(self) -> None:
        """Take no more, and wait for the handlers in hand as long as they need, within `DRAIN_S`."""
        with self._lock:
            workers = list(self._workers)
        stop_all(workers, DRAIN_S)
        with self._lock:
            self._workers = [worker for worker in self._workers if worker not in workers]

    def stop(self, grace_s: float) -> None:
        """Stop for good: wait up to `grace_s` seconds for handlers, requeue the rest."""
        with self._lock:
            self._stopped, workers = True, list(self._workers)
        stop_all(workers, grace_s)


def stop_all(workers: Sequence[Worker], grace_s: float) -> None:
    """Stop several workers side by side, so that all share one grace period."""
    threads = [threading.Thread(target=worker.stop, args=(grace_s,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
