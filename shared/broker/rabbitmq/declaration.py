"""The topology on a RabbitMQ: made where the user may configure, otherwise expected to be there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pika import exceptions
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection

from shared.broker.rabbitmq.connection import ACCESS_REFUSED, NOT_FOUND
from shared.broker.topology import DEAD_LETTER_ARGUMENTS, QUEUES, Names, QueueSpec, queue_arguments
from shared.errors import PermanentError


def declare_exchanges(connection: BlockingConnection, names: Names) -> bool:
    """Make the exchanges; return whether the user may.

    Raises:
        PermanentError: they are missing, and the user may not configure.
    """
    return _declare(connection, names, make_exchanges, names.exchanges, ())


def declare_topology(connection: BlockingConnection, names: Names) -> bool:
    """Make exchanges, queues and bindings; return whether the user may.

    Raises:
        PermanentError: some are missing, and the user may not configure.
    """
    return _declare(connection, names, make_topology, names.exchanges, names.queues)


def declare_queue(connection: BlockingConnection, names: Names, queue: str) -> bool:
    """Make what deliveries of one queue need; return whether the user may.

    Raises:
        PermanentError: some of it is missing, and the user may not configure.
    """

    def make(channel: BlockingChannel, names: Names) -> None:
        make_exchanges(channel, names)
        _make_dead_letters(channel, names)
        for spec in QUEUES:
            if spec.name == queue:
                _make_queue(channel, names, spec)

    return _declare(connection, names, make, names.exchanges, (names.dead_letters, names.queue(queue)))


def _declare(
    connection: BlockingConnection,
    names: Names,
    make: Callable[[BlockingChannel, Names], None],
    exchanges: tuple[str, ...],
    queues: tuple[str, ...],
) -> bool:
    # A channel of its own: the broker closes the one on which it refuses.
    channel = connection.channel()
    try:
        make(channel, names)
    except exceptions.ChannelClosedByBroker as error:
        if error.reply_code != ACCESS_REFUSED:
            raise
        missing = [
            *(f"exchange {name}" for name in exchanges if not exchange_exists(connection, name)),
            *(f"queue {name}" for name in queues if not queue_exists(connection, name)),
        ]
        if missing:
            raise PermanentError(
                f"missing on the broker: {', '.join(missing)}; this user may not make them "
                f"({error.reply_text}). Let an administrator import what `doseqr topology --json` prints, or "
                f"grant the permission configure on ^{names.prefix}\\..*"
            ) from error
        return False
    channel.close()
    return True


def exchange_exists(connection: BlockingConnection, name: str) -> bool:
    """Return whether the broker has an exchange of this name; True if the user may not know."""
    return _exists(connection, lambda channel: channel.exchange_declare(name, passive=True))


def queue_exists(connection: BlockingConnection, name: str) -> bool:
    """Return whether the broker has a queue of this name; True if the user may not know."""
    return _exists(connection, lambda channel: channel.queue_declare(name, passive=True))


def _exists(connection: BlockingConnection, declare: Callable[[BlockingChannel], object]) -> bool:
    channel = connection.channel()
    try:
        declare(channel)
    except exceptions.ChannelClosedByBroker as error:
        # From 4.2.6 on, RabbitMQ wants some permission for this too; a service without one does not use it.
        if error.reply_code == ACCESS_REFUSED:
            return True
        if error.reply_code != NOT_FOUND:
            raise
        return False
    channel.close()
    return True


def make_exchanges(channel: BlockingChannel, names: Names) -> None:
    """Declare the exchanges; without effect where they stand with the same properties."""
    for exchange in names.exchanges:
        channel.exchange_declare(exchange, exchange_type="topic", durable=True)


def bind_events(channel: BlockingChannel, names: Names, queue: str, keys: Sequence[str]) -> None:
    """Bind a queue to the exchange of events; without effect where it is bound."""
    for key in keys:
        channel.queue_bind(queue, names.events, routing_key=key)


def make_topology(channel: BlockingChannel, names: Names) -> None:
    """Declare exchanges, queues and bindings; without effect where they stand with the same properties."""
    make_exchanges(channel, names)
    _make_dead_letters(channel, names)
    for spec in QUEUES:
        _make_queue(channel, names, spec)


def _make_dead_letters(channel: BlockingChannel, names: Names) -> None:
    channel.queue_declare(names.dead_letters, durable=True, arguments=DEAD_LETTER_ARGUMENTS)
    channel.queue_bind(names.dead_letters, names.dead_letter_exchange, routing_key="#")


def _make_queue(channel: BlockingChannel, names: Names, spec: QueueSpec) -> None:
    queue = names.queue(spec.name)
    channel.queue_declare(queue, durable=True, arguments=queue_arguments(names))
    for key in spec.binding_keys:
        channel.queue_bind(queue, names.commands, routing_key=key)
    for key in spec.event_keys:
        channel.queue_bind(queue, names.events, routing_key=key)
