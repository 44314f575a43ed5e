"""The dead-letter queue of RabbitMQ, read without consuming it.

Each call opens a connection of its own and takes messages with basic.get, unacknowledged: if this process
dies, the broker puts them back. What is not acted on is requeued at the end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pika
from pika import exceptions
from pika.adapters.blocking_connection import BlockingConnection

from shared.broker.dead_letter import MAX_EXAMINED, dead_letter_id_of, dead_letter_of
from shared.broker.port import DeadLetter, Message
from shared.broker.rabbitmq.connection import (
    NOT_FOUND,
    Address,
    close_quietly,
    connect,
    renamed_errors,
    to_message,
)
from shared.broker.rabbitmq.publisher import RabbitPublisher
from shared.broker.topology import Names
from shared.errors import BrokerAwayError

#: From RabbitMQ 4.0 a quorum queue drops a message that was returned 20 times, unless it has a limit of its
#: own. One that was returned this often is replaced by a fresh copy instead.
REFRESH_AFTER_RETURNS = 8

#: Seconds for which a call waits for another one of this process.
TURN_TIMEOUT_S = 30.0

#: Polls of the queue, and seconds between two of them, until what was requeued can be taken again.
RETURN_POLLS, RETURN_POLL_INTERVAL_S = 40, 0.05


@dataclass(frozen=True, slots=True)
class _Taken:
    """A message in hand."""

    tag: int
    message: Message
    returns: int


class RabbitDeadLetters:
    """Lists, replays and drops dead letters; safe to use from any thread."""

    def __init__(self, address: Address, names: Names, publisher: RabbitPublisher) -> None:
        self._address = address
        self._names = names
        self._publisher = publisher
        # What one call has in hand, another would not find.
        self._turn = threading.Lock()

    def first(self, limit: int) -> list[DeadLetter]:
        """Return up to `limit` dead letters and leave them where they are.

        Raises:
            BrokerAwayError: the broker cannot be reached.
        """
        listed: list[DeadLetter] = []
        with self._visit() as visit:
            for taken in visit.take(limit):
                listed.append(dead_letter_of(taken.message))
                self._refresh_if_worn(visit, taken)
        return listed

    def remove(self, dead_letter_id: str, before: Callable[[Message], None] | None = None) -> bool:
        """Remove all copies of a dead letter; `before` is called once, before the first is removed.

        Raises:
            BrokerAwayError: the broker cannot be reached.
        """
        found = False
        with self._visit() as visit:
            for taken in visit.take(MAX_EXAMINED):
                if dead_letter_id_of(taken.message) != dead_letter_id:
                    self._refresh_if_worn(visit, taken)
                    continue
                if before is not None and not found:
                    before(taken.message)
                visit.remove(taken)
                found = True
        return found

    def _refresh_if_worn(self, visit: _Visit, taken: _Taken) -> None:
        if taken.returns >= REFRESH_AFTER_RETURNS:
            self._publisher.publish(self._names.dead_letter_exchange, taken.message, mandatory=True)
            visit.remove(taken)

    @contextmanager
    def _visit(self) -> Iterator[_Visit]:
        if not self._turn.acquire(timeout=TURN_TIMEOUT_S):
            raise BrokerAwayError("the dead letters are still being read by an earlier request")
        connection = None
        try:
            connection = connect(self._address, "dead letters")
            with renamed_errors("reading the dead letters", f"read on {self._names.dead_letters}"):
                visit = _Visit(connection, self._names.dead_letters)
                yield visit
                visit.give_back()
        finally:
            # After an error this is what gives everything back.
            close_quietly(connection)
            self._turn.release()


class _Visit:
    """One connection to the dead-letter queue, and how many messages it holds."""

    def __init__(self, connection: BlockingConnection, queue: str) -> None:
        self._connection = connection
        self._channel = connection.channel()
        self._queue = queue
        self._at_first = 0
        self._unacknowledged = self._removed = 0

    def take(self, limit: int) -> Iterator[_Taken]:
        """Yield up to `limit` messages, unacknowledged; nothing if nobody declared the queue."""
        try:
            self._at_first = self._ready()
        except exceptions.ChannelClosedByBroker as error:
            if error.reply_code == NOT_FOUND:
                return
            raise
        # No more than there were at the beginning: fresh copies come back at the end of the queue.
        for _ in range(min(self._at_first, limit)):
            method, properties, body = self._channel.basic_get(self._queue)
            if method is None:
                return
            assert properties is not None
            self._unacknowledged += 1
            message = to_message(method.routing_key, properties, body or b"")
            yield _Taken(method.delivery_tag, message, _returns(properties))

    def remove(self, taken: _Taken) -> None:
        """Have the broker forget a message."""
        self._channel.basic_ack(taken.tag)
        self._unacknowledged -= 1
        self._removed += 1

    def give_back(self) -> None:
        """Requeue what is left in hand, and wait until the next visit finds it: the broker does it later."""
        if not self._unacknowledged:
            return
        # nack, not reject: from RabbitMQ 4.3 only a reject counts towards the delivery limit.
        self._channel.basic_nack(0, multiple=True, requeue=True)
        for _ in range(RETURN_POLLS):
            if self._ready() >= self._at_first - self._removed:
                return
            self._connection.sleep(RETURN_POLL_INTERVAL_S)

    def _ready(self) -> int:
        return int(self._channel.queue_declare(self._queue, passive=True).method.message_count)


def _returns(properties: pika.BasicProperties) -> int:
    """Return how often a message came back to the queue; quorum queues count it in a header."""
    count = (properties.headers or {}).get("x-delivery-count")
    return count if isinstance(count, int) else 0
