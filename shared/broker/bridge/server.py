"""The bridge: lets other processes of the same user reach the in-memory broker of the serving process."""

from __future__ import annotations

import contextlib
import socket
import struct
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from shared.broker.bridge.protocol import (
    Line,
    decode_message,
    encode_error,
    encode_message,
    socket_address,
)
from shared.broker.port import Broker, Message, Subscription
from shared.contract.json_types import JsonObject
from shared.errors import DoseQRError, InvalidInputError, PermanentError
from shared.private_files import make_private_folder

logger = structlog.get_logger(__name__)

#: Clients at the same time; a command line is one or two.
MAX_CONNECTIONS = 64

#: Seconds for a client to take what is sent to it.
SEND_TIMEOUT_S = 10

#: Seconds between two polls whether the server shall end.
POLL_INTERVAL_S = 0.25


class BridgeServer:
    """A server on a Unix domain socket that only its own user may open."""

    def __init__(self, broker: Broker, path: Path) -> None:
        """Bind the socket and serve; a file that a dead server left is replaced.

        Raises:
            PermanentError: another process serves there, or the socket cannot be made.
        """
        self._broker = broker
        self._path = path
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._connections: set[_Connection] = set()
        self._listener = _listen(path)
        self._inode = path.stat().st_ino
        self._thread = threading.Thread(target=self._accept, name="bridge", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it and its connections, and remove the socket. Safe to repeat."""
        self._closed.set()
        self._thread.join(timeout=10.0)
        self._listener.close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.close()
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError as error:
                logger.warning("bridge cannot accept", error=type(error).__name__)
                self._closed.wait(POLL_INTERVAL_S)
                continue
            self._welcome(client)

    def _welcome(self, client: socket.socket) -> None:
        client.setblocking(True)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", SEND_TIMEOUT_S, 0))
        with self._lock:
            if len(self._connections) >= MAX_CONNECTIONS:
                client.close()
                return
            connection = _Connection(self._broker, client, self._forget)
            self._connections.add(connection)
        connection.start()

    def _forget(self, connection: _Connection) -> None:
        with self._lock:
            self._connections.discard(connection)


class _Connection:
    """One client: requests get their responses in order; after `subscribe` only events follow."""

    def __init__(self, broker: Broker, client: socket.socket, on_end: Callable[[_Connection], None]) -> None:
        self._broker = broker
        self._line = Line(client)
        self._on_end = on_end
        self._sending = threading.Lock()
        self._subscription: Subscription | None = None
        self._thread = threading.Thread(target=self._serve, name="bridge-client", daemon=True)
        self._handlers: dict[str, Callable[[JsonObject], JsonObject]] = {
            "command": self._command,
            "event": self._event,
            "queue_state": self._queue_state,
            "subscribe": self._subscribe,
        }

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._line.close()
        self._thread.join(timeout=5.0)

    def _serve(self) -> None:
        try:
            while (request := self._line.receive()) is not None:
                with self._sending:
                    self._line.send(self._respond(request))
        except (OSError, InvalidInputError) as error:
            logger.info("bridge client dropped", error=type(error).__name__)
        except Exception:
            logger.exception("bridge client failed")
        finally:
            # First the line: it may be what the subscription's thread is waiting for.
            self._line.close()
            if self._subscription is not None:
                self._subscription.close()
            self._line.release()
            self._on_end(self)

    def _respond(self, request: JsonObject) -> JsonObject:
        handler = self._handlers.get(str(request.get("do")))
        try:
            if handler is None:
                raise InvalidInputError("do", "not known to the bridge")
            return handler(request)
        except DoseQRError as error:
            return encode_error(error)

    def _command(self, request: JsonObject) -> JsonObject:
        self._broker.command(decode_message(request.get("message")))
        return {}

    def _event(self, request: JsonObject) -> JsonObject:
        self._broker.event(decode_message(request.get("message")))
        return {}

    def _queue_state(self, request: JsonObject) -> JsonObject:
        state = self._broker.queue_state(str(request.get("queue")))
        return {"ready": state.ready, "consumers": state.consumers}

    def _subscribe(self, request: JsonObject) -> JsonObject:
        keys = request.get("binding_keys")
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise InvalidInputError("binding_keys", "not a list of texts")
        if self._subscription is not None:
            raise InvalidInputError("do", "one subscription for each connection")
        # Its first event waits for the lock under which the response goes out.
        self._subscription = self._broker.subscribe([str(key) for key in keys], self._pass_on)
        return {}

    def _pass_on(self, message: Message) -> None:
        try:
            with self._sending:
                self._line.send({"message": encode_message(message)})
        except InvalidInputError as error:
            logger.warning("event left out of the bridge", message_id=message.message_id, detail=str(error))
        except OSError:
            # A client that is gone or does not read; the end of the connection ends the subscription.
            self._line.close()


def _listen(path: Path) -> socket.socket:
    if _somebody_serves(path):
        raise PermanentError(f"another process already serves {path}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        make_private_folder(path.parent)
        # Made in a folder that nobody else may enter and moved once its mode is right: never open to others.
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".bridge-") as folder:
            unfinished = Path(folder) / "s"
            with socket_address(unfinished) as address:
                listener.bind(address)
            unfinished.chmod(0o600)
            listener.listen(MAX_CONNECTIONS)
            unfinished.rename(path)
    except OSError as error:
        listener.close()
        raise PermanentError(f"cannot make the socket {path}: {error.strerror}") from error
    listener.settimeout(POLL_INTERVAL_S)
    return listener


def _somebody_serves(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2.0)
        try:
            with socket_address(path) as address:
                probe.connect(address)
        except OSError:
            return False
        return True
