"""What a user may do at a RabbitMQ, and how the topology stands there; nothing is published or changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pika
from pika import exceptions
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection

from shared.broker.definitions import Role
from shared.broker.rabbitmq.connection import (
    ACCESS_REFUSED,
    Address,
    close_quietly,
    connect,
    renamed_errors,
)
from shared.broker.rabbitmq.declaration import exchange_exists, make_topology, queue_exists
from shared.broker.topology import Names

#: What is published to try a right, and rolled back.
_TRIAL = pika.BasicProperties(content_type="text/plain", message_id="check")


@dataclass(frozen=True, slots=True)
class Inspected:
    """One thing at the broker: whether it is as needed, and what is not."""

    subject: str
    problem: str = ""
    detail: str = ""


def inspect_broker(address: Address, names: Names, role: Role | None) -> list[Inspected]:
    """Return how the broker stands for a service; without a role, for all of them.

    Raises:
        BrokerAwayError: it cannot be reached.
    """
    connection = connect(address, "check")
    try:
        with renamed_errors("checking"):
            return list(_inspected(connection, names, role))
    finally:
        close_quietly(connection)


def _inspected(connection: BlockingConnection, names: Names, role: Role | None) -> Iterator[Inspected]:
    missing = [name for name in names.exchanges if not exchange_exists(connection, name)]
    missing += [name for name in names.queues if not queue_exists(connection, name)]
    if missing:
        # To try whether they can be made would make them.
        yield Inspected(
            "topology",
            detail=f"{', '.join(missing)} not there yet; the first service makes them if it may configure",
        )
        return
    yield _configure(connection, names)
    writes = [(names.dead_letter_exchange, "check"), (names.events, "worker.heartbeat")]
    if role is None or role.commands != "^$":
        writes.append((names.commands, "task.retrieve" if role and role.name == "retrieve" else "task.query"))
    for exchange, key in writes:
        problem = _refusal(connection, lambda channel, to=exchange, by=key: _publish_nothing(channel, to, by))  # type: ignore[misc]
        yield Inspected(f"write on {exchange}", problem)
    queues = names.queues if role is None else tuple(names.queue(queue) for queue in role.queues)
    for queue in queues:
        yield _read(connection, queue)
    if role is not None and role.counts:
        problems = (_refusal(connection, partial(_count, queue=queue)) for queue in names.queues)
        yield Inspected("count messages", next(filter(None, problems), ""))


def _configure(connection: BlockingConnection, names: Names) -> Inspected:
    """Declare again what stands: without effect where it is the same."""
    try:
        channel = connection.channel()
        make_topology(channel, names)
        channel.close()
    except exceptions.ChannelClosedByBroker as error:
        if error.reply_code == ACCESS_REFUSED:
            return Inspected("topology", detail="there; this user may not configure it, and need not")
        return Inspected("topology", f"it has other properties: {error.reply_text}")
    return Inspected("topology", detail="there, with the properties of this version")


def _publish_nothing(channel: BlockingChannel, exchange: str, routing_key: str) -> None:
    """Publish within a transaction that is rolled back: the broker checks the right and routes nothing."""
    channel.tx_select()
    channel.basic_publish(exchange, routing_key, b"", _TRIAL)
    channel.tx_rollback()


def _read(connection: BlockingConnection, queue: str) -> Inspected:
    """Get from an empty queue; a message that waits would be counted as delivered once more."""
    subject = f"read on {queue}"
    waiting = 0

    def get_nothing(channel: BlockingChannel) -> None:
        nonlocal waiting
        waiting = _count(channel, queue)
        if not waiting:
            _get_nothing(channel, queue)

    problem = _refusal(connection, get_nothing)
    return Inspected(subject, problem, f"not tried: {waiting} messages wait" if waiting else "")


def _count(channel: BlockingChannel, queue: str) -> int:
    return int(channel.queue_declare(queue, passive=True).method.message_count)


def _get_nothing(channel: BlockingChannel, queue: str) -> None:
    method, _, _ = channel.basic_get(queue)
    if method is not None:
        channel.basic_nack(method.delivery_tag, requeue=True)


def _refusal(connection: BlockingConnection, action: Callable[[BlockingChannel], object]) -> str:
    channel = connection.channel()
    try:
        action(channel)
    except exceptions.ChannelClosedByBroker as error:
        return error.reply_text or f"reply code {error.reply_code}"
    channel.close()
    return ""
