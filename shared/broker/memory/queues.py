"""The queues of the in-memory broker: what is ready, what is in hand, whose turn it is."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence

from shared.broker.dead_letter import dead_letter_headers
from shared.broker.handler_pool import HandlerPool
from shared.broker.port import Handler, Message, QueueState
from shared.broker.topology import (
    DEAD_LETTERS,
    DELIVERY_LIMIT,
    QUEUE_NAMES,
    QUEUES,
    topic_matches,
)


@dataclasses.dataclass(slots=True)
class _Entry:
    """A message in a queue."""

    message: Message
    delivery_count: int = 0


class _Queue:
    """Messages that are ready and the consumers that wait for them, the next in turn first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready: deque[_Entry] = deque()
        self.consumers: deque[MemoryConsumer] = deque()

    def dispatch(self) -> None:
        """Give ready messages to consumers with free workers, in turn."""
        while self.ready and (consumer := self._next_free_consumer()) is not None:
            consumer.take(self.ready.popleft())

    def _next_free_consumer(self) -> MemoryConsumer | None:
        for _ in range(len(self.consumers)):
            consumer = self.consumers[0]
            self.consumers.rotate(-1)
            if consumer.has_free_worker:
                return consumer
        return None


class MemoryQueues:
    """Every queue of a broker; `changed` holds the one lock that guards them and what is in hand."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self._queues: dict[str, _Queue] = {}

    def declare(self) -> None:
        """Make the queues of the topology. Safe to repeat."""
        with self.changed:
            for name in QUEUE_NAMES:
                self._queues.setdefault(name, _Queue(name))

    def publish(self, message: Message) -> bool:
        """Put a message into every queue that takes its routing key; return whether there was one."""
        return self._put(message, {spec.name: spec.binding_keys for spec in QUEUES})

    def publish_event(self, message: Message) -> None:
        """Put an event into every queue that takes events of its routing key."""
        self._put(message, {spec.name: spec.event_keys for spec in QUEUES if spec.event_keys})

    def _put(self, message: Message, keys_of: Mapping[str, tuple[str, ...]]) -> bool:
        with self.changed:
            targets = [
                self._queues[name]
                for name, keys in keys_of.items()
                if name in self._queues and any(topic_matches(key, message.routing_key) for key in keys)
            ]
            for target in targets:
                target.ready.append(_Entry(message))
                target.dispatch()
            return bool(targets)

    def state(self, name: str) -> QueueState:
        """How a queue stands; one that nobody declared is (0, 0)."""
        with self.changed:
            queue = self._queues.get(name)
            return QueueState(len(queue.ready), len(queue.consumers)) if queue else QueueState(0, 0)

    def attach(self, name: str, handler: Handler, workers: int) -> MemoryConsumer:
        """Begin to consume a declared queue."""
        with self.changed:
            consumer = MemoryConsumer(self, name, handler, workers)
            self._queues[name].consumers.append(consumer)
            self._queues[name].dispatch()
            return consumer

    def detach(self, consumer: MemoryConsumer) -> None:
        """Give a consumer nothing more. Safe to repeat."""
        with self.changed:
            consumers = self._queues[consumer.queue_name].consumers
            if consumer in consumers:
                consumers.remove(consumer)

    def consumers(self) -> list[MemoryConsumer]:
        """Every consumer that is attached."""
        with self.changed:
            return [consumer for queue in self._queues.values() for consumer in queue.consumers]

    def give_back(self, name: str, entry: _Entry) -> None:
        """Put a message back to the head of its queue, or bury it when it came back too often."""
        with self.changed:
            entry.delivery_count += 1
            if entry.delivery_count > DELIVERY_LIMIT:
                self.bury(entry.message)
            else:
                self._queues[name].ready.appendleft(entry)

    def bury(self, message: Message) -> None:
        """Put a message into the dead-letter queue."""
        with self.changed:
            self._queues[DEAD_LETTERS].ready.append(_Entry(message))
            self._queues[DEAD_LETTERS].dispatch()

    def dead_messages(self) -> list[Message]:
        """Return the messages of the dead-letter queue that nobody has in hand, the oldest first."""
        with self.changed:
            queue = self._queues.get(DEAD_LETTERS)
            return [entry.message for entry in queue.ready] if queue else []

    def remove_dead(self, removed: Sequence[Message]) -> None:
        """Remove these messages from the dead-letter queue, as far as they are still there."""
        with self.changed:
            for entry in list(self._queues[DEAD_LETTERS].ready):
                if entry.message in removed:
                    self._queues[DEAD_LETTERS].ready.remove(entry)

    def freed(self, name: str) -> None:
        """Note that a consumer of this queue has ended a delivery."""
        with self.changed:
            self._queues[name].dispatch()
            self.changed.notify_all()


class MemoryDelivery:
    """A message in the hand of one consumer."""

    def __init__(self, consumer: MemoryConsumer, entry: _Entry) -> None:
        self._consumer = consumer
        self._entry = entry
        self._delivery_count = entry.delivery_count

    @property
    def message(self) -> Message:
        """What was delivered."""
        return self._entry.message

    @property
    def redelivered(self) -> bool:
        """Whether it was delivered before, to somebody who did not end it."""
        return self._delivery_count > 0

    @property
    def delivery_count(self) -> int:
        """How often it was delivered before this time."""
        return self._delivery_count

    @property
    def lost(self) -> bool:
        """Whether it was ended or its consumer has stopped."""
        return not self._consumer.holds(self)

    def ack(self) -> None:
        """Done: forget it."""
        self._consumer.end(self, self._entry, back=False)

    def requeue(self) -> None:
        """Give it back at once, to anybody."""
        self._consumer.end(self, self._entry, back=True)

    def dead_letter(self, reason: str) -> None:
        """Move it to the dead-letter queue with the reason in the header `x-doseqr-reason`."""
        headers = {**self.message.headers, **dead_letter_headers(self._consumer.queue_name, reason)}
        self._consumer.end(
            self, self._entry, back=False, buried=dataclasses.replace(self.message, headers=headers)
        )


class MemoryConsumer:
    """A running consumption of one queue."""

    def __init__(self, queues: MemoryQueues, queue_name: str, handler: Handler, workers: int) -> None:
        self.queue_name = queue_name
        self._queues = queues
        self._workers = workers
        self._unacknowledged: set[MemoryDelivery] = set()
        self._pool = HandlerPool(handler, workers=workers, name=f"consume-{queue_name}")

    @property
    def has_free_worker(self) -> bool:
        """Whether the prefetch count leaves room for one more; the caller holds the broker's lock."""
        return len(self._unacknowledged) < self._workers

    def take(self, entry: _Entry) -> None:
        """Take one message in hand; the caller holds the broker's lock."""
        delivery = MemoryDelivery(self, entry)
        self._unacknowledged.add(delivery)
        self._pool.submit(delivery)

    def holds(self, delivery: MemoryDelivery) -> bool:
        """Return whether the delivery is still to be ended."""
        with self._queues.changed:
            return delivery in self._unacknowledged

    def end(
        self, delivery: MemoryDelivery, entry: _Entry, *, back: bool, buried: Message | None = None
    ) -> None:
        """End a delivery once; anything later has no effect."""
        with self._queues.changed:
            if delivery not in self._unacknowledged:
                return
            self._unacknowledged.remove(delivery)
            if back:
                self._queues.give_back(self.queue_name, entry)
            if buried is not None:
                self._queues.bury(buried)
            self._queues.freed(self.queue_name)

    def stop(self, grace_s: float) -> None:
        """Take no more deliveries, wait up to `grace_s` seconds for handlers in hand, requeue the rest."""
        deadline = time.monotonic() + grace_s
        self._queues.detach(self)
        for delivery in self._pool.stop():
            delivery.requeue()
        with self._queues.changed:
            self._queues.changed.wait_for(lambda: not self._unacknowledged, grace_s)
            for late in list(self._unacknowledged):
                late.requeue()
        self._pool.wait_idle(max(0.0, deadline - time.monotonic()))
