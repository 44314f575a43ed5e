"""Handing a batch over by HTTP: a POST of JSON; only 2xx means that it was taken."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urlsplit

from services.store.handover.model import Batch, HandoverError


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """How the importer responded; `excerpt`: the beginning of the body."""

    status: int
    excerpt: bytes

    def raise_unless_taken(self) -> None:
        """Do nothing where the batch was taken.

        Raises:
            HandoverError: it was not.
        """
        if not HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES:
            raise HandoverError("http_status", f"The importer responded with HTTP status {self.status}.")


class HttpSender:
    """Posts each batch to one address; redirects are not followed."""

    def __init__(self, url: str, root: Path, *, timeout_s: float, store_ae_title: str) -> None:
        """Send a user and password that stand in the URL by Basic authentication (RFC 7617)."""
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._authorization = ""
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._authorization = "Basic " + base64.b64encode(pair.encode()).decode()
        self._root = root
        self._timeout_s = timeout_s
        self._store_ae_title = store_ae_title

    def __call__(self, batch: Batch) -> None:
        """Post a batch.

        Raises:
            HandoverError: there was no response in time, or none with 2xx.
        """
        self.post(batch).raise_unless_taken()

    def post(self, batch: Batch, excerpt_bytes: int = 0) -> HttpResponse:
        """Post a batch and return the response, with so much of its body.

        Raises:
            HandoverError: there was no response in time.
        """
        body = json.dumps(batch.to_json(self._root, self._store_ae_title)).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": batch.id}
        if self._authorization:
            headers["Authorization"] = self._authorization
        return self._post(body, headers, excerpt_bytes)

    def _post(self, body: bytes, headers: dict[str, str], excerpt_bytes: int) -> HttpResponse:
        connection = self._connection()
        # The library's own time-out begins anew with each byte; this one bounds the whole response.
        over = threading.Event()
        timer = threading.Timer(self._timeout_s, _cut, (connection, over))
        timer.daemon = True
        timer.start()
        try:
            connection.request("POST", self._target, body, headers)
            response = connection.getresponse()
            return HttpResponse(response.status, response.read(excerpt_bytes) if excerpt_bytes else b"")
        except (OSError, http.client.HTTPException, ValueError) as error:
            if over.is_set() or isinstance(error, TimeoutError):
                sentence = f"The importer did not respond within {self._timeout_s:g} s."
                raise HandoverError("timed_out", sentence) from error
            sentence = f"The importer cannot be reached ({type(error).__name__})."
            raise HandoverError("not_reached", sentence) from error
        finally:
            timer.cancel()
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self._secure:
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout_s, context=ssl.create_default_context()
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)


def _cut(connection: http.client.HTTPConnection, over: threading.Event) -> None:
    over.set()
    if isinstance(connection.sock, socket.socket):
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)
