"""The broker inside one process: what RabbitMQ promises, without what a crash would keep."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from shared.broker.dead_letter import dead_letter_id_of, dead_letter_of, publish_again
from shared.broker.memory.queues import MemoryQueues
from shared.broker.port import Consumer, DeadLetter, Handler, Message, QueueState, Subscription
from shared.broker.topology import QUEUE_NAMES, SUBSCRIPTION_BACKLOG, topic_matches
from shared.errors import BrokerAwayError, PermanentError, UnroutableError

logger = structlog.get_logger(__name__)


class MemoryBroker:
    """Queues, consumers and subscriptions of one process."""

    def __init__(self) -> None:
        self._queues = MemoryQueues()
        self._lock = threading.Lock()
        self._subscriptions: list[MemorySubscription] = []
        self._closed = False

    @property
    def description(self) -> str:
        """Where it is, for people."""
        return "in memory"

    def declare(self) -> None:
        """Make the queues. Safe to repeat.

        Raises:
            BrokerAwayError: the broker was closed.
        """
        self._check_open()
        self._queues.declare()

    def command(self, message: Message) -> None:
        """Put a message into every queue that takes its routing key.

        Raises:
            UnroutableError: no queue does.
            BrokerAwayError: the broker was closed.
        """
        self._check_open()
        if not self._queues.publish(message):
            raise UnroutableError(f"no queue takes the routing key {message.routing_key!r}")

    def event(self, message: Message) -> None:
        """Hand an event to every subscription that binds it, and to the queues that take it.

        Raises:
            BrokerAwayError: the broker was closed.
        """
        self._check_open()
        self._queues.publish_event(message)
        with self._lock:
            for subscription in self._subscriptions:
                subscription.offer(message)

    def reply(self, message: Message) -> None:  # noqa: ARG002 - the port's
        """Drop it: other systems have no queues here.

        Raises:
            BrokerAwayError: the broker was closed.
        """
        self._check_open()

    def consume(self, queue: str, handler: Handler, *, workers: int) -> Consumer:
        """Hand deliveries of a queue to `handler` on `workers` threads.

        Raises:
            PermanentError: no queue has this name.
            BrokerAwayError: the broker was closed.
        """
        if queue not in QUEUE_NAMES:
            raise PermanentError(f"no queue is named {queue!r}")
        self.declare()
        return self._queues.attach(queue, handler, workers)

    def subscribe(self, binding_keys: Sequence[str], handler: Callable[[Message], None]) -> Subscription:
        """Hand events that match any of the binding keys to `handler`, in order, on one thread.

        Raises:
            BrokerAwayError: the broker was closed.
        """
        self._check_open()
        subscription = MemorySubscription(binding_keys, handler, self._forget)
        with self._lock:
            self._subscriptions.append(subscription)
        return subscription

    def queue_state(self, queue: str) -> QueueState:
        """How the queue stands now; a queue that nobody declared is (0, 0).

        Raises:
            BrokerAwayError: the broker was closed.
        """
        self._check_open()
        return self._queues.state(queue)

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """Return up to `limit` dead letters; they stay where they are.

        Raises:
            BrokerAwayError: the broker was closed.
        """
        self._check_open()
        return [dead_letter_of(message) for message in self._queues.dead_messages()[:limit]]

    def replay_dead_letter(self, dead_letter_id: str) -> bool:
        """Publish a dead letter again as it was, then remove its copies; False if there is none of this id.

        Raises:
            UnroutableError: no queue takes its routing key; it stays where it is.
            BrokerAwayError: the broker was closed.
        """
        copies = self._copies(dead_letter_id)
        if copies:
            publish_again(self, copies[0])
            self._queues.remove_dead(copies)
        return bool(copies)

    def drop_dead_letter(self, dead_letter_id: str) -> bool:
        """Remove a dead letter and its copies for ever; False if there is none of this id.

        Raises:
            BrokerAwayError: the broker was closed.
        """
        copies = self._copies(dead_letter_id)
        self._queues.remove_dead(copies)
        return bool(copies)

    def _copies(self, dead_letter_id: str) -> list[Message]:
        self._check_open()
        dead = self._queues.dead_messages()
        return [message for message in dead if dead_letter_id_of(message) == dead_letter_id]

    def close(self) -> None:
        """End consumers and subscriptions without grace; what the queues held is gone."""
        self._closed = True
        for consumer in self._queues.consumers():
            consumer.stop(0.0)
        with self._lock:
            subscriptions = list(self._subscriptions)
        for subscription in subscriptions:
            subscription.close()

    def _check_open(self) -> None:
        if self._closed:
            raise BrokerAwayError("the in-memory broker was closed")

    def _forget(self, subscription: MemorySubscription) -> None:
        with self._lock:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)


class MemorySubscription:
    """Events for one subscriber, handed over on one thread; the oldest go when it falls far behind."""

    def __init__(
        self,
        binding_keys: Sequence[str],
        handler: Callable[[Message], None],
        on_close: Callable[[MemorySubscription], None],
    ) -> None:
        self._on_close = on_close
        self._binding_keys = tuple(binding_keys)
        self._handler = handler
        self._waiting: deque[Message] = deque(maxlen=SUBSCRIPTION_BACKLOG)
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="subscription", daemon=True)
        self._thread.start()

    def offer(self, message: Message) -> None:
        """Take an event if it matches; never blocks."""
        if any(topic_matches(key, message.routing_key) for key in self._binding_keys):
            with self._changed:
                self._waiting.append(message)
                self._changed.notify()

    def close(self) -> None:
        """End it; safe to repeat, also from its own handler."""
        self._on_close(self)
        with self._changed:
            self._closed = True
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5.0)

    def _next(self) -> Message | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._waiting))
            return None if self._closed else self._waiting.popleft()

    def _run(self) -> None:
        while (message := self._next()) is not None:
            try:
                self._handler(message)
            except Exception:
                logger.exception(
                    "subscriber failed", message_id=message.message_id, routing_key=message.routing_key
                )
