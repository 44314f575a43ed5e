"""Dead letters: what identifies one, and where it goes when it is replayed."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, Protocol

from shared.broker.port import DeadLetter, Message
from shared.broker.topology import (
    QUEUE_HEADER,
    QUEUES,
    REASON_HEADER,
    TIME_HEADER,
    WORKER_HEADER,
    topic_matches,
)
from shared.clock import utc_now
from shared.errors import UnroutableError

#: Bytes of a body that is listed; a larger one is left out, so that a list has a bounded size.
MAX_LISTED_BYTES = 64 * 1024

#: Dead letters that are examined to find one; more than that is a defect for an operator of the broker.
MAX_EXAMINED = 10_000

#: What is known of a message that carries no reason of ours.
GIVEN_UP = "the broker gave it up after it had been returned to its queue too often"

#: The headers that make a message a dead letter.
HEADERS = (REASON_HEADER, TIME_HEADER, QUEUE_HEADER, WORKER_HEADER)

Exchange = Literal["commands", "events"]


class Publishing(Protocol):
    """The part of a broker that publishes."""

    def command(self, message: Message) -> None:
        """Publish to the exchange of commands."""
        ...

    def event(self, message: Message) -> None:
        """Publish to the exchange of events."""
        ...


def dead_letter_of(message: Message) -> DeadLetter:
    """Return a message of the dead-letter queue as it is listed."""
    listed = message if len(message.body) <= MAX_LISTED_BYTES else replace(message, body=b"")
    return DeadLetter(
        id=dead_letter_id_of(message),
        message=listed,
        reason=message.headers.get(REASON_HEADER, GIVEN_UP),
        size_bytes=len(message.body),
        at=message.headers.get(TIME_HEADER, ""),
        queue=message.headers.get(QUEUE_HEADER, ""),
        worker=message.headers.get(WORKER_HEADER, ""),
    )


def dead_letter_headers(queue: str, reason: str) -> dict[str, str]:
    """Return the headers of a message that is given up now; `queue` is the short name of its queue."""
    worker = f"{queue.partition('-')[0]}@{socket.gethostname()}:{os.getpid()}"
    at = utc_now().isoformat(timespec="seconds").replace("+00:00", "Z")
    return {REASON_HEADER: reason, TIME_HEADER: at, QUEUE_HEADER: queue, WORKER_HEADER: worker}


def dead_letter_id_of(message: Message) -> str:
    """Return an id made of the content: copies of one message have the same, and it survives a requeue."""
    digest = hashlib.sha256()
    for part in (message.routing_key.encode(), message.message_id.encode(), message.body):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()[:32]


def publish_again(broker: Publishing, message: Message) -> None:
    """Publish a dead letter as the message that it was, to the exchange that it came from.

    Raises:
        UnroutableError: no queue takes its routing key.
        BrokerAwayError: it was not confirmed.
    """
    exchange = exchange_of(message.routing_key)
    if exchange is None:
        raise UnroutableError(f"no queue takes the routing key {message.routing_key[:100]!r}")
    headers = {name: value for name, value in message.headers.items() if name not in HEADERS}
    publish = broker.command if exchange == "commands" else broker.event
    publish(replace(message, headers=headers))


def exchange_of(routing_key: str) -> Exchange | None:
    """Return the exchange from which a queue of ours takes this routing key; None if none does."""
    keys: Mapping[Exchange, tuple[str, ...]] = {
        "commands": tuple(key for spec in QUEUES for key in spec.binding_keys),
        "events": tuple(key for spec in QUEUES for key in spec.event_keys),
    }
    for exchange, binding_keys in keys.items():
        if any(topic_matches(binding_key, routing_key) for binding_key in binding_keys):
            return exchange
    return None
