"""The other end of the bridge: what a command line needs of a broker that lives in another process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import structlog

from shared.backoff import Backoff
from shared.broker.bridge.protocol import Line, decode_message, encode_message, raise_error, socket_address
from shared.broker.port import Handler, Message, QueueState, Subscription
from shared.contract.json_types import JsonObject
from shared.errors import BrokerAwayError, InvalidInputError, PermanentError

logger = structlog.get_logger(__name__)

#: Seconds for the serving process to respond.
RESPONSE_TIMEOUT_S = 30.0

#: Pauses between attempts to subscribe again.
RECONNECT = Backoff(0.2, 5.0)

_DEAD_LETTERS_ELSEWHERE = "memory:// keeps dead letters in the serving process; its web service shows them"


class BridgeClient:
    """The part of a broker that a client needs; connects when first used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._line: Line | None = None
        self._subscriptions: list[BridgeSubscription] = []

    @property
    def description(self) -> str:
        """Where it is, for people."""
        return f"in the memory of the process that serves {self._path}"

    def declare(self) -> None:
        """Do nothing: the serving process has its queues."""

    def command(self, message: Message) -> None:
        """Publish a command.

        Raises:
            UnroutableError: no queue takes this routing key.
            BrokerAwayError: no process serves, or it does not respond.
        """
        self._request({"do": "command", "message": encode_message(message)})

    def event(self, message: Message) -> None:
        """Publish an event.

        Raises:
            BrokerAwayError: no process serves, or it does not respond.
        """
        self._request({"do": "event", "message": encode_message(message)})

    def reply(self, message: Message) -> NoReturn:  # noqa: ARG002 - the port's
        """Refuse: a client handles no commands.

        Raises:
            PermanentError: always.
        """
        raise PermanentError("a client of memory:// handles no commands")

    def consume(self, queue: str, handler: Handler, *, workers: int) -> NoReturn:  # noqa: ARG002 - the port's
        """Refuse: in embedded mode all workers live in the serving process.

        Raises:
            PermanentError: always.
        """
        raise PermanentError("memory:// has its workers in the serving process; start `doseqr serve all`")

    def subscribe(self, binding_keys: Sequence[str], handler: Callable[[Message], None]) -> Subscription:
        """Hand events that match any of the binding keys to `handler`, in order, on one thread.

        Raises:
            BrokerAwayError: no process serves, or it does not respond.
        """
        subscription = BridgeSubscription(self._path, tuple(binding_keys), handler)
        with self._lock:
            self._subscriptions.append(subscription)
        return subscription

    def queue_state(self, queue: str) -> QueueState:
        """How the queue stands now; a queue that nobody declared is (0, 0).

        Raises:
            BrokerAwayError: no process serves, or it does not respond.
        """
        response = self._request({"do": "queue_state", "queue": queue})
        return QueueState(ready=int(str(response["ready"])), consumers=int(str(response["consumers"])))

    def dead_letters(self, limit: int) -> NoReturn:  # noqa: ARG002 - the port's
        """Refuse: whoever serves has the dead letters.

        Raises:
            PermanentError: always.
        """
        raise PermanentError(_DEAD_LETTERS_ELSEWHERE)

    def replay_dead_letter(self, dead_letter_id: str) -> NoReturn:  # noqa: ARG002 - the port's
        """Refuse: whoever serves has the dead letters.

        Raises:
            PermanentError: always.
        """
        raise PermanentError(_DEAD_LETTERS_ELSEWHERE)

    def drop_dead_letter(self, dead_letter_id: str) -> NoReturn:  # noqa: ARG002 - the port's
        """Refuse: whoever serves has the dead letters.

        Raises:
            PermanentError: always.
        """
        raise PermanentError(_DEAD_LETTERS_ELSEWHERE)

    def close(self) -> None:
        """End connection and subscriptions. Safe to repeat."""
        with self._lock:
            self._drop()
            subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            subscription.close()

    def _request(self, request: JsonObject) -> JsonObject:
        with self._lock:
            # A connection from before may have died with its server; a second command with the same id is
            # the same command, so sending it again on a new one is safe.
            if self._line is not None:
                try:
                    return self._exchange(self._line, request)
                except BrokerAwayError:
                    self._drop()
            self._line = connect(self._path)
            try:
                return self._exchange(self._line, request)
            except BrokerAwayError:
                self._drop()
                raise

    def _exchange(self, line: Line, request: JsonObject) -> JsonObject:
        response = exchange(line, request)
        raise_error(response)
        return response

    def _drop(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line.release()
            self._line = None


class BridgeSubscription:
    """Events over a connection of their own, made again when it is lost."""

    def __init__(self, path: Path, binding_keys: tuple[str, ...], handler: Callable[[Message], None]) -> None:
        """Subscribe.

        Raises:
            BrokerAwayError: no process serves, or it does not respond.
        """
        self._path = path
        self._binding_keys = binding_keys
        self._handler = handler
        self._closed = threading.Event()
        self._line = self._bind()
        self._thread = threading.Thread(target=self._run, name="bridge-subscription", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it; safe to repeat, also from its own handler."""
        self._closed.set()
        self._line.close()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5.0)

    def _bind(self) -> Line:
        line = connect(self._path)
        try:
            raise_error(exchange(line, {"do": "subscribe", "binding_keys": list(self._binding_keys)}))
        except BaseException:
            line.close()
            line.release()
            raise
        # From here on silence is no fault.
        line.set_timeout(None)
        return line

    def _run(self) -> None:
        while not self._closed.is_set():
            self._listen()
            self._line.close()
            self._line.release()
            self._bind_again()
        self._line.close()
        self._line.release()

    def _listen(self) -> None:
        try:
            while (event := self._line.receive()) is not None and not self._closed.is_set():
                self._pass_on(decode_message(event.get("message")))
        except (OSError, ValueError, InvalidInputError) as error:
            if not self._closed.is_set():
                logger.warning("bridge subscription lost", error=type(error).__name__)

    def _pass_on(self, message: Message) -> None:
        try:
            self._handler(message)
        except Exception:
            logger.exception(
                "subscriber failed", message_id=message.message_id, routing_key=message.routing_key
            )

    def _bind_again(self) -> None:
        pauses = RECONNECT.pauses()
        while not self._closed.wait(next(pauses)):
            with suppress(BrokerAwayError):
                self._line = self._bind()
                return


def connect(path: Path) -> Line:
    """Open a connection to the serving process.

    Raises:
        BrokerAwayError: no process serves there.
    """
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(RESPONSE_TIMEOUT_S)
    try:
        with socket_address(path) as address:
            client.connect(address)
    except OSError as error:
        client.close()
        raise BrokerAwayError(f"no process serves {path}; start `doseqr serve all`") from error
    return Line(client)


def exchange(line: Line, request: JsonObject) -> JsonObject:
    """Send a request and wait for its response.

    Raises:
        BrokerAwayError: the serving process went away or does not respond.
    """
    try:
        line.send(request)
    except OSError as error:
        raise BrokerAwayError("the serving process went away") from error
    try:
        response = line.receive()
    except (OSError, InvalidInputError) as error:
        raise BrokerAwayError("the serving process does not respond as it should") from error
    if response is None:
        raise BrokerAwayError("the serving process went away")
    return response
