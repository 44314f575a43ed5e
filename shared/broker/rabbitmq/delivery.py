"""Deliveries from RabbitMQ and the session, one connection with one channel, that their tags belong to."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

import pika
import structlog
from pika import exceptions
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection

from shared.broker.port import Message
from shared.errors import DoseQRError

logger = structlog.get_logger(__name__)

#: Moves a message to the dead letters and waits for the confirm.
Bury = Callable[[Message, str], None]


class Session:
    """One connection with one channel, and the delivery tags that live and die with them."""

    def __init__(self, connection: BlockingConnection, channel: BlockingChannel) -> None:
        self.connection = connection
        self.channel = channel
        self.lost = threading.Event()
        self.cancelled = False
        self._unended: set[int] = set()

    @property
    def all_ended(self) -> bool:
        """Whether each delivery of this session was ended."""
        return not self._unended

    @property
    def alive(self) -> bool:
        """Whether deliveries can still come; pika is silent when the broker closed the channel."""
        return bool(self.connection.is_open and self.channel.is_open and not self.cancelled)

    def on_cancelled(self, _frame: pika.frame.Method[pika.spec.Basic.Cancel]) -> None:
        """Note that the broker ended the consumption; the channel stays open but idle."""
        self.cancelled = True

    def wake(self) -> None:
        """Wake the connection's thread; from any thread."""
        try:
            self.connection.add_callback_threadsafe(lambda: None)
        except exceptions.ConnectionWrongStateError:
            self.lost.set()

    def took(self, tag: int) -> None:
        """Remember a delivery. Only on the connection's thread."""
        self._unended.add(tag)

    def settle(self, tag: int, *, back: bool) -> None:
        """Have the connection's thread end a delivery; from any thread, without effect once all is lost."""
        if self.lost.is_set():
            return
        try:
            self.connection.add_callback_threadsafe(functools.partial(self._end, tag, back=back))
        except exceptions.ConnectionWrongStateError:
            self.lost.set()

    def give_back_rest(self) -> None:
        """Requeue what nobody ended; it was not their fault. Only on the connection's thread."""
        for tag in list(self._unended):
            self._end(tag, back=True)

    def _end(self, tag: int, *, back: bool) -> None:
        if tag not in self._unended or not self.channel.is_open:
            return
        self._unended.remove(tag)
        if back:
            # reject, not nack: from RabbitMQ 4.3 only a reject counts towards the delivery limit.
            self.channel.basic_reject(tag, requeue=True)
        else:
            self.channel.basic_ack(tag)


class RabbitDelivery:
    """A message in the hand of one consumer."""

    def __init__(
        self, session: Session, method: pika.spec.Basic.Deliver, message: Message, count: int, bury: Bury
    ) -> None:
        self._session = session
        self._tag: int = method.delivery_tag
        self._redelivered = bool(method.redelivered)
        self._message = message
        self._delivery_count = count
        self._bury = bury

    @property
    def message(self) -> Message:
        """What was delivered."""
        return self._message

    @property
    def redelivered(self) -> bool:
        """Whether it was delivered before, to somebody who did not end it."""
        return self._redelivered

    @property
    def delivery_count(self) -> int:
        """How often it was delivered before this time, as far as the broker knows."""
        return self._delivery_count

    @property
    def lost(self) -> bool:
        """Whether its connection is gone."""
        return self._session.lost.is_set()

    def ack(self) -> None:
        """Done: the broker may forget it."""
        self._session.settle(self._tag, back=False)

    def requeue(self) -> None:
        """Give it back at once, to anybody."""
        self._session.settle(self._tag, back=True)

    def dead_letter(self, reason: str) -> None:
        """Publish it to the dead-letter exchange, then ack; requeue it if that is not confirmed."""
        if self.lost:
            return
        try:
            self._bury(self._message, reason)
        except DoseQRError as error:
            logger.warning(
                "dead letter not confirmed",
                action="requeue",
                message_id=self._message.message_id,
                error=type(error).__name__,
            )
            self.requeue()
        else:
            self.ack()


def count_deliveries(method: pika.spec.Basic.Deliver, properties: pika.BasicProperties) -> int:
    """Return how often a message was delivered before; quorum queues count it in a header."""
    count = (properties.headers or {}).get("x-delivery-count")
    return count if isinstance(count, int) else int(bool(method.redelivered))
