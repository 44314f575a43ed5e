"""The health of a service and its metrics over HTTP: /health, /health/live, /health/ready, /metrics."""

from __future__ import annotations

import json
import platform
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import structlog
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from shared.contract.json_types import JsonObject
from shared.metrics.process_metrics import REGISTRY
from shared.versions import own_version, versions

if TYPE_CHECKING:
    from shared.contract.text import StoreState

log = structlog.get_logger(__name__)

#: Seconds for a client to send its request and to read the response.
_CLIENT_TIMEOUT_S = 10.0


#: What is served, for requests of something else.
_PATHS = b"/health, /health/live, /health/ready, /metrics\n"

#: The body of /health/live.
LIVE: JsonObject = {"live": True}


def readiness(troubles: Mapping[str, str]) -> tuple[HTTPStatus, JsonObject]:
    """Return status and body of /health/ready, of every service and of the page."""
    status = HTTPStatus.SERVICE_UNAVAILABLE if troubles else HTTPStatus.OK
    return status, {"ready": not troubles, "troubles": dict(troubles)}


class Health(Collector):
    """The checks and metrics of the parts of a service.

    A collector of its own, not the counters of prometheus-client: the processes of the store already share
    theirs in memory, without files and without the dead ones that its multi-process mode leaves behind.
    """

    def __init__(self) -> None:
        self._checks: dict[str, Callable[[], str]] = {}
        #: The state of the store, for its heartbeat.
        self.store_state: Callable[[], StoreState | None] = lambda: None
        self._metrics: list[Callable[[], Iterable[Metric]]] = []
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def add_check(self, name: str, trouble: Callable[[], str]) -> None:
        """Run this check for each request of readiness; it returns what is wrong, or nothing."""
        self._checks[name] = trouble

    def add_metrics(self, metrics: Callable[[], Iterable[Metric]]) -> None:
        """Collect these metrics for each request of metrics."""
        self._metrics.append(metrics)

    def troubles(self) -> Mapping[str, str]:
        """Return what is wrong now, by the name of the check."""
        # A copy: a service adds checks while it starts, when its health is served already.
        return {name: text for name, check in tuple(self._checks.items()) if (text := check())}

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        yield GaugeMetricFamily("doseqr_ready", "Whether the service is ready", int(not self.troubles()))
        yield InfoMetricFamily(
            "doseqr_build",
            "The version that runs",
            {"version": own_version(), "python": platform.python_version()},
        )
        for metrics in tuple(self._metrics):
            yield from metrics()

    def metrics(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self._registry) + generate_latest(REGISTRY)


class HealthServer:
    """Serves them on a port of its own."""

    def __init__(self, health: Health, host: str, port: int) -> None:
        """Listen.

        Raises:
            OSError: the port is taken, or the address is none of this machine.
        """
        self._server = ThreadingHTTPServer((host, port), _handler_of(health))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to serve in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler_of(health: Health) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _CLIENT_TIMEOUT_S
        server_version, sys_version = "DoseQR", ""

        def do_GET(self) -> None:
            if self.path == "/health/live":
                self._respond(HTTPStatus.OK, "application/json", json.dumps(LIVE).encode())
            elif self.path in ("/health", "/health/ready"):
                status, body = readiness(health.troubles())
                if self.path == "/health":
                    body["versions"] = dict(versions())
                self._respond(status, "application/json", json.dumps(body).encode())
            elif self.path == "/metrics":
                self._respond(HTTPStatus.OK, CONTENT_TYPE_PLAIN_0_0_4, health.metrics())
            else:
                self._respond(HTTPStatus.NOT_FOUND, "text/plain", _PATHS)

        def _respond(self, status: HTTPStatus, content_type: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in http.server
            del format, args

    return Handler
