"""Events of an installation, kept by the broker in a durable queue: also while no consumer is connected."""

from __future__ import annotations

import pika

from shared.broker.rabbitmq.connection import parse_address, to_message
from shared.broker.topology import DEAD_LETTER_ARGUMENTS, Names
from shared.contract.messages import JobEnded
from shared.messaging.codec import decode_event
from tests.support.waiting import wait_until


def connected(url: str) -> pika.BlockingConnection:
    """Return a connection to a broker, to be closed."""
    return pika.BlockingConnection(parse_address(url).endpoints)


class Recording:
    """Begins to keep events when it is made; the exchanges must be there."""

    def __init__(self, url: str, prefix: str) -> None:
        self._parameters = parse_address(url).endpoints
        self._queue = f"{prefix}.recording"
        self._endings: list[JobEnded] = []
        with pika.BlockingConnection(self._parameters) as connection:
            channel = connection.channel()
            channel.queue_declare(self._queue, durable=True, arguments=DEAD_LETTER_ARGUMENTS)
            channel.queue_bind(self._queue, Names(prefix).events, "#")

    def endings(self, job_id: str) -> list[JobEnded]:
        """Return the ending events of a job, once there is one."""
        wait_until(lambda: self._read(job_id))
        return [event for event in self._endings if event.job_id == job_id]

    def _read(self, job_id: str) -> bool:
        with pika.BlockingConnection(self._parameters) as connection:
            channel = connection.channel()
            while True:
                method, properties, body = channel.basic_get(self._queue, auto_ack=True)
                if method is None:
                    return any(event.job_id == job_id for event in self._endings)
                event = decode_event(to_message(method.routing_key, properties, body))[1]
                if isinstance(event, JobEnded):
                    self._endings.append(event)
