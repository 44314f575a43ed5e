"""How every service begins and ends: logs, database, broker, heartbeat, signals, in this order."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable

import structlog
from sqlalchemy import text

from shared.backoff import Backoff
from shared.broker.factory import open_broker
from shared.broker.port import Broker
from shared.broker.topology import QUEUES
from shared.contract.messages import WorkerHeartbeat
from shared.database.migrate import migrate
from shared.database.session import Database, open_database
from shared.errors import (
    BrokerAwayError,
    DoseQRError,
    PermanentError,
    RetriableError,
    SchemaUnknownError,
)
from shared.health import HealthServer
from shared.lifecycle import Lifecycle
from shared.logs import configure
from shared.messaging.publisher import Publisher
from shared.metrics.process_metrics import line_logged, pool_metrics
from shared.settings import Settings, spans_are_wanted, unknown_variables
from shared.tracing.spans import export_spans
from shared.versions import own_version, versions
from shared.workers.log_level import LEVEL
from shared.workers.worker_control import WorkerControl

log = structlog.get_logger(__name__)

#: Seconds between two heartbeats.
HEARTBEAT_S = 10.0
#: Exit codes of a service that cannot start, however long it waits: for its database, for another reason.
EXIT_AWAY, EXIT_FAILED = 4, 5
#: Pauses between attempts to reach what a service cannot begin without.
STARTING = Backoff(0.5, 10.0)

#: Services in the order of their health ports.
HEALTH_PORTS = ("echo", "query", "retrieve", "store", "web")

#: Wires a service to real parts and starts it; what must be stopped is registered with the lifecycle.
Start = Callable[[Settings, Broker, Database, Lifecycle], None]


def worker_name(service: str) -> str:
    """Name this process in ledgers and heartbeats."""
    return f"{service}@{socket.gethostname()}:{os.getpid()}"


def run_service(name: str, start: Start, settings: Settings, *, needs_broker: bool = True) -> int:
    """Run one service in the foreground until SIGTERM or SIGINT; returns the exit code.

    The page does not need the broker to begin: it is where people read that the broker is away.
    """
    configure(name, settings.log_level, line_logged)
    for variable in unknown_variables():
        log.warning("unknown variable", variable=variable, detail="it is no setting of DoseQR")
    with Lifecycle() as lifecycle:
        lifecycle.install_signals()
        start_spans(name, lifecycle)
        database = open_database(settings.data_dir, settings.database)
        lifecycle.on_stop(database.close)
        broker = open_broker(
            settings.broker_url, settings.amqp_prefix, settings.bridge_socket, settings.broker_tls
        )
        lifecycle.on_stop(broker.close)
        started = threading.Event()
        lifecycle.health.add_check("service", lambda: _phase(started, lifecycle.stopping))
        # Served from the beginning: a probe can distinguish a service that waits from one that hangs.
        start_health(name, settings, broker, database, lifecycle)
        try:
            ready = patiently(lambda: migrate(database), "database", lifecycle.stopping)
            if ready and needs_broker:
                ready = patiently(broker.declare, "broker", lifecycle.stopping)
        except PermanentError as error:
            # Whoever starts the process again gets the same sentence, not a traceback.
            log.critical("cannot start", error=str(error))
            return EXIT_AWAY if isinstance(error, SchemaUnknownError) else EXIT_FAILED
        if ready:
            start(settings, broker, database, lifecycle)
            start_heartbeat(name, broker, lifecycle)
            start_control(name, broker, lifecycle)
            started.set()
            log.info("ready", broker=broker.description, database=database.description)
            lifecycle.wait()
    return 0


def start_spans(service: str, lifecycle: Lifecycle) -> None:
    """Export spans if OpenTelemetry's variables say so; a mistake in them is logged, and stops nothing."""
    if not spans_are_wanted():
        return
    from shared.tracing.otlp import OtlpSpans  # noqa: PLC0415 - only where it is on

    try:
        spans = OtlpSpans(service, worker_name(service), own_version())
    except ValueError as error:
        log.warning("spans not exported", detail=f"a variable of OpenTelemetry is malformed: {error}")
        return
    lifecycle.on_stop(spans.stop)
    export_spans(spans)
    lifecycle.on_stop(lambda: export_spans(None))


def patiently(action: Callable[[], None], what: str, stopping: threading.Event) -> bool:
    """Run the action, again after a pause while it fails; False if the stop came first."""
    pauses = STARTING.pauses()
    while not stopping.is_set():
        try:
            action()
        except RetriableError as error:
            pause_s = next(pauses)
            log.warning("waiting", what=what, error=str(error), pause_s=pause_s)
            stopping.wait(pause_s)
        else:
            return True
    return False


def start_health(
    service: str, settings: Settings, broker: Broker, database: Database, lifecycle: Lifecycle
) -> None:
    """Serve health and metrics over HTTP if a port is set; one that is taken is logged."""
    lifecycle.health.add_check("database", lambda: _trouble_of(database))
    # Its own queue: it has a permission on that one for sure. The page has one on each.
    queue = next((spec.name for spec in QUEUES if spec.name == service), QUEUES[0].name)
    lifecycle.health.add_check("broker", lambda: _trouble_with(broker, queue))
    lifecycle.health.add_metrics(lambda: pool_metrics(*database.connections))
    if not settings.health_port:
        return
    port = settings.health_port + HEALTH_PORTS.index(service)
    try:
        server = HealthServer(lifecycle.health, settings.health_host, port)
    except OSError as error:
        log.warning("health is not served", host=settings.health_host, port=port, error=error.strerror)
        return
    server.start()
    lifecycle.on_stop(server.stop)


def _phase(started: threading.Event, stopping: threading.Event) -> str:
    if stopping.is_set():
        return "it is stopping"
    return "" if started.is_set() else "it is starting"


def _trouble_with(broker: Broker, queue: str) -> str:
    try:
        broker.queue_state(queue)
    except PermanentError:
        # It was reached: it refuses to count.
        return ""
    except DoseQRError as error:
        return str(error)
    return ""


def _trouble_of(database: Database) -> str:
    try:
        with database.read() as session:
            session.execute(text("SELECT 1"))
    except DoseQRError as error:
        return str(error)
    return ""


def start_heartbeat(service: str, broker: Broker, lifecycle: Lifecycle) -> None:
    """Publish every ten seconds that this worker lives, and once that it stops."""
    publisher, worker, duty = Publisher(broker, service), worker_name(service), lifecycle.duty_of(service)

    def beat(event: WorkerHeartbeat) -> None:
        try:
            publisher.event(event, "worker")
        except BrokerAwayError as error:
            log.debug("heartbeat not published", error=str(error))

    def loop() -> None:
        while not lifecycle.stopping.is_set():
            store = lifecycle.health.store_state() if service == "store" else None
            drain = duty.state if duty.state != "running" else None
            beat(WorkerHeartbeat(service=service, worker=worker, drain=drain, store=store))
            lifecycle.stopping.wait(HEARTBEAT_S)

    thread = threading.Thread(target=loop, name="heartbeat", daemon=True)
    thread.start()

    def stop() -> None:
        thread.join()
        beat(WorkerHeartbeat(service=service, worker=worker, state="stopping"))

    lifecycle.on_stop(stop)


def start_control(service: str, broker: Broker, lifecycle: Lifecycle) -> None:
    """Take control messages: ping, drain, resume, level of the log."""
    control = WorkerControl(
        service,
        worker_name(service),
        broker,
        lifecycle.duty_of(service),
        LEVEL,
        lifecycle.stopping,
        versions(),
    )
    control.start()
    lifecycle.on_stop(control.stop)
