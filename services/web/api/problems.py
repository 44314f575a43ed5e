"""Errors of the API as problem details (RFC 9457): what went wrong, which field, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import structlog
from flask import Flask, Response, json, request
from pydantic import BaseModel, Field
from werkzeug.exceptions import HTTPException

from shared.errors import (
    BrokerAwayError,
    DatabaseAwayError,
    InvalidInputError,
    PermanentError,
    UnroutableError,
)

log = structlog.get_logger(__name__)

PREFIX = "/api/v1"
MEDIA_TYPE = "application/problem+json"

#: Seconds after which a client may try again when broker, database or workers are away.
RETRY_AFTER_S = 10

#: What to do, where the error itself does not name it.
_ADVICE: Mapping[int, str] = {
    HTTPStatus.BAD_REQUEST: "Correct the request; see /api/v1/openapi.json.",
    HTTPStatus.UNAUTHORIZED: "Send a valid token: Authorization: Bearer doseqr_… (doseqr tokens add).",
    HTTPStatus.FORBIDDEN: "Use a token with a wider scope, of an owner whose role allows it.",
    HTTPStatus.NOT_FOUND: "Check the address and the id in it; see /api/v1/openapi.json.",
    HTTPStatus.METHOD_NOT_ALLOWED: "Use one of the methods in the header Allow.",
    HTTPStatus.NOT_ACCEPTABLE: "Leave the header Accept out, or let it hold this type.",
    HTTPStatus.CONFLICT: "Read the present state, then decide whether the request still makes sense.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Send less at once; a body may have 1 MiB.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "Send JSON with Content-Type: application/json.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Correct the field and send the request again.",
    HTTPStatus.TOO_MANY_REQUESTS: "Wait for the time in the header Retry-After.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Try again; if it stays, the log of the web service has the place.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Try again after the time in the header Retry-After.",
    HTTPStatus.GATEWAY_TIMEOUT: "Try again later.",
}


class FieldProblem(BaseModel):
    """One field and what is wrong with it."""

    field: str
    problem: str


class Problem(BaseModel):
    """Problem details (RFC 9457); `title` is the phrase of the status."""

    title: str
    status: int
    detail: str = Field(description="What was tried and what is wrong.")
    field: str | None = Field(None, description="The field at fault, dotted; none: the request as a whole.")
    advice: str = Field(description="What to do.")
    errors: list[FieldProblem] = Field([], description="Every field at fault, if there are several.")


class ProblemError(Exception):
    """Ends a request with problem details."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        field: str | None = None,
        advice: str | None = None,
        headers: Mapping[str, str] | None = None,
        errors: list[FieldProblem] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.field = status, detail, field
        self.advice, self.headers, self.errors = advice, headers or {}, errors or []


def not_found(what: str) -> ProblemError:
    """Return the error of something that does not exist."""
    return ProblemError(HTTPStatus.NOT_FOUND, what)


def unavailable(detail: str, advice: str | None = None) -> ProblemError:
    """Return the error of something that is away for the moment."""
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail, advice=advice, headers=headers)


def of_api() -> bool:
    """Return whether the present request is one of the API, also if it leads nowhere."""
    return request.path == PREFIX or request.path.startswith(f"{PREFIX}/")


def init_problems(app: Flask) -> None:
    """Let every error below the prefix be problem details; others stay with the handlers of before."""
    handlers = app.error_handler_spec[None][None]
    pages = {kind: handlers.get(kind) for kind in (HTTPException, DatabaseAwayError)}

    def http(error: HTTPException) -> object:
        page = pages[HTTPException]
        return _http(error) if of_api() or page is None else page(error)

    def database_away(error: DatabaseAwayError) -> object:
        page = pages[DatabaseAwayError]
        return _database_away(error) if of_api() or page is None else page(error)

    app.register_error_handler(HTTPException, http)  # type: ignore[arg-type]
    app.register_error_handler(DatabaseAwayError, database_away)  # type: ignore[arg-type]
    # Raised by nothing but operations of the API; the pages handle their own.
    app.register_error_handler(ProblemError, response_of)


def as_problem(error: Exception) -> ProblemError:
    """Return one of our errors as the response of an operation."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, InvalidInputError):
        field = error.field.removeprefix("data.")
        detail = f"{field}: {error.problem}" if field else error.problem
        return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, field=field or None)
    if isinstance(error, BrokerAwayError | UnroutableError):
        log.warning("broker away", error=str(error), endpoint=request.endpoint or "")
        return unavailable("The message broker did not take it, so nothing was begun.")
    assert isinstance(error, PermanentError)
    return ProblemError(HTTPStatus.CONFLICT, str(error))


def response_of(error: ProblemError) -> Response:
    """Return the response of an error."""
    status = HTTPStatus(error.status)
    problem = Problem(
        title=status.phrase,
        status=status,
        detail=error.detail,
        field=error.field,
        advice=error.advice or _ADVICE.get(status, ""),
        errors=error.errors,
    )
    text = json.dumps(problem.model_dump(mode="json", exclude_defaults=True)) + "\n"
    response = Response(text, status, mimetype=MEDIA_TYPE)
    response.headers.extend(dict(error.headers))
    return response


def _http(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    return response_of(ProblemError(status, _DETAIL.get(status, status.description), headers=headers))


def _database_away(error: DatabaseAwayError) -> Response:
    log.warning("database away", error=str(error), endpoint=request.endpoint or "")
    return response_of(unavailable("The database cannot be reached or is locked."))


_DETAIL: Mapping[int, str] = {
    HTTPStatus.BAD_REQUEST: "The request is malformed.",
    HTTPStatus.NOT_FOUND: "There is nothing at this address.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not take this method.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too long.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "DoseQR itself failed.",
}
