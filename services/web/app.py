"""The app factory: extensions, pages, headers and error pages."""

from __future__ import annotations

import traceback
from datetime import timedelta
from typing import Any

import structlog
from flask import Flask, request
from flask_bootstrap import Bootstrap5
from flask_wtf.csrf import CSRFProtect

from services.web.commands.pending import PendingCommands
from services.web.components import KEY, Components
from services.web.live.event_stream import Live
from services.web.live.service_status import ServiceStatus
from services.web.pages import auth, errors, handovers, health, jobs, live, nodes, profiles, query, users
from services.web.security import headers
from services.web.security.login_limit import limiter
from services.web.security.session_key import session_key
from services.web.security.sessions import init_auth
from services.web.views import formatting
from shared.broker.port import Broker
from shared.clock import Clock, utc_now
from shared.database.session import Database
from shared.messaging.publisher import Publisher
from shared.settings import Settings

log = structlog.get_logger(__name__)

#: A session ends after so long without a request by its user (polls of an open page do not count).
IDLE = timedelta(hours=8)
#: Share of the threads that may be held by open pages; the rest answers requests.
STREAM_SHARE = 0.75


class _App(Flask):
    """Flask that logs where a request failed, never an error's text: it may hold data of a PACS."""

    def log_exception(self, exc_info: Any) -> None:
        """Log a failed request."""
        kind, _, trace = exc_info
        log.error(
            "request failed",
            endpoint=request.endpoint,
            method=request.method,
            error=getattr(kind, "__name__", str(kind)),
            trace="".join(traceback.format_tb(trace)),
        )


def create_app(settings: Settings, broker: Broker, database: Database, clock: Clock = utc_now) -> Flask:
    """Return the app; nothing runs in the background until `parts_of(app).live` is started.

    Raises:
        PermanentError: the key of the sessions cannot be kept in the data folder.
    """
    app = _App(__name__, static_folder="static", template_folder="templates")
    app.config.update(_config(settings))
    app.extensions[KEY] = Components(
        settings=settings,
        broker=broker,
        database=database,
        publisher=Publisher(broker, "web", clock),
        live=Live(broker, max_streams=max(1, int(settings.web_threads * STREAM_SHARE))),
        pending_commands=PendingCommands(),
        service_status=ServiceStatus(broker),
        clock=clock,
    )
    CSRFProtect(app)
    Bootstrap5(app)
    init_auth(app)
    limiter.init_app(app)
    headers.init_headers(app)
    errors.init_error_pages(app)
    formatting.init_filters(app)
    for page in (auth, handovers, health, jobs, live, nodes, profiles, query, users):
        app.register_blueprint(page.blueprint)
    return app


def components_of(app: Flask) -> Components:
    """Return the parts of an app."""
    found = app.extensions[KEY]
    assert isinstance(found, Components)
    return found


def _config(settings: Settings) -> dict[str, Any]:
    return {
        "SECRET_KEY": session_key(settings.data_dir),
        "SESSION_COOKIE_NAME": "doseqr_session",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.secure_cookies,
        "PERMANENT_SESSION_LIFETIME": IDLE,
        "MAX_CONTENT_LENGTH": 1024 * 1024,
        # The token ends with the session that it belongs to, not while a form is being filled in.
        "WTF_CSRF_TIME_LIMIT": None,
        # Behind a TLS proxy this compares the referrer with the address that the proxy calls.
        "WTF_CSRF_SSL_STRICT": False,
        "BOOTSTRAP_SERVE_LOCAL": True,
        "RATELIMIT_STORAGE_URI": "memory://",
        "RATELIMIT_HEADERS_ENABLED": False,
    }
