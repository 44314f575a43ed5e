"""Idempotency-Key: the same POST sent twice does the work once and gets the same response.

The id of the command that a request publishes is made of the token, the key and the request. So the work is
done once even if this process dies between the command and its response. The response is kept for a day.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus

from flask import Response, g, request
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError

from services.web.api.authentication import identity
from services.web.api.problems import ProblemError
from services.web.components import components
from shared.contract.envelope import new_id
from shared.database.models import ApiRequest

HEADER = "Idempotency-Key"
#: A response is kept for so long.
KEPT = timedelta(hours=24)
#: A request that has no response after so long has died, and may be made again.
IN_PROGRESS = timedelta(seconds=60)

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def once(respond: Callable[[], Response]) -> Response:
    """Return the response of a POST: a new one, or that of the first request with its key.

    Raises:
        ProblemError: 422 for a malformed key or one of another request, 409 while the first is in progress.
        DatabaseAwayError: nothing was done.
    """
    key = request.headers.get(HEADER)
    if key is None:
        g.api_command_id = new_id()
        return respond()
    if not _KEY.fullmatch(key):
        raise _refused("must have 1 to 255 printable ASCII characters without blanks")
    token_id, key_hash, fingerprint = identity().id, _digest(key), _fingerprint()
    g.api_command_id = _digest(f"{token_id} {key_hash} {fingerprint}")[:32]
    earlier = _begin(token_id, key_hash, fingerprint, components().clock())
    if earlier is not None:
        return earlier
    ended = False
    try:
        response = respond()
        _end(token_id, key_hash, response)
        ended = True
        return response
    finally:
        if not ended:
            # What failed may be corrected and sent again with the same key.
            _forget(token_id, key_hash)


def command_id() -> str:
    """Return the id of the command that the present request publishes."""
    found = g.api_command_id
    assert isinstance(found, str)
    return found


def _begin(token_id: int, key_hash: str, fingerprint: str, now: datetime) -> Response | None:
    """Claim a key; returns the response of an earlier request that has ended."""
    try:
        with components().database.write() as session:
            session.execute(delete(ApiRequest).where(ApiRequest.created_at < now - KEPT))
            row = session.get(ApiRequest, (token_id, key_hash))
            if row is None:
                session.add(
                    ApiRequest(token_id=token_id, key_hash=key_hash, fingerprint=fingerprint, created_at=now)
                )
                return None
            if row.fingerprint != fingerprint:
                raise _refused("was used for another request; take a new one")
            if row.status_code is not None:
                return _replayed(row)
            if now - row.created_at < IN_PROGRESS:
                raise _in_progress()
            row.created_at = now
    except IntegrityError:
        # The same request arrived twice at the same moment; the other one was first.
        raise _in_progress() from None
    return None


def _end(token_id: int, key_hash: str, response: Response) -> None:
    with components().database.write() as session:
        row = session.get(ApiRequest, (token_id, key_hash))
        if row is not None:
            row.status_code = response.status_code
            row.location = response.headers.get("Location", "")
            row.body = response.get_data(as_text=True)


def _forget(token_id: int, key_hash: str) -> None:
    with components().database.write() as session:
        row = session.get(ApiRequest, (token_id, key_hash))
        if row is not None:
            session.delete(row)


def _replayed(row: ApiRequest) -> Response:
    response = Response(row.body, row.status_code, mimetype="application/json")
    if row.location:
        response.headers["Location"] = row.location
    response.headers["Idempotent-Replayed"] = "true"
    return response


def _refused(problem: str) -> ProblemError:
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{HEADER}: {problem}", field=HEADER)


def _in_progress() -> ProblemError:
    return ProblemError(
        HTTPStatus.CONFLICT,
        "The first request with this Idempotency-Key is still in progress.",
        field=HEADER,
        advice="Send it again in a moment to get the same response.",
        headers={"Retry-After": "1"},
    )


def _fingerprint() -> str:
    head = f"{request.method} {request.full_path}\n".encode()
    return hashlib.sha256(head + request.get_data()).hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
