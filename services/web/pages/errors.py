"""Readable pages for everything that can go wrong with a request."""

from __future__ import annotations

from http import HTTPStatus

import structlog
from flask import Flask, Response, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, SecurityError

from services.web.language import gettext, lazy_gettext, translated
from services.web.security.kept_form import keep_form
from services.web.security.sessions import audit
from shared.errors import DatabaseAwayError
from shared.reading.rate_text import duration

log = structlog.get_logger(__name__)

#: Title, cause and advice of each error page.
PAGES: dict[int, tuple[str, str, str]] = {
    HTTPStatus.BAD_REQUEST: (
        lazy_gettext("The request was not understood"),
        lazy_gettext("Something in it is missing or malformed."),
        lazy_gettext("Go back and try again."),
    ),
    HTTPStatus.UNAUTHORIZED: (
        lazy_gettext("Log in first"),
        lazy_gettext("Nobody is logged in any more."),
        lazy_gettext("Log in to go on."),
    ),
    HTTPStatus.FORBIDDEN: (
        lazy_gettext("Not allowed"),
        lazy_gettext("Your role does not include this page."),
        lazy_gettext("If you need it, an administrator of DoseQR can give you another role."),
    ),
    HTTPStatus.NOT_FOUND: (
        lazy_gettext("Not found"),
        lazy_gettext("There is nothing at this address."),
        lazy_gettext("It may have been removed, or the address is mistyped."),
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        lazy_gettext("Not possible here"),
        lazy_gettext("This address does not take such a request."),
        lazy_gettext("Use the buttons and links of the pages."),
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
        lazy_gettext("Too much at once"),
        lazy_gettext("The form holds more than can be taken."),
        lazy_gettext("Shorten the lists in it."),
    ),
    HTTPStatus.TOO_MANY_REQUESTS: (
        lazy_gettext("Too many attempts"),
        lazy_gettext("Too many log-ins of this account or from this address have failed."),
        lazy_gettext("Wait a minute, then try again."),
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: (
        lazy_gettext("An error of DoseQR itself"),
        lazy_gettext("The page could not be made; the log of the web service names the place."),
        lazy_gettext("Try again; if it happens again, inform an administrator of DoseQR."),
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        lazy_gettext("The database is away"),
        lazy_gettext("It cannot be reached or is locked, so nothing can be shown now."),
        lazy_gettext("Jobs wait for it by themselves. Reload this page in a moment."),
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
        HTTPStatus.TOO_MANY_REQUESTS,
        advice=gettext("Wait %(duration)s, then try again.", duration=translated(duration(pause_s))),
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
        gettext("The form that was sent does not belong to your present session, so nothing was done."),
        gettext("Go back, reload the page and send the form again. If it stays so, log out and in."),
    )


def _database_away(error: Exception) -> ResponseReturnValue:
    log.warning("database away", error=str(error), endpoint=request.endpoint or "")
    return error_page(HTTPStatus.SERVICE_UNAVAILABLE)
