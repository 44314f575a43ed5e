"""Between payloads and broker messages: encoding, decoding, routing keys."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from pydantic import ValidationError

from shared.broker.port import Message
from shared.contract.envelope import Envelope, decode, invalid, new_id
from shared.contract.messages import COMMANDS, EVENTS, Command, Event, Payload, RunTask
from shared.errors import InvalidInputError
from shared.tracing.trace_context import Causation, command_causation, read_traceparent

P = TypeVar("P", bound=Payload)

_COMMAND_TYPES: dict[str, type[Command]] = {kind.TYPE: kind for kind in COMMANDS} | {RunTask.TYPE: RunTask}
_EVENT_TYPES: dict[str, type[Event]] = {event.TYPE: event for event in EVENTS}


def command_message(
    command: Command,
    *,
    source: str,
    now: datetime,
    command_id: str | None = None,
    routing_key: str = "",
    causation: Causation | None = None,
) -> Message:
    """Wrap a command; the same `command_id` twice does the work once."""
    envelope = Envelope(
        specversion="1.0",
        id=command_id or new_id(),
        source=source,
        type=command.TYPE,
        time=now,
        **_trace_attributes(causation),
        data=command.model_dump(mode="json"),
    )
    return Message(
        routing_key=routing_key or command.ROUTING_KEY, body=envelope.encode(), message_id=envelope.id
    )


def _trace_attributes(causation: Causation | None) -> dict[str, str]:
    if causation is None:
        return {}
    context = causation.context
    attributes = {
        "traceparent": context.traceparent,
        "tracestate": context.state,
        "causationid": causation.cause_id,
    }
    return {name: value for name, value in attributes.items() if value}


def causation_of(envelope: Envelope) -> Causation:
    """Return what follows from a command: in the trace that it names, or in one of its own."""
    caller = read_traceparent(envelope.traceparent, envelope.tracestate)
    return command_causation(envelope.id, caller, envelope.causationid or "")


def event_message(
    event: Event,
    *,
    topic: str,
    subject: str,
    source: str,
    now: datetime,
    event_id: str | None = None,
    causation: Causation | None = None,
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
        **_trace_attributes(causation),
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


def read_task(message: Message) -> tuple[RunTask, Causation]:
    """Read the message of one task, and what the task goes back to: the command of its job.

    Raises:
        InvalidInputError: it is no such message.
    """
    envelope, task = decode_command(message)
    if not isinstance(task, RunTask):
        raise InvalidInputError("type", f"expected {RunTask.TYPE}")
    context = read_traceparent(envelope.traceparent, envelope.tracestate)
    if context is None:
        return task, command_causation(task.job_id, None)
    return task, Causation(context, envelope.causationid or task.job_id)


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
