"""The broker over RabbitMQ (3.10 to 4.x) by way of pika, which only the rabbitmq modules import."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import partial

import structlog
from pika.adapters.blocking_connection import BlockingChannel

from shared.broker.dead_letter import dead_letter_headers, publish_again
from shared.broker.handler_pool import each_event
from shared.broker.port import Consumer, DeadLetter, Handler, Message, QueueState, Subscription
from shared.broker.rabbitmq.connection import NO_TLS_FILES, parse_address
from shared.broker.rabbitmq.consumer import Prepared, RabbitConsumer
from shared.broker.rabbitmq.dead_letters import RabbitDeadLetters
from shared.broker.rabbitmq.declaration import bind_events, declare_exchanges, declare_queue, declare_topology
from shared.broker.rabbitmq.publisher import RabbitPublisher
from shared.broker.tls_files import TlsFiles
from shared.broker.topology import NO_REPLY_QUEUE, QUEUE_NAMES, SUBSCRIPTION_BACKLOG, Names
from shared.errors import BrokerAwayError, InvalidInputError, PermanentError

logger = structlog.get_logger(__name__)

#: Seconds until the bindings of a new subscription must stand.
SUBSCRIBE_TIMEOUT_S = 6.0

#: Events in flight to one subscriber.
SUBSCRIPTION_PREFETCH = 100

#: Seconds for which the end of a subscription waits for its handler.
SUBSCRIPTION_GRACE_S = 5.0


class RabbitBroker:
    """One installation's exchanges and queues on a RabbitMQ; connects when first used."""

    def __init__(self, url: str, prefix: str, tls: TlsFiles = NO_TLS_FILES) -> None:
        """Read the URL.

        Raises:
            SettingsError: it is no AMQP URL, or a file for TLS cannot be used.
        """
        self._address = parse_address(url, tls)
        self._names = Names(prefix)
        self._publisher = RabbitPublisher(self._address, self._names)
        self._dead_letters = RabbitDeadLetters(self._address, self._names, self._publisher)
        self._consumers: weakref.WeakSet[RabbitConsumer] = weakref.WeakSet()

    @property
    def description(self) -> str:
        """Where it is, for people, without any password."""
        return f"RabbitMQ at {self._address.description}"

    def declare(self) -> None:
        """Make exchanges, queues and bindings. Safe to repeat.

        Raises:
            BrokerAwayError: the broker cannot be reached.
            PermanentError: exchanges or queues of these names exist with other properties or are forbidden.
        """
        self._publisher.declare()

    def command(self, message: Message) -> None:
        """Publish to the exchange of commands; returns once it is confirmed.

        Raises:
            UnroutableError: no queue takes this routing key.
            BrokerAwayError: not confirmed after a bounded number of attempts.
        """
        self._publisher.publish(self._names.commands, message, mandatory=True)

    def event(self, message: Message) -> None:
        """Publish to the exchange of events; nobody has to listen.

        Raises:
            BrokerAwayError: not confirmed after a bounded number of attempts.
        """
        self._publisher.publish(self._names.events, message, mandatory=False)

    def reply(self, message: Message) -> None:
        """Publish to the queue of another system that the routing key names; if it is gone, so is the reply.

        Raises:
            InvalidInputError: it is no queue that another system may name.
            BrokerAwayError: not confirmed after a bounded number of attempts.
        """
        if not self._names.is_reply_queue(message.routing_key):
            raise InvalidInputError("reply_to", NO_REPLY_QUEUE)
        try:
            # Not mandatory: RabbitMQ returns a mandatory message to amq.rabbitmq.reply-to.
            self._publisher.publish("", message, mandatory=False)
        except PermanentError as error:
            logger.warning("reply not published", message_id=message.message_id, error=str(error))

    def consume(self, queue: str, handler: Handler, *, workers: int) -> Consumer:
        """Hand deliveries of a queue to `handler` on `workers` threads; the prefetch count is `workers`.

        Raises:
            PermanentError: no queue has this name.
        """
        if queue not in QUEUE_NAMES:
            raise PermanentError(f"no queue is named {queue!r}")

        def prepare(channel: BlockingChannel) -> Prepared:
            restore = None
            if declare_topology(channel.connection, self._names):
                restore = partial(declare_queue, channel.connection, self._names, queue)
            return Prepared(self._names.queue(queue), restore)

        return self._start(
            handler,
            name=f"consume-{queue}",
            workers=workers,
            prefetch_count=workers,
            prepare=prepare,
            queue=queue,
        )

    def subscribe(self, binding_keys: Sequence[str], handler: Callable[[Message], None]) -> Subscription:
        """Hand events that match any of the topic binding keys to `handler`, in order, on one thread.

        Raises:
            BrokerAwayError: the bindings do not stand after a bounded time; nothing is left running.
        """
        keys = tuple(binding_keys)

        def prepare(channel: BlockingChannel) -> Prepared:
            may_make = declare_exchanges(channel.connection, self._names)
            # Exclusive, since RabbitMQ 4.3 refuses shared queues that are not durable; classic, since a
            # default queue type of quorum would not fit.
            arguments = {"x-queue-type": "classic", "x-max-length": SUBSCRIPTION_BACKLOG}
            declared = channel.queue_declare("", exclusive=True, auto_delete=True, arguments=arguments)
            queue = str(declared.method.queue)
            bind_events(channel, self._names, queue, keys)

            def restore() -> None:
                if may_make:
                    declare_exchanges(channel.connection, self._names)
                again = channel.connection.channel()
                bind_events(again, self._names, queue, keys)
                again.close()

            return Prepared(queue, restore)

        consumer = self._start(
            each_event(handler, "subscription"),
            name="subscription",
            workers=1,
            prefetch_count=SUBSCRIPTION_PREFETCH,
            prepare=prepare,
        )
        if not consumer.wait_standing(SUBSCRIBE_TIMEOUT_S):
            consumer.stop(0.0)
            raise BrokerAwayError(f"no subscription to events: {self.description} is away")
        return RabbitSubscription(consumer)

    def queue_state(self, queue: str) -> QueueState:
        """How the queue stands now; a queue that nobody declared is (0, 0).

        Raises:
            BrokerAwayError: the broker cannot be reached.
        """
        return self._publisher.queue_state(self._names.queue(queue))

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """Return up to `limit` dead letters; they stay where they are, also if this process dies meanwhile.

        Raises:
            BrokerAwayError: the broker cannot be reached.
        """
        return self._dead_letters.first(limit)

    def replay_dead_letter(self, dead_letter_id: str) -> bool:
        """Publish a dead letter again as it was, then remove its copies; False if there is none of this id.

        Raises:
            UnroutableError: no queue takes its routing key; it stays where it is.
            BrokerAwayError: the broker cannot be reached.
        """
        return self._dead_letters.remove(dead_letter_id, before=lambda message: publish_again(self, message))

    def drop_dead_letter(self, dead_letter_id: str) -> bool:
        """Remove a dead letter and its copies for ever; False if there is none of this id.

        Raises:
            BrokerAwayError: the broker cannot be reached.
        """
        return self._dead_letters.remove(dead_letter_id)

    def close(self) -> None:
        """End consumers and subscriptions without grace, then the connection. Safe to repeat."""
        for consumer in list(self._consumers):
            consumer.stop(0.0)
        self._publisher.close()

    def _start(
        self,
        handler: Handler,
        *,
        name: str,
        workers: int,
        prefetch_count: int,
        prepare: Callable[[BlockingChannel], Prepared],
        queue: str = "",
    ) -> RabbitConsumer:
        consumer = RabbitConsumer(
            self._address,
            handler,
            name=name,
            workers=workers,
            prefetch_count=prefetch_count,
            prepare=prepare,
            bury=partial(self._bury, queue),
        )
        self._consumers.add(consumer)
        return consumer

    def _bury(self, queue: str, message: Message, reason: str) -> None:
        self._publisher.publish(
            self._names.dead_letter_exchange,
            message,
            mandatory=True,
            extra_headers=dead_letter_headers(queue, reason),
        )


class RabbitSubscription:
    """A private, temporary queue of events, bound anew with each new connection."""

    def __init__(self, consumer: RabbitConsumer) -> None:
        self._consumer = consumer

    def close(self) -> None:
        """End it; safe to repeat, also from its own handler."""
        self._consumer.stop(0.0 if self._consumer.runs_here() else SUBSCRIPTION_GRACE_S)
