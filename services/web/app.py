"""The app factory: extensions, pages, headers and error pages."""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import NoReturn

import structlog
from flask import Flask, Request, request
from flask_bootstrap import Bootstrap5
from flask_wtf.csrf import CSRFProtect
from werkzeug.exceptions import NotFound
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import RequestRedirect

from services.web.api.blueprint import init_api
from services.web.components import KEY, Components
from services.web.http_server.event_writer import STREAMS
from services.web.http_server.request_buffer import BODY_BYTES, UPLOAD_BYTES, UPLOAD_PATHS
from services.web.language import init_language, translated_into
from services.web.live.event_stream import Live
from services.web.live.job_counts import JobCounts
from services.web.live.progress import ProgressHistory
from services.web.live.service_status import ServiceStatus
from services.web.live.trouble import Trouble
from services.web.login_limit import LoginLimit
from services.web.openid.provider import provider_of
from services.web.pages import (
    auth,
    errors,
    handovers,
    health,
    jobs,
    live,
    nodes,
    query,
    schedules,
    start,
    study_lists,
    users,
)
from services.web.pages.account import notifications, provider_log_in, second_factor, second_step
from services.web.pages.admin import audit_trail as admin_audit
from services.web.pages.admin import retention, system, tokens
from services.web.pages.evidence import calendar, comparisons, coverage, reconciliations
from services.web.pages.job import charts, doses, exports, ledger, trace
from services.web.pages.node import profiles, response_times, setup
from services.web.pending_commands import PendingCommands
from services.web.request_metrics import init_request_metrics
from services.web.security import headers
from services.web.security.sessions import IDLE, init_auth
from services.web.static_files import init_static_files
from services.web.views import formatting
from shared.broker.port import Broker
from shared.clock import Clock, utc_now
from shared.configuration.session_key import session_key
from shared.database.session import Database
from shared.messaging.publisher import Publisher
from shared.notifications.trial import AddressTrial
from shared.settings import Settings

log = structlog.get_logger(__name__)


class _App(Flask):
    """Flask that logs where a request failed, never an error's text: it may hold data of a PACS."""

    def raise_routing_exception(self, request: Request) -> NoReturn:
        """Respond with 404 instead of Werkzeug's own redirects, which name the host that the client sent."""
        if isinstance(request.routing_exception, RequestRedirect):
            raise NotFound
        super().raise_routing_exception(request)

    def log_exception(
        self, exc_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None]
    ) -> None:
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
        SettingsError: the settings of the OpenID provider do not suffice.
    """
    app = _App(__name__, static_folder="static", template_folder="templates")
    app.config.update(_config(settings))
    app.url_map.merge_slashes = False
    if settings.trusted_proxies:
        proxies = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=0)  # type: ignore[method-assign]
    app.extensions[KEY] = Components(
        settings=settings,
        broker=broker,
        database=database,
        publisher=Publisher(broker, "web", clock),
        live=Live(broker, max_streams=STREAMS),
        pending_commands=PendingCommands(),
        service_status=ServiceStatus(broker),
        trouble=Trouble(database, settings.handover_backlog),
        login_limit=LoginLimit(),
        progress=ProgressHistory(),
        counts=JobCounts(),
        clock=clock,
        provider=provider_of(settings, clock),
        address_trial=AddressTrial(database, settings, clock, translated_into),
    )
    # Before the token of a form is read, and with it the body.
    app.before_request(_allow_upload)
    csrf = CSRFProtect(app)
    Bootstrap5(app)
    init_request_metrics(app)
    init_auth(app)
    headers.init_headers(app)
    init_static_files(app)
    init_language(app)
    errors.init_error_pages(app)
    formatting.init_filters(app)
    _register_pages(app)
    init_api(app, csrf, settings)
    return app


def _register_pages(app: Flask) -> None:
    for page in (admin_audit, charts, doses, exports, ledger, retention, system, tokens, trace):
        app.register_blueprint(page.blueprint)
    for page in (
        auth,
        handovers,
        health,
        jobs,
        live,
        nodes,
        profiles,
        query,
        response_times,
        schedules,
        setup,
        start,
        study_lists,
        users,
    ):
        app.register_blueprint(page.blueprint)
    for page in (notifications, provider_log_in, second_factor, second_step):
        app.register_blueprint(page.blueprint)
    for view in (calendar, comparisons, coverage, reconciliations):
        app.register_blueprint(view.blueprint)


def components_of(app: Flask) -> Components:
    """Return the parts of an app."""
    found = app.extensions[KEY]
    assert isinstance(found, Components)
    return found


def _allow_upload() -> None:
    """Let the paths that take a file take more than all others."""
    if request.path.encode() in UPLOAD_PATHS:
        request.max_content_length = UPLOAD_BYTES


def _config(settings: Settings) -> dict[str, object]:
    return {
        "SECRET_KEY": settings.session_key or session_key(settings.data_dir),
        "SESSION_COOKIE_NAME": "doseqr_session",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.secure_cookies,
        "PERMANENT_SESSION_LIFETIME": IDLE,
        "MAX_CONTENT_LENGTH": BODY_BYTES,
        "TRUSTED_HOSTS": list(settings.trusted_hosts) or None,
        # The token ends with the session that it belongs to, not while a form is being filled in.
        "WTF_CSRF_TIME_LIMIT": None,
        # Behind a TLS proxy this compares the referrer with the address that the proxy calls.
        "WTF_CSRF_SSL_STRICT": False,
        "BOOTSTRAP_SERVE_LOCAL": True,
    }
