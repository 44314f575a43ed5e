"""Between payloads and broker messages: encoding, decoding, routing keys."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from pydantic import ValidationError

from shared.broker.port import Message
from shared.contract.envelope import Envelope, decode, invalid, new_id
from shared.contract.messages import COMMANDS, EVENTS, Command, Event, Payload, RunTask
from shared.errors import InvalidInputError

P = TypeVar("P", bound=Payload)

_COMMAND_TYPES: dict[str, type[Command]] = {kind.TYPE: kind for kind in COMMANDS} | {RunTask.TYPE: RunTask}
_EVENT_TYPES: dict[str, type[Event]] = {event.TYPE: event for event in EVENTS}


def command_message(
    command: Command, *, source: str, now: datetime, command_id: str | None = None, routing_key: str = ""
) -> Message:
    """Wrap a command; the same `command_id` twice does the work once."""
    envelope = Envelope(
        specversion="1.0",
        id=command_id or new_id(),
        source=source,
        type=command.TYPE,
        time=now,
        data=command.model_dump(mode="json"),
    )
    return Message(
        routing_key=routing_key or command.ROUTING_KEY, body=envelope.encode(), message_id=envelope.id
    )


def event_message(
    event: Event, *, topic: str, subject: str, source: str, now: datetime, event_id: str | None = None
) -> Message:
    """Wrap an event; its routing key is `<topic>.<event's name>.<subject>` (no subject: without the last).

    `subject` is the id of the job or command that the event is about, and the correlation id.
    """
    envelope = Envelope(
        specversion="1.0",
        id=event_id or new_id(),
        source=source,
        type=event.TYPE,
        time=now,
        subject=subject or None,
        data=event.model_dump(mode="json"),
    )
    routing_key = ".".join(part for part in (topic, event.NAME, subject) if part)
    return Message(
        routing_key=routing_key, body=envelope.encode(), message_id=envelope.id, correlation_id=subject
    )


def decode_command(message: Message) -> tuple[Envelope, Command]:
    """Read a command.

    Raises:
        InvalidInputError: no CloudEvent, an unknown type, or data that do not fit it; names the field.
    """
    envelope = decode(message.body)
    return envelope, _payload(envelope, _COMMAND_TYPES)


def read_task(message: Message) -> RunTask:
    """Read the message of one task.

    Raises:
        InvalidInputError: it is no such message.
    """
    _, task = decode_command(message)
    if not isinstance(task, RunTask):
        raise InvalidInputError("type", f"expected {RunTask.TYPE}")
    return task


def decode_event(message: Message) -> tuple[Envelope, Event]:
    """Read an event.

    Raises:
        InvalidInputError: no CloudEvent, an unknown type, or data that do not fit it; names the field.
    """
    envelope = decode(message.body)
    return envelope, _payload(envelope, _EVENT_TYPES)


def _payload(envelope: Envelope, types: dict[str, type[P]]) -> P:
    kind = types.get(envelope.type)
    if kind is None:
        public = sorted(name for name in types if name != RunTask.TYPE)
        raise InvalidInputError("type", f"unknown; expected one of {', '.join(public)}")
    try:
        return kind.model_validate(envelope.data)
    except ValidationError as error:
        raise invalid(error, "data") from None
