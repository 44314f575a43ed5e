"""What travels over the bridge: JSON objects, one a line and bounded, on a Unix domain socket of one user."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import JsonValue

from shared.broker.port import Message
from shared.contract.json_types import JsonObject
from shared.errors import (
    BrokerAwayError,
    DoseQRError,
    InvalidInputError,
    PermanentError,
    RetriableError,
    UnroutableError,
)

#: Longest line, in bytes; a message is some kilobytes.
LINE_BYTES = 4 * 1024 * 1024

#: Longest socket address that every Unix takes, in bytes (sun_path, unix(7)).
ADDRESS_BYTES = 100

_ERRORS: Mapping[str, type[DoseQRError]] = {
    error.__name__: error for error in (BrokerAwayError, UnroutableError, RetriableError, PermanentError)
}

_TEXT_FIELDS = ("routing_key", "message_id", "correlation_id", "content_type")


class Line:
    """A connection that carries JSON objects, one a line."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._incoming = connection.makefile("rb")

    def send(self, value: Mapping[str, JsonValue]) -> None:
        """Send one object.

        Raises:
            InvalidInputError: it is longer than the bound.
            OSError: the other side is gone or does not read.
        """
        line = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        if len(line) > LINE_BYTES:
            raise InvalidInputError("", f"a message of {len(line)} bytes does not fit the bridge")
        self._connection.sendall(line)

    def receive(self) -> JsonObject | None:
        """Wait for one object; None when the other side has ended.

        Raises:
            InvalidInputError: what came is no object or longer than the bound.
            OSError: the connection broke.
        """
        line = self._incoming.readline(LINE_BYTES + 1)
        if not line:
            return None
        if len(line) > LINE_BYTES or not line.endswith(b"\n"):
            raise InvalidInputError("", "a line that is too long or cut off")
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InvalidInputError("", "a line that is no JSON") from error
        if not isinstance(value, dict):
            raise InvalidInputError("", "a line that is no JSON object")
        return value

    def set_timeout(self, timeout_s: float | None) -> None:
        """Set the seconds for which sending and receiving may wait; None for ever."""
        self._connection.settimeout(timeout_s)

    def close(self) -> None:
        """End it, also while another thread waits in `receive`. Safe to repeat."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def release(self) -> None:
        """Free what `receive` holds; on the thread that receives."""
        self._incoming.close()


def encode_message(message: Message) -> JsonObject:
    """Return a message as a JSON object."""
    fields: JsonObject = {name: getattr(message, name) for name in _TEXT_FIELDS}
    return {
        **fields,
        "headers": dict(message.headers),
        "body": base64.b64encode(message.body).decode("ascii"),
    }


def decode_message(value: object) -> Message:
    """Return the message that a JSON object describes.

    Raises:
        InvalidInputError: a field is missing or of the wrong type.
    """
    if not isinstance(value, dict):
        raise InvalidInputError("message", "not an object")
    for name in (*_TEXT_FIELDS, "body"):
        if not isinstance(value.get(name), str):
            raise InvalidInputError(f"message.{name}", "not a text")
    headers = value.get("headers")
    if not isinstance(headers, dict) or not all(isinstance(header, str) for header in headers.values()):
        raise InvalidInputError("message.headers", "not an object of texts")
    try:
        body = base64.b64decode(value["body"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInputError("message.body", "not base64") from error
    return Message(body=body, headers=headers, **{name: value[name] for name in _TEXT_FIELDS})


def encode_error(error: DoseQRError) -> JsonObject:
    """Return an error as a response; the client sees the nearest class that both sides know."""
    known = next(
        (kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS), PermanentError.__name__
    )
    return {"error": known, "text": str(error)}


def raise_error(response: Mapping[str, JsonValue]) -> None:
    """Raise the error that a response holds, if it holds one.

    Raises:
        DoseQRError: the error of the response.
    """
    if "error" in response:
        raise _ERRORS.get(str(response["error"]), PermanentError)(str(response.get("text", "")))


@contextlib.contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """Yield an address for a socket file; a long path is reached by way of its open folder (Linux)."""
    if len(os.fsencode(path)) <= ADDRESS_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
