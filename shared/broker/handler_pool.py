"""The threads that run handlers and the rule for handlers that fail: the same for every adapter."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import structlog

from shared.broker.port import MAX_DELIVERIES, Delivery, Handler, Message

logger = structlog.get_logger(__name__)

#: Pause before a delivery whose handler raised goes back, so that a defect does not spin.
DEFECT_PAUSE_S = 0.5


class HandlerPool:
    """Threads, started as they are needed, that take deliveries in order and run one handler on each."""

    def __init__(self, handler: Handler, *, workers: int, name: str) -> None:
        self._handler = handler
        self._name = name
        self._waiting: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._idle = threading.Condition()
        self._running = 0
        self._workers = workers
        self._threads: list[threading.Thread] = []

    def submit(self, delivery: Delivery) -> None:
        """Queue a delivery for the next free thread; never blocks."""
        with self._idle:
            self._running += 1
            if self._running > len(self._threads) < self._workers:
                self._start_thread()
        self._waiting.put(delivery)

    def stop(self) -> list[Delivery]:
        """Start nothing more and return what was queued but never started."""
        self._stopping.set()
        unstarted = []
        while (delivery := self._next_waiting()) is not None:
            unstarted.append(delivery)
        with self._idle:
            for _ in self._threads:
                self._waiting.put(None)
        return unstarted

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until no handler runs; return whether that was so within `timeout_s` seconds."""
        with self._idle:
            return self._idle.wait_for(lambda: self._running == 0, timeout_s)

    def runs_here(self) -> bool:
        """Return whether this is one of the pool's threads."""
        return threading.current_thread() in self._threads

    def _start_thread(self) -> None:
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread can be started: those that there are take it
            if not self._threads:
                raise
            logger.warning("thread not started", consumer=self._name, threads=len(self._threads))
            return
        self._threads.append(thread)

    def _next_waiting(self) -> Delivery | None:
        try:
            delivery = self._waiting.get_nowait()
        except queue.Empty:
            return None
        if delivery is not None:
            self._finished()
        return delivery

    def _finished(self) -> None:
        with self._idle:
            self._running -= 1
            self._idle.notify_all()

    def _run(self) -> None:
        while (delivery := self._waiting.get()) is not None:
            try:
                self._handle(delivery)
            finally:
                self._finished()

    def _handle(self, delivery: Delivery) -> None:
        if delivery.lost:
            return
        if self._stopping.is_set():
            delivery.requeue()
            return
        try:
            self._handler(delivery)
        except Exception as defect:  # noqa: BLE001 - the loop lives on; the message goes back or to the dead letters
            self._on_defect(delivery, defect)

    def _on_defect(self, delivery: Delivery, defect: Exception) -> None:
        deliveries = delivery.delivery_count + 1
        poison = deliveries >= MAX_DELIVERIES
        logger.error(
            "handler failed",
            action="dead_letter" if poison else "requeue",
            consumer=self._name,
            message_id=delivery.message.message_id,
            routing_key=delivery.message.routing_key,
            deliveries=deliveries,
            exc_info=defect,
        )
        if poison:
            delivery.dead_letter(
                f"the handler failed {deliveries} times, at last with {type(defect).__name__}"
            )
            return
        self._stopping.wait(DEFECT_PAUSE_S)
        delivery.requeue()


def each_event(handler: Callable[[Message], None], name: str) -> Handler:
    """Make of a subscriber a handler that acks each event, also one on which the subscriber raised."""

    def handle(delivery: Delivery) -> None:
        try:
            handler(delivery.message)
        except Exception:  # a subscriber's defect must not end its subscription
            logger.exception(
                "subscriber failed",
                consumer=name,
                message_id=delivery.message.message_id,
                routing_key=delivery.message.routing_key,
            )
        delivery.ack()

    return handle
