"""What the services need of a broker; rabbitmq.py and memory.py both give it and pass one contract suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it travels: an opaque body and the properties that routing and tracing need."""

    routing_key: str
    body: bytes
    message_id: str
    correlation_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/cloudevents+json"
    #: The queue to which its sender wants a response besides.
    reply_to: str = ""


class Delivery(Protocol):
    """One message handed to one consumer; exactly one of ack, requeue and dead_letter ends it.

    All three may be called from any thread, none raises, and only the first of them counts. If the connection
    on which it came is gone, they do nothing: the broker has already given the message to somebody else.
    """

    @property
    def message(self) -> Message:
        """What was delivered."""
        ...

    @property
    def redelivered(self) -> bool:
        """Whether it was delivered before, to somebody who did not end it."""
        ...

    @property
    def delivery_count(self) -> int:
        """How often it was delivered before this time, as far as the broker knows; 0 the first time."""
        ...

    @property
    def lost(self) -> bool:
        """Whether it can no longer be ended here: its connection is gone or its consumer has stopped."""
        ...

    def ack(self) -> None:
        """Done: the broker may forget it."""
        ...

    def requeue(self) -> None:
        """Give it back at once, to anybody, counted as a delivery that failed."""
        ...

    def dead_letter(self, reason: str) -> None:
        """Move it to the dead-letter queue with the reason in the header `x-doseqr-reason`.

        If the broker does not confirm the move, the message is requeued instead.
        """
        ...


Handler = Callable[[Delivery], None]


class Consumer(Protocol):
    """A running consumption; survives a lost connection by itself."""

    def stop(self, grace_s: float) -> None:
        """Take no more deliveries, wait up to `grace_s` seconds for handlers in hand, requeue the rest.

        Handlers that outlive the grace period go on; what they do to their delivery has no effect any more.
        Safe to repeat and to call from any thread but a handler's own.
        """
        ...


class Subscription(Protocol):
    """A private, temporary queue of events; lost events are not replayed after a lost connection."""

    def close(self) -> None:
        """End it and free what it holds; safe to repeat."""
        ...


@dataclass(frozen=True, slots=True)
class QueueState:
    """How a queue stands: messages ready and consumers attached."""

    ready: int
    consumers: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message of the dead-letter queue; `message.body` is empty where it is too long to be listed."""

    id: str
    message: Message
    reason: str
    size_bytes: int
    #: When, from which queue and by which process it was given up; empty where that is not known.
    at: str = ""
    queue: str = ""
    worker: str = ""


class Broker(Protocol):
    """A connection to a broker with the topology of `topology.py`; safe to use from any thread."""

    @property
    def description(self) -> str:
        """Where it is, for people, without any password."""
        ...

    def declare(self) -> None:
        """Make exchanges, queues and bindings. Safe to repeat.

        Raises:
            BrokerAwayError: the broker cannot be reached.
            PermanentError: exchanges or queues of these names exist with other properties or are forbidden.
        """
        ...

    def command(self, message: Message) -> None:
        """Publish to the exchange of commands, persistent and mandatory; returns once it is confirmed.

        Raises:
            UnroutableError: no queue takes this routing key.
            BrokerAwayError: not confirmed after a bounded number of attempts.
        """
        ...

    def event(self, message: Message) -> None:
        """Publish to the exchange of events; nobody has to listen.

        Raises:
            BrokerAwayError: not confirmed after a bounded number of attempts.
        """
        ...

    def reply(self, message: Message) -> None:
        """Publish to the queue of another system that the routing key names; if it is gone, so is the reply.

        Raises:
            InvalidInputError: it is no queue that another system may name.
            BrokerAwayError: not confirmed after a bounded number of attempts.
        """
        ...

    def consume(self, queue: str, handler: Handler, *, workers: int) -> Consumer:
        """Hand deliveries of a queue to `handler` on `workers` threads; the prefetch count is `workers`.

        `queue` is the short name in topology.py. Returns at once; the connection is made, and made again, in
        the background. A handler that raises is a defect: it is logged, and the delivery is requeued after a
        pause, or dead-lettered once it was delivered `MAX_DELIVERIES` times (pool.py, for every adapter).
        Services use `worker.Worker` on top, which knows errors that are no defects.

        Raises:
            PermanentError: no queue has this name.
        """
        ...

    def subscribe(self, binding_keys: Sequence[str], handler: Callable[[Message], None]) -> Subscription:
        """Hand events that match any of the topic binding keys to `handler`, in order, on one thread.

        Returns once the bindings stand, so that nothing published later is missed. A handler that raises is a
        defect: it is logged, and the next event follows.

        Raises:
            BrokerAwayError: the bindings do not stand after a bounded time; nothing is left running.
        """
        ...

    def queue_state(self, queue: str) -> QueueState:
        """How the queue stands now; a queue that nobody declared is (0, 0).

        Raises:
            BrokerAwayError: the broker cannot be reached.
        """
        ...

    def dead_letters(self, limit: int) -> Sequence[DeadLetter]:
        """Return up to `limit` dead letters; they stay where they are, also if this process dies meanwhile.

        Raises:
            BrokerAwayError: the broker cannot be reached.
        """
        ...

    def replay_dead_letter(self, dead_letter_id: str) -> bool:
        """Publish a dead letter again as it was, then remove its copies; False if there is none of this id.

        It is removed only once the broker has confirmed the new message, so it may be published twice, never
        lost: whoever handles it expects a message twice.

        Raises:
            UnroutableError: no queue takes its routing key; it stays where it is.
            BrokerAwayError: the broker cannot be reached.
        """
        ...

    def drop_dead_letter(self, dead_letter_id: str) -> bool:
        """Remove a dead letter and its copies for ever; False if there is none of this id.

        Raises:
            BrokerAwayError: the broker cannot be reached.
        """
        ...

    def close(self) -> None:
        """End it and free what it holds; safe to repeat."""
        ...


#: Deliveries without an end after which a message is poison.
MAX_DELIVERIES = 5
