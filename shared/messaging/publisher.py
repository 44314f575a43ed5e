"""Publishing events: wraps the payload, names the topic, hands it to the broker."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from shared.broker.port import Broker, Message
from shared.clock import Clock, utc_now
from shared.contract.envelope import new_id
from shared.contract.messages import Command, Event
from shared.messaging.codec import command_message, event_message
from shared.tracing.current import current_causation
from shared.tracing.trace_context import Causation, command_causation


class Publisher:
    """Publishes commands and events of one service in its name.

    Each is marked with what it goes back to: `causation`, or else what the work of this thread goes back to.
    """

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
        causation: Causation | None = None,
    ) -> None:
        """Publish an event with the routing key `<topic>.<name>.<subject>`; `at`: its time, if not now.

        Raises:
            BrokerAwayError: the broker did not confirm it.
        """
        self._broker.event(
            self._event_message(event, topic, subject, event_id or new_id(), at=at, causation=causation)
        )

    def _event_message(
        self,
        event: Event,
        topic: str,
        subject: str,
        event_id: str,
        *,
        at: datetime | None = None,
        causation: Causation | None = None,
    ) -> Message:
        return event_message(
            event,
            topic=topic,
            subject=subject,
            source=self._source,
            now=at or self._clock(),
            event_id=event_id,
            causation=causation or current_causation() or _begun_by(event_id),
        )

    def respond(self, event: Event, topic: str, subject: str, *, request: Message, event_id: str) -> None:
        """Publish an event, and send it to the reply queue of the request as well if that names one.

        Raises:
            InvalidInputError: the reply queue is none that another system may name; nothing was published.
            BrokerAwayError: the broker did not confirm it.
        """
        message = self._event_message(event, topic, subject, event_id)
        if request.reply_to:
            correlation_id = request.correlation_id or request.message_id
            self._broker.reply(replace(message, routing_key=request.reply_to, correlation_id=correlation_id))
        self._broker.event(message)

    def command(
        self,
        command: Command,
        *,
        command_id: str | None = None,
        routing_key: str = "",
        causation: Causation | None = None,
    ) -> str:
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
            causation=causation or current_causation(),
        )
        if command.EXCHANGE == "events":
            self._broker.event(message)
        else:
            self._broker.command(message)
        return message.message_id


def _begun_by(event_id: str) -> Causation:
    """Return the trace of an event that goes back to nothing."""
    return replace(command_causation(event_id, None), cause_id="")
