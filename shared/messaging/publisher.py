"""Publishing events: wraps the payload, names the topic, hands it to the broker."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from shared.broker.port import Broker, Message
from shared.clock import Clock, utc_now
from shared.contract.messages import Command, Event
from shared.messaging.codec import command_message, event_message


class Publisher:
    """Publishes commands and events of one service in its name."""

    def __init__(self, broker: Broker, service: str, clock: Clock = utc_now) -> None:
        self._broker = broker
        self._source = f"/doseqr/{service}"
        self._clock = clock

    def event(
        self,
        event: Event,
        topic: str,
        subject: str = "",
        *,
        event_id: str | None = None,
        at: datetime | None = None,
    ) -> None:
        """Publish an event with the routing key `<topic>.<name>.<subject>`; `at`: its time, if not now.

        Raises:
            BrokerAwayError: the broker did not confirm it.
        """
        self._broker.event(
            event_message(
                event,
                topic=topic,
                subject=subject,
                source=self._source,
                now=at or self._clock(),
                event_id=event_id,
            )
        )

    def respond(self, event: Event, topic: str, subject: str, *, request: Message, event_id: str) -> None:
        """Publish an event, and send it to the reply queue of the request as well if that names one.

        Raises:
            InvalidInputError: the reply queue is none that another system may name; nothing was published.
            BrokerAwayError: the broker did not confirm it.
        """
        message = event_message(
            event,
            topic=topic,
            subject=subject,
            source=self._source,
            now=self._clock(),
            event_id=event_id,
        )
        if request.reply_to:
            correlation_id = request.correlation_id or request.message_id
            self._broker.reply(replace(message, routing_key=request.reply_to, correlation_id=correlation_id))
        self._broker.event(message)

    def command(self, command: Command, *, command_id: str | None = None, routing_key: str = "") -> str:
        """Publish a command and return its id.

        Raises:
            BrokerAwayError: the broker did not confirm it.
            UnroutableError: no service has declared its queue.
        """
        message = command_message(
            command,
            source=self._source,
            now=self._clock(),
            command_id=command_id,
            routing_key=routing_key,
        )
        self._broker.command(message)
        return message.message_id
