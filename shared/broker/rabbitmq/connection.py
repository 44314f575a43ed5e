"""How this program speaks to RabbitMQ: parameters, topology, messages, and pika's errors renamed."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import pika
from pika import exceptions
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.adapters.utils import connection_workflow

from shared.broker.port import Message
from shared.broker.topology import DELIVERY_LIMIT, QUEUES, Names
from shared.errors import BrokerAwayError, DoseQRError, PermanentError, SettingsError, UnroutableError

#: Seconds without a sign of life after which a connection counts as dead, unless the URL sets another.
HEARTBEAT_S = 20

#: Seconds for a TCP connection, and for the whole of connecting with TLS and AMQP's opening.
CONNECT_TIMEOUT_S = 5.0
OPEN_TIMEOUT_S = 10.0

#: Seconds for which a broker short of memory or disk may hold back a publisher.
BLOCKED_TIMEOUT_S = 30.0

#: AMQP 0-9-1 reply codes (specification, section 1.4).
NOT_FOUND = 404

#: What pika raises on an open connection; its errors have no common ancestor.
PIKA_ERRORS = (exceptions.AMQPError, exceptions.ChannelError, OSError)

# What pika logs at these levels is raised as well, and our callers log it with its circumstances.
logging.getLogger("pika").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Address:
    """Where RabbitMQ is and how to log in; its text holds no password."""

    parameters: pika.connection.Parameters
    description: str

    def __repr__(self) -> str:
        return f"Address({self.description})"


def parse_address(url: str) -> Address:
    """Read an amqp:// or amqps:// URL.

    Raises:
        SettingsError: it is none; the text does not repeat the URL, which may hold a password.
    """
    malformed = SettingsError("DOSEQR_AMQP_URL is not of the form amqp[s]://user:password@host:port/vhost")
    try:
        parts = urlsplit(url)
        parameters = pika.URLParameters(url)
    except (ValueError, TypeError, AttributeError, SyntaxError):
        # The cause repeats the URL, which may hold a password.
        raise malformed from None
    if parts.scheme not in ("amqp", "amqps"):
        raise malformed
    if "heartbeat=" not in parts.query:
        parameters.heartbeat = HEARTBEAT_S
    parameters.blocked_connection_timeout = BLOCKED_TIMEOUT_S
    parameters.socket_timeout = CONNECT_TIMEOUT_S
    parameters.stack_timeout = OPEN_TIMEOUT_S
    parameters.connection_attempts = 1
    return Address(parameters, f"{parts.scheme}://{parameters.host}:{parameters.port}{parts.path}")


@contextmanager
def renamed_errors(what: str) -> Iterator[None]:
    """Turn pika's errors into ours.

    Raises:
        UnroutableError: no queue takes the message, or the exchange is missing.
        PermanentError: the broker refuses because of what stands already, or forbids it.
        BrokerAwayError: everything else that pika raises.
    """
    try:
        yield
    except exceptions.UnroutableError as error:
        raise UnroutableError(f"{what}: no queue takes this routing key") from error
    except exceptions.ChannelClosedByBroker as error:
        raise _refused(what, error.reply_code) from error
    except (exceptions.ProbableAuthenticationError, exceptions.ProbableAccessDeniedError) as error:
        raise BrokerAwayError(f"{what}: the broker refuses the login or the virtual host") from error
    except exceptions.ShortStringTooLong as error:
        raise PermanentError(f"{what}: a routing key or header name is longer than 255 bytes") from error
    except (*PIKA_ERRORS, connection_workflow.AMQPConnectorException) as error:
        raise BrokerAwayError(f"{what}: the broker is away ({type(error).__name__})") from error


def _refused(what: str, reply_code: int) -> DoseQRError:
    if reply_code == NOT_FOUND:
        return UnroutableError(f"{what}: the exchange or queue does not exist")
    return PermanentError(f"{what}: refused by the broker with reply code {reply_code}")


def connect(address: Address, purpose: str) -> BlockingConnection:
    """Open a connection that the broker's own tools show under this purpose.

    Raises:
        BrokerAwayError: it cannot be opened within a bounded time.
    """
    parameters = copy.copy(address.parameters)
    parameters.client_properties = {"connection_name": f"doseqr {purpose}"}
    with renamed_errors(f"connecting to {address.description}"):
        return BlockingConnection(parameters)


def close_quietly(connection: BlockingConnection | None) -> None:
    """Close a connection that may be gone already."""
    if connection is None:
        return
    try:
        if connection.is_open:
            connection.close()
    except PIKA_ERRORS:
        return


def can_open(url: str, timeout_s: float = OPEN_TIMEOUT_S) -> bool:
    """Return whether a broker responds at this URL and accepts the login within `timeout_s` seconds."""
    address = parse_address(url)
    address.parameters.stack_timeout = timeout_s
    try:
        connection = connect(address, "probe")
    except BrokerAwayError:
        return False
    close_quietly(connection)
    return True


def declare_exchanges(channel: BlockingChannel, names: Names) -> None:
    """Make the exchanges."""
    for exchange in (names.commands, names.events, names.dead_letter_exchange):
        channel.exchange_declare(exchange, exchange_type="topic", durable=True)


def declare_topology(channel: BlockingChannel, names: Names) -> None:
    """Make exchanges, queues and bindings."""
    declare_exchanges(channel, names)
    channel.queue_declare(names.dead_letters, durable=True, arguments={"x-queue-type": "quorum"})
    channel.queue_bind(names.dead_letters, names.dead_letter_exchange, routing_key="#")
    arguments = {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": names.dead_letter_exchange,
    }
    for spec in QUEUES:
        queue = names.queue(spec.name)
        channel.queue_declare(queue, durable=True, arguments=arguments)
        for key in spec.binding_keys:
            channel.queue_bind(queue, names.commands, routing_key=key)
        for key in spec.event_keys:
            channel.queue_bind(queue, names.events, routing_key=key)


def remove_topology(url: str, prefix: str) -> None:
    """Take all exchanges and queues of an installation away, with what they hold.

    Raises:
        BrokerAwayError: the broker cannot be reached.
    """
    names = Names(prefix)
    connection = connect(parse_address(url), "removal")
    try:
        with renamed_errors("removing the topology"):
            channel = connection.channel()
            for queue in (names.dead_letters, *(names.queue(spec.name) for spec in QUEUES)):
                channel.queue_delete(queue)
            for exchange in (names.commands, names.events, names.dead_letter_exchange):
                channel.exchange_delete(exchange)
    finally:
        close_quietly(connection)


def to_properties(message: Message, extra_headers: Mapping[str, str]) -> pika.BasicProperties:
    """Return AMQP properties of a persistent message."""
    return pika.BasicProperties(
        content_type=message.content_type,
        delivery_mode=pika.DeliveryMode.Persistent.value,
        message_id=message.message_id,
        correlation_id=message.correlation_id or None,
        headers={**message.headers, **extra_headers},
    )


def to_message(routing_key: str, properties: pika.BasicProperties, body: bytes) -> Message:
    """Return what travelled; headers that are no text are the broker's own and stay out."""
    headers: dict[str, object] = properties.headers or {}
    return Message(
        routing_key=routing_key,
        body=body,
        message_id=properties.message_id or "",
        correlation_id=properties.correlation_id or "",
        headers={key: value for key, value in headers.items() if isinstance(value, str)},
        content_type=properties.content_type or "",
    )
