"""Consumption from RabbitMQ: one thread owns the connection, a pool of others runs the handlers."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pika
import structlog
from pika import exceptions
from pika.adapters.blocking_connection import BlockingChannel

from shared.backoff import Backoff
from shared.broker.handler_pool import HandlerPool
from shared.broker.port import Handler
from shared.broker.rabbitmq.connection import Address, close_quietly, connect, renamed_errors, to_message
from shared.broker.rabbitmq.delivery import Bury, RabbitDelivery, Session, count_deliveries
from shared.errors import BrokerAwayError, DoseQRError

logger = structlog.get_logger(__name__)

#: Pauses between attempts to connect.
RECONNECT = Backoff(0.2, 10.0)

#: Longest sleep of the connection's thread, in seconds; what it waits for wakes it earlier.
POLL_INTERVAL_S = 1.0

#: Seconds between two declarations of what brings messages to a queue. A deleted exchange takes its bindings
#: with it, and no consumer is notified: the queue stands, and nothing comes any more.
RESTORE_INTERVAL_S = 15.0

#: Longest sleep while a stop waits for handlers, in seconds; an ack wakes it earlier.
FAREWELL_POLL_S = 0.05

#: Seconds for a stop to send its last frames to the broker, after the grace period.
FAREWELL_S = 10.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A queue that can be consumed on a channel."""

    queue: str
    #: Makes again, on the connection's thread, what brings messages to it; None where the user may not.
    restore: Callable[[], object] | None


class RabbitConsumer:
    """A queue consumed over connections that follow each other until it is stopped."""

    def __init__(
        self,
        address: Address,
        handler: Handler,
        *,
        name: str,
        workers: int,
        prefetch_count: int,
        prepare: Callable[[BlockingChannel], Prepared],
        bury: Bury,
    ) -> None:
        """Start it; `prepare` declares what is needed on each new channel."""
        self._address = address
        self._name = name
        self._prefetch_count = prefetch_count
        self._prepare = prepare
        self._bury = bury
        self._pauses = RECONNECT.pauses()
        self._deadline = 0.0
        self._stopping = threading.Event()
        self._standing = threading.Event()
        self._session: Session | None = None
        self._pool = HandlerPool(handler, workers=workers, name=name)
        self._thread = threading.Thread(target=self._run, name=f"{name}-connection", daemon=True)
        self._thread.start()

    def wait_standing(self, timeout_s: float) -> bool:
        """Wait until it consumes for the first time; return whether it does."""
        return self._standing.wait(timeout_s)

    def runs_here(self) -> bool:
        """Return whether this is one of its own threads."""
        return threading.current_thread() is self._thread or self._pool.runs_here()

    def stop(self, grace_s: float) -> None:
        """Take no more deliveries, wait up to `grace_s` seconds for handlers in hand, requeue the rest."""
        if not self._stopping.is_set():
            self._deadline = time.monotonic() + grace_s
            self._stopping.set()
        session = self._session
        if session is not None:
            session.wake()
        if threading.current_thread() is not self._thread:
            self._thread.join(grace_s + FAREWELL_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._consume_once()
            except DoseQRError as error:
                pause_s = next(self._pauses)
                logger.warning(
                    "consumer without broker",
                    consumer=self._name,
                    broker=self._address.description,
                    detail=str(error),
                    pause_s=pause_s,
                )
            except Exception:
                pause_s = next(self._pauses)
                logger.exception("consumer failed", consumer=self._name, pause_s=pause_s)
            else:
                pause_s = next(self._pauses)
            self._stopping.wait(pause_s)
        # Left to do where the connection was gone when the stop came.
        self._pool.stop()
        self._pool.wait_idle(self._remaining_s())

    def _consume_once(self) -> None:
        """Consume over one connection until that ends or a stop is requested."""
        connection = connect(self._address, self._name)
        session: Session | None = None
        try:
            with renamed_errors(f"consuming {self._name}", "read on its queue"):
                channel = connection.channel()
                prepared = self._prepare(channel)
                channel.basic_qos(prefetch_count=self._prefetch_count)
                session = Session(connection, channel)
                consumer_tag = self._attach(session, prepared.queue)
                self._watch(session, prepared.restore)
                self._take_leave(session, consumer_tag)
        finally:
            self._session = None
            if session is not None:
                session.lost.set()
            close_quietly(connection)

    def _attach(self, session: Session, queue: str) -> str:
        session.channel.add_on_cancel_callback(session.on_cancelled)
        consumer_tag = session.channel.basic_consume(queue, functools.partial(self._on_message, session))
        self._session = session
        self._pauses = RECONNECT.pauses()
        self._standing.set()
        logger.info("consuming", consumer=self._name, broker=self._address.description)
        return str(consumer_tag)

    def _on_message(
        self,
        session: Session,
        _channel: BlockingChannel,
        method: pika.spec.Basic.Deliver,
        properties: pika.BasicProperties,
        body: bytes,
    ) -> None:
        session.took(method.delivery_tag)
        message = to_message(method.routing_key or "", properties, body)
        delivery = RabbitDelivery(session, method, message, count_deliveries(method, properties), self._bury)
        self._pool.submit(delivery)

    def _watch(self, session: Session, restore: Callable[[], object] | None) -> None:
        restore_at = time.monotonic() + RESTORE_INTERVAL_S
        while not self._stopping.is_set():
            session.connection.process_data_events(POLL_INTERVAL_S)
            if not session.alive:
                raise BrokerAwayError("the broker closed the channel or cancelled the consumer")
            if restore is not None and time.monotonic() >= restore_at:
                self._restore(restore)
                restore_at = time.monotonic() + RESTORE_INTERVAL_S

    def _restore(self, restore: Callable[[], object]) -> None:
        try:
            restore()
        except exceptions.ChannelClosedByBroker as error:
            # Work in hand goes on: what still comes is taken until an administrator has mended this.
            logger.warning("topology not restored", consumer=self._name, detail=error.reply_text)

    def _take_leave(self, session: Session, consumer_tag: str) -> None:
        """Let handlers in hand finish while the connection still beats, then give back the rest."""
        session.channel.basic_cancel(consumer_tag)
        for unstarted in self._pool.stop():
            unstarted.requeue()
        if not session.all_ended:
            logger.info("waiting for handlers", consumer=self._name, up_to_s=round(self._remaining_s(), 1))
        while self._remaining_s() and not (session.all_ended and self._pool.wait_idle(0)):
            session.connection.process_data_events(min(FAREWELL_POLL_S, self._remaining_s()))
            if not session.alive:
                raise BrokerAwayError("the broker closed the channel while handlers were awaited")
        session.connection.process_data_events(0)
        session.lost.set()
        session.give_back_rest()

    def _remaining_s(self) -> float:
        return max(0.0, self._deadline - time.monotonic())
