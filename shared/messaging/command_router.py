"""From a delivered message to the handler of its command; a malformed one is rejected."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import Any

import structlog

from shared.broker.port import Message
from shared.contract.envelope import Envelope, decode, derived_id, identify, new_id, valid_id
from shared.contract.messages import Command, Event, Rejected
from shared.errors import InvalidInputError
from shared.messaging.codec import causation_of, decode_command
from shared.messaging.publisher import Publisher
from shared.tracing.current import continuing
from shared.tracing.spans import command_span

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EventResponse:
    """An event that responds to one command: with it, it goes to the reply queue of the command as well."""

    event: Event
    topic: str
    subject: str


CommandHandler = Callable[[Envelope, Any], EventResponse | None]


class CommandRouter:
    """Decodes commands and calls the handler for their type.

    A handler that raises `InvalidInputError` has refused the command: the sender gets a `rejected` event. A
    message that is no command at all gets one too, and is dead-lettered (by the error that this raises).
    """

    def __init__(
        self,
        handlers: Mapping[type[Command], CommandHandler],
        publisher: Publisher,
        *,
        also_read_elsewhere: Collection[type[Command]] = (),
    ) -> None:
        """`also_read_elsewhere`: another service reads these, too, and rejects those that are malformed."""
        self._handlers = handlers
        self._publisher = publisher
        self._rejected_elsewhere = {command.ROUTING_KEY for command in also_read_elsewhere}

    def __call__(self, message: Message, redelivered: bool) -> None:
        """Handle one message; commands are safe to repeat, so a redelivered one is nothing special.

        Raises:
            InvalidInputError: it is no command that this service knows; it belongs to the dead letters.
            RetriableError: the broker or the database is away.
        """
        del redelivered
        try:
            envelope, command = decode_command(message)
            handler = self._handler_of(envelope, command)
        except InvalidInputError as error:
            if message.routing_key not in self._rejected_elsewhere:
                self._reject_malformed(message, error)
                raise
            return
        about = {"messaging.system": "rabbitmq", "messaging.message.id": envelope.id}
        causation = causation_of(envelope)
        with command_span(causation, f"command {command.ROUTING_KEY}", about) as span:
            try:
                response = handler(envelope, command)
                if response is not None:
                    self._respond(message, envelope, response)
            except InvalidInputError as error:
                span.fail("rejected")
                self._reject(message, envelope.id, envelope.type, error)

    def _respond(self, message: Message, envelope: Envelope, response: EventResponse) -> None:
        event_id = derived_id(envelope.id, f"-{response.event.NAME}")
        self._publisher.respond(
            response.event, response.topic, response.subject, request=message, event_id=event_id
        )

    def _handler_of(self, envelope: Envelope, command: Command) -> CommandHandler:
        handler = self._handlers.get(type(command))
        if handler is None:
            raise InvalidInputError("type", f"{envelope.type} is not for this queue")
        return handler

    def _reject_malformed(self, message: Message, error: InvalidInputError) -> None:
        command_id, command_type = identify(message.body)
        with ExitStack() as stack:
            with suppress(InvalidInputError):
                # A CloudEvent at least: the response belongs to its trace.
                stack.enter_context(continuing(causation_of(decode(message.body))))
            self._reject(message, command_id or message.message_id, command_type, error)

    def _reject(self, message: Message, command_id: str, command_type: str, error: InvalidInputError) -> None:
        log.warning("command rejected", command_id=command_id[:64], field=error.field[:64])
        known = command_id if valid_id(command_id) else ""
        event = Rejected(
            command_id=known,
            command_type=_storable(command_type),
            field=_storable(error.field[:256]),
            problem=_storable(error.problem[:1000]),
        )
        # A reply queue that is at fault itself gets nothing.
        request = replace(message, reply_to="") if error.field == "reply_to" else message
        try:
            self._publisher.respond(event, "command", known, request=request, event_id=new_id())
        except InvalidInputError:
            self._publisher.event(event, "command", known)


def _storable(text: str) -> str:
    """Return a text of others without what no message may hold: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
