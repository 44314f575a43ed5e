"""One publishing connection for all threads: each message persistent, mandatory where required, confirmed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog
from pika import exceptions
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection

from shared.broker.port import Message, QueueState
from shared.broker.rabbitmq.connection import (
    NOT_FOUND,
    PIKA_ERRORS,
    Address,
    close_quietly,
    connect,
    renamed_errors,
    to_properties,
)
from shared.broker.rabbitmq.declaration import declare_exchanges, declare_topology
from shared.broker.topology import Names
from shared.errors import BrokerAwayError, UnroutableError

logger = structlog.get_logger(__name__)

#: Pauses between attempts at one publication, in seconds; one attempt more than there are pauses.
ATTEMPT_PAUSES_S = (0.1, 0.3, 1.0, 2.0)

#: No further attempt begins, and nobody waits for the connection, after so many seconds.
PUBLISH_DEADLINE_S = 20.0

#: Shortest and longest time between two checks of an idle connection, in seconds.
KEEP_ALIVE_S = (0.25, 5.0)

_NO_HEADERS: Mapping[str, str] = {}


class RabbitPublisher:
    """A confirming publisher, safe to use from any thread; connects when first used."""

    def __init__(self, address: Address, names: Names) -> None:
        self._address = address
        self._names = names
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._whole_topology = False
        self._connection: BlockingConnection | None = None
        self._channel: BlockingChannel | None = None
        self._keeper: threading.Thread | None = None

    def declare(self) -> None:
        """Make the whole topology now, and again with every new connection.

        Raises:
            BrokerAwayError: the broker cannot be reached.
            PermanentError: it exists with other properties or is forbidden.
        """
        self._whole_topology = True
        with self._locked(time.monotonic() + PUBLISH_DEADLINE_S), self._dropping_on_error("declaring"):
            self._open_channel()
            assert self._connection is not None
            declare_topology(self._connection, self._names)

    def publish(
        self,
        exchange: str,
        message: Message,
        *,
        mandatory: bool,
        extra_headers: Mapping[str, str] = _NO_HEADERS,
    ) -> None:
        """Publish and wait for the confirm.

        Raises:
            UnroutableError: mandatory, and no queue takes the routing key.
            BrokerAwayError: not confirmed after a bounded number of attempts.
        """
        deadline = time.monotonic() + PUBLISH_DEADLINE_S
        properties = to_properties(message, extra_headers)
        for pause_s in (*ATTEMPT_PAUSES_S, None):
            try:
                with self._locked(deadline), self._dropping_on_error("publishing", f"write on {exchange}"):
                    self._open_channel().basic_publish(
                        exchange, message.routing_key, message.body, properties, mandatory=mandatory
                    )
                    return
            except (BrokerAwayError, UnroutableError) as error:
                if isinstance(error.__cause__, exceptions.UnroutableError):
                    raise
                if pause_s is None or time.monotonic() + pause_s > deadline or self._closed.wait(pause_s):
                    raise

    def queue_state(self, queue: str) -> QueueState:
        """Return the state of a queue; of one that does not exist, (0, 0).

        Raises:
            BrokerAwayError: the broker cannot be reached.
        """
        deadline = time.monotonic() + PUBLISH_DEADLINE_S
        with self._locked(deadline):
            was_connected = self._connection is not None
            try:
                return self._declare_passively(queue)
            except BrokerAwayError:
                # A broker that was restarted is noticed by the first use of the old connection.
                if not was_connected:
                    raise
                return self._declare_passively(queue)

    def _declare_passively(self, queue: str) -> QueueState:
        with self._dropping_on_error("declaring a queue passively", f"write (or read) on {queue}"):
            self._open_channel()
            assert self._connection is not None
            # Its own channel: RabbitMQ closes the one on which a missing queue was declared passively.
            channel = self._connection.channel()
            try:
                found = channel.queue_declare(queue, passive=True).method
            except exceptions.ChannelClosedByBroker as error:
                if error.reply_code != NOT_FOUND:
                    raise
                return QueueState(ready=0, consumers=0)
            channel.close()
            return QueueState(ready=found.message_count, consumers=found.consumer_count)

    def close(self) -> None:
        """Close the connection. Safe to repeat."""
        self._closed.set()
        with self._lock:
            self._drop()
        if self._keeper is not None:
            self._keeper.join(timeout=10.0)

    @contextmanager
    def _locked(self, deadline: float) -> Iterator[None]:
        if not self._lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise BrokerAwayError(
                f"no response from {self._address.description} for {PUBLISH_DEADLINE_S:.0f} s"
            )
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def _dropping_on_error(self, what: str, permission: str = "") -> Iterator[None]:
        """Rename errors; whatever may have harmed the connection drops it."""
        try:
            with renamed_errors(what, permission):
                yield
        except Exception as error:
            if not isinstance(error.__cause__, exceptions.UnroutableError):
                self._drop()
            raise

    def _open_channel(self) -> BlockingChannel:
        if self._closed.is_set():
            raise BrokerAwayError("the connection was closed by this program")
        if self._channel is not None and self._channel.is_open:
            return self._channel
        self._drop()
        self._connection = connect(self._address, "publisher")
        self._channel = self._connection.channel()
        if self._whole_topology:
            declare_topology(self._connection, self._names)
        else:
            declare_exchanges(self._connection, self._names)
        self._channel.confirm_delivery()
        self._start_keeper()
        return self._channel

    def _drop(self) -> None:
        close_quietly(self._connection)
        self._connection = self._channel = None

    def _start_keeper(self) -> None:
        if self._keeper is None:
            self._keeper = threading.Thread(target=self._keep_alive, name="publisher-keeper", daemon=True)
            self._keeper.start()

    def _keep_alive(self) -> None:
        """Send heartbeats while nobody publishes; the next use replaces a connection found dead."""
        shortest, longest = KEEP_ALIVE_S
        pause_s = min(longest, max(shortest, (self._address.heartbeat_s or longest) / 4))
        while not self._closed.wait(pause_s):
            with self._lock:
                if self._connection is None:
                    continue
                try:
                    self._connection.process_data_events(0)
                except PIKA_ERRORS as error:
                    logger.warning("publisher connection lost", error=type(error).__name__)
                    self._drop()
