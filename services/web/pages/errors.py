"""Readable pages for everything that can go wrong with a request."""

from __future__ import annotations

from http import HTTPStatus

import structlog
from flask import Flask, Response, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, SecurityError

from services.web.security.kept_form import keep_form
from services.web.security.sessions import audit
from shared.errors import DatabaseAwayError
from shared.reading.rate_text import duration

log = structlog.get_logger(__name__)

#: Title, cause and advice of each error page.
PAGES: dict[int, tuple[str, str, str]] = {
    HTTPStatus.BAD_REQUEST: (
        "The request was not understood",
        "Something in it is missing or malformed.",
        "Go back and try again.",
    ),
    HTTPStatus.UNAUTHORIZED: ("Log in first", "Nobody is logged in any more.", "Log in to go on."),
    HTTPStatus.FORBIDDEN: (
        "Not allowed",
        "Your role does not include this page.",
        "If you need it, an administrator of DoseQR can give you another role.",
    ),
    HTTPStatus.NOT_FOUND: (
        "Not found",
        "There is nothing at this address.",
        "It may have been removed, or the address is mistyped.",
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "Not possible here",
        "This address does not take such a request.",
        "Use the buttons and links of the pages.",
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
        "Too much at once",
        "The form holds more than can be taken.",
        "Shorten the lists in it.",
    ),
    HTTPStatus.TOO_MANY_REQUESTS: (
        "Too many attempts",
        "Too many log-ins of this account or from this address have failed.",
        "Wait a minute, then try again.",
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: (
        "An error of DoseQR itself",
        "The page could not be made; the log of the web service names the place.",
        "Try again; if it happens again, inform an administrator of DoseQR.",
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "The database is away",
        "It cannot be reached or is locked, so nothing can be shown now.",
        "Jobs wait for it by themselves. Reload this page in a moment.",
    ),
}


def init_error_pages(app: Flask) -> None:
    """Register the error pages of an app."""
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(DatabaseAwayError, _database_away)
    app.register_error_handler(SecurityError, _untrusted_host)
    app.register_error_handler(HTTPException, _http)


def error_page(status: int, what: str | None = None, advice: str | None = None) -> tuple[str, int]:
    """Return the page of a status, with other words if they are given."""
    title, known_what, known_advice = PAGES.get(status, PAGES[HTTPStatus.BAD_REQUEST])
    page = render_template(
        "errors/error.html",
        title=title,
        what=what or known_what,
        advice=advice or known_advice,
        status=status,
    )
    return page, status


def too_many_attempts(pause_s: float) -> ResponseReturnValue:
    """Return the page for an account or address that has to pause."""
    page, status = error_page(
        HTTPStatus.TOO_MANY_REQUESTS, advice=f"Wait {duration(pause_s)}, then try again."
    )
    response = make_response(page, status)
    response.headers["Retry-After"] = str(int(pause_s) + 1)
    return response


def _http(error: Exception) -> ResponseReturnValue:
    assert isinstance(error, HTTPException)
    if error.response is not None:
        return error.response
    return error_page(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)


def _untrusted_host(error: Exception) -> ResponseReturnValue:
    log.warning("host not trusted", error=type(error).__name__, remote_address=request.remote_addr or "")
    # No template: without a trusted host there are no addresses to build.
    text = "This server does not serve this host name. Its administrator sets DOSEQR_TRUSTED_HOSTS.\n"
    return Response(text, HTTPStatus.BAD_REQUEST, mimetype="text/plain")


def _csrf(error: Exception) -> ResponseReturnValue:
    if not current_user.is_authenticated and (kept := keep_form()) is not None:
        return kept
    audit("form token refused", endpoint=request.endpoint or "", reason=type(error).__name__)
    return error_page(
        HTTPStatus.BAD_REQUEST,
        "The form that was sent does not belong to your present session, so nothing was done.",
        "Go back, reload the page and send the form again. If it stays so, log out and in.",
    )


def _database_away(error: Exception) -> ResponseReturnValue:
    log.warning("database away", error=str(error), endpoint=request.endpoint or "")
    return error_page(HTTPStatus.SERVICE_UNAVAILABLE)
