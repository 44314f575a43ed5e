"""Events as they come, for a command that waits."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from shared.broker.port import Broker, Message
from shared.contract.messages import Event, Rejected
from shared.errors import InvalidInputError
from shared.messaging.codec import decode_event


class EventQueue:
    """Holds events until the command takes them; `on_event` is called with each as it comes."""

    def __init__(self, on_event: Callable[[Event], None] | None = None) -> None:
        self._events: queue.Queue[Event] = queue.Queue()
        self._on_event = on_event

    def receive(self, message: Message) -> None:
        """Take a message from the broker; events of a newer version are not for us."""
        try:
            _, event = decode_event(message)
        except InvalidInputError:
            return
        if self._on_event is not None:
            self._on_event(event)
        self._events.put(event)

    def next(self, timeout_s: float) -> Event | None:
        """Return the next event, or None if none came in time."""
        try:
            return self._events.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            return None

    def until(self, deadline: float) -> Iterator[Event]:
        """Yield events until the monotonic time `deadline`."""
        while (left_s := deadline - time.monotonic()) > 0:
            event = self.next(left_s)
            if event is not None:
                yield event


@contextmanager
def listening(
    broker: Broker, binding_keys: Sequence[str], on_event: Callable[[Event], None] | None = None
) -> Iterator[EventQueue]:
    """Receive matching events; nothing published from now on is missed.

    Raises:
        BrokerAwayError: the broker cannot be reached.
    """
    event_queue = EventQueue(on_event)
    subscription = broker.subscribe(binding_keys, event_queue.receive)
    try:
        yield event_queue
    finally:
        subscription.close()


def refuse_rejected(event: Event | None, command_ids: Sequence[str]) -> None:
    """Raise the rejection of one of these commands.

    Raises:
        InvalidInputError: the command was rejected; names the field as options have it, not as the message.
    """
    if isinstance(event, Rejected) and event.command_id in command_ids:
        field = event.field.removeprefix("data.").removeprefix("criteria.")
        raise InvalidInputError(field, event.problem)
