"""Who sends a request: a bearer token (RFC 6750) and nothing else.

The session cookie of the page is not accepted here. A browser sends it along from wherever it is made to,
so each operation would need the form token of the page; programs have no such page to take it from.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus

import structlog
from flask import current_app, g, request

from services.web.api.problems import ProblemError
from services.web.components import components, set_scope
from shared.errors import DatabaseAwayError
from shared.users.api_tokens import Scope, TokenIdentity, authenticate, record_use, use_is_due

log = structlog.get_logger(__name__)

KEY = "doseqr_failed_tokens"
REALM = 'Bearer realm="DoseQR"'

#: Requests without a valid token from one address in one window before they are rejected with 429. A valid
#: token is never held up by others behind the same proxy: guessing 256 bits is out of reach, and what this
#: bounds is what a misled program costs in log lines and responses.
MAX_FAILURES = 30
WINDOW_S = 60.0
#: Addresses that are remembered; the oldest is forgotten first.
MAX_ADDRESSES = 10_000


class FailedTokens:
    """Counts refused tokens by address in windows of fixed length; thread-safe."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def add(self, address: str) -> float | None:
        """Count a failure; returns the seconds to wait once there are too many, otherwise None."""
        now = self._monotonic()
        with self._lock:
            began, count = self._windows.get(address, (now, 0))
            if now - began >= WINDOW_S:
                began, count = now, 0
            self._windows[address] = began, count + 1
            while len(self._windows) > MAX_ADDRESSES:
                self._windows.popitem(last=False)
        return None if count < MAX_FAILURES else began + WINDOW_S - now


def require(scope: Scope) -> TokenIdentity:
    """Return who sends the present request.

    Raises:
        ProblemError: 401 without a valid token, 403 if its scope does not include this one, 429 after too
            many failures.
        DatabaseAwayError: the token cannot be looked up.
    """
    token = _token()
    if token is None:
        raise _refused("The request carries no token.", REALM)
    now = components().clock()
    with components().database.read() as session:
        identity = authenticate(session, token, now)
        due = identity is not None and use_is_due(session, identity.id, now)
    if identity is None:
        log.warning("token refused", remote_address=request.remote_addr or "", endpoint=request.endpoint)
        raise _refused("The token is unknown, expired or revoked.", f'{REALM}, error="invalid_token"')
    if due:
        _record_use(identity)
    g.api_token = identity
    set_scope(identity.node_scope)
    if not identity.allows(scope):
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            f"This needs the scope {scope}; the token has {identity.scope}.",
            headers={"WWW-Authenticate": f'{REALM}, error="insufficient_scope", scope="{scope}"'},
        )
    return identity


def identity() -> TokenIdentity:
    """Return who sends the present request, once `require` has found out."""
    found = g.api_token
    assert isinstance(found, TokenIdentity)
    return found


def _token() -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _refused(detail: str, challenge: str) -> ProblemError:
    failures = current_app.extensions[KEY]
    assert isinstance(failures, FailedTokens)
    wait_s = failures.add(request.remote_addr or "")
    if wait_s is not None:
        headers = {"Retry-After": str(max(1, round(wait_s)))}
        return ProblemError(
            HTTPStatus.TOO_MANY_REQUESTS,
            "Too many requests without a valid token came from this address.",
            headers=headers,
        )
    return ProblemError(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": challenge})


def _record_use(identity: TokenIdentity) -> None:
    try:
        with components().database.write() as session:
            record_use(session, identity.id, components().clock())
    except DatabaseAwayError as error:
        # A reader goes on while the database cannot be written.
        log.warning("use of a token not recorded", error=str(error))
