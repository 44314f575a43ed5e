"""Wires the web service and runs it."""

from __future__ import annotations

import resource
import sys

import structlog

from services.web.app import components_of, create_app
from services.web.http_server.server import HttpServer
from services.web.notifier.bootstrap import start_notifier
from services.web.security.audit_retention import AuditRetention
from shared.broker.port import Broker
from shared.clock import utc_now
from shared.database.session import Database
from shared.errors import InvalidInputError, PermanentError, SettingsError
from shared.lifecycle import Lifecycle
from shared.reading.metrics.ledger_metrics import LedgerMetrics
from shared.service import patiently, run_service
from shared.settings import Settings, load
from shared.users.accounts import FIRST_ADMIN, ensure_first_admin

log = structlog.get_logger(__name__)

#: Files that may be open: connections, event streams, and those of the database and the broker.
OPEN_FILES = 2048
#: Exit code (spec, section 9): failed otherwise.
FAILED = 5


def start(settings: Settings, broker: Broker, database: Database, lifecycle: Lifecycle) -> None:
    """Start to serve the page; the lifecycle ends it.

    Raises:
        PermanentError: the port is taken, or the key of the sessions cannot be kept.
    """
    if not patiently(lambda: _first_start(database, settings.admin_password), "database", lifecycle.stopping):
        return
    _allow_connections()
    app = create_app(settings, broker, database)
    live = components_of(app).live
    server = HttpServer(
        app,
        settings.web_host,
        settings.web_port,
        settings.web_threads,
        trusted_proxies=settings.trusted_proxies,
    )
    server.start()
    lifecycle.on_stop(server.stop)
    # Stopped first: open streams would hold the server's threads.
    live.start()
    lifecycle.on_stop(live.close)
    lifecycle.health.add_metrics(
        LedgerMetrics(
            database,
            broker,
            utc_now,
            {"query": settings.query_workers, "retrieve": settings.retrieve_workers},
        )
    )
    audit = AuditRetention(database, settings.retention, utc_now)
    audit.start()
    lifecycle.on_stop(audit.stop)
    start_notifier(settings, broker, database, live.event_results.store_states, lifecycle)
    log.info("page", address=f"http://{settings.web_host}:{settings.web_port}")


def _allow_connections() -> None:
    """Let the process have as many open files as connections and event streams need, where it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _first_start(database: Database, given: str) -> None:
    try:
        with database.write() as session:
            password = ensure_first_admin(session, utc_now(), given)
    except InvalidInputError as error:
        raise SettingsError(f"DOSEQR_ADMIN_PASSWORD: {error.problem}") from error
    if password is not None and not given:
        log.warning("first start: one-time password", user=FIRST_ADMIN, one_time_password=password)
        sys.stderr.write(f"Log in as {FIRST_ADMIN} with the one-time password {password}\n")
        sys.stderr.flush()


def main() -> int:
    """Run the service in the foreground."""
    try:
        return run_service("web", start, load(), needs_broker=False)
    except PermanentError as error:
        log.critical("cannot run", error=str(error))
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
