"""How requests to DICOMweb servers are authenticated: secrets from files, tokens kept while they hold."""

from __future__ import annotations

import base64
import json
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote_plus, urlencode

from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.peer import Peer, Timeouts, WebAccess
from shared.dicomweb.http.address import web_address
from shared.dicomweb.http.connection import WebConnection
from shared.dicomweb.http.errors import error_of_status

#: Bytes of a secret, and of the response that holds a token.
SECRET_MAX_BYTES = 16 << 10
_TOKEN_RESPONSE_BYTES = 1 << 20

#: A token is renewed so many seconds before it ends; one whose end is not known is kept for a few minutes.
_RENEWED_BEFORE_S, _UNKNOWN_LIFETIME_S = 30.0, 300.0


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    until: float


class Authenticator:
    """Returns the header that authenticates requests to one server; thread-safe."""

    def __init__(self, peer: Peer, access: WebAccess, timeouts: Timeouts) -> None:
        self._peer = peer
        self._access = access
        self._timeouts = timeouts
        self._token: _Token | None = None
        self._lock = threading.Lock()

    def headers(self, cancellation: Cancellation | None = None) -> dict[str, str]:
        """Return the Authorization header, if there is one.

        Raises:
            PeerError: the secret cannot be read, or there is no token.
            InterruptedWorkError: the work was stopped.
        """
        access = self._access
        if access.authentication == "none":
            return {}
        if access.authentication == "basic":
            return {"Authorization": _basic(access.user, self._secret())}
        if access.authentication == "bearer":
            return {"Authorization": f"Bearer {self._secret()}"}
        return {"Authorization": f"Bearer {self._access_token(cancellation)}"}

    def forget(self, headers: dict[str, str]) -> bool:
        """Give up what these headers hold, which was refused; return whether there may be another."""
        with self._lock:
            if self._token is not None and headers.get("Authorization") == f"Bearer {self._token.value}":
                self._token = None
        # A token in a file is renewed by others, now and then while it is in use.
        return self._access.authentication in ("bearer", "oauth")

    def _secret(self) -> str:
        path = Path(self._access.secret_file)
        try:
            with path.open("rb") as file:
                secret = file.read(SECRET_MAX_BYTES + 1)
        except OSError as error:
            raise _no_secret(path, error.strerror or type(error).__name__) from error
        text = secret.decode("utf-8", "replace").strip()
        if not text or len(secret) > SECRET_MAX_BYTES:
            raise _no_secret(path, "it is empty" if not text else f"more than {SECRET_MAX_BYTES >> 10} KiB")
        if not text.isprintable():
            raise _no_secret(path, "it holds more than one line, or no text")
        return text

    def _access_token(self, cancellation: Cancellation | None) -> str:
        with self._lock:
            if self._token is None or time.monotonic() >= self._token.until:
                self._token = self._requested_token(cancellation)
            return self._token.value

    def _requested_token(self, cancellation: Cancellation | None) -> _Token:
        """Request a token with the client's credentials (RFC 6749 4.4)."""
        access = self._access
        address = web_address(access.token_url)
        form = {"grant_type": "client_credentials"} | ({"scope": access.scope} if access.scope else {})
        headers = {
            "Authorization": _basic(quote_plus(access.user), quote_plus(self._secret())),
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        connection = WebConnection(self._peer, address, self._timeouts, cancellation)
        try:
            response = connection.exchange(
                "POST",
                address.path or "/",
                headers,
                body=urlencode(form).encode(),
                cancellation=cancellation,
            )
            if response.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED):
                detail = f"the token server {address.authority} refuses the client: HTTP {response.status}"
                raise PeerError(Outcome.UNAUTHORIZED, detail, permanent=True, associating=True)
            if response.status != HTTPStatus.OK:
                raise error_of_status(response.status, f"the token server {address.authority}")
            return _token_in(response.read(_TOKEN_RESPONSE_BYTES), address.authority)
        finally:
            connection.close()


def _token_in(body: bytes, authority: str) -> _Token:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    token = document.get("access_token") if isinstance(document, dict) else None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
        detail = f"the token server {authority} responded without an access token"
        raise PeerError(Outcome.UNAUTHORIZED, detail, associating=True)
    lifetime = document.get("expires_in")
    known = isinstance(lifetime, int | float) and not isinstance(lifetime, bool) and lifetime > 0
    lasts_s = float(lifetime) if known else _UNKNOWN_LIFETIME_S
    return _Token(token, time.monotonic() + max(lasts_s - _RENEWED_BEFORE_S, lasts_s / 2))


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _no_secret(path: Path, why: str) -> PeerError:
    detail = f"the file with the node's secret cannot be used here ({path}: {why})"
    return PeerError(Outcome.UNAUTHORIZED, detail, permanent=True, associating=True)
