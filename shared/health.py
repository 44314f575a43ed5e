"""Whether a service lives and is ready, and its numbers, over HTTP: /health/live, /health/ready, /metrics."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from shared.contract.events import StoreState

log = structlog.get_logger(__name__)

#: Seconds for a client to ask and to read.
_CLIENT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Metric:
    """One number in the text format of Prometheus."""

    name: str
    meaning: str
    value: float
    #: Whether it only grows.
    counts: bool = False

    def __str__(self) -> str:
        kind = "counter" if self.counts else "gauge"
        return f"# HELP {self.name} {self.meaning}\n# TYPE {self.name} {kind}\n{self.name} {self.value}\n"


class Health:
    """What parts of a service say of themselves."""

    def __init__(self) -> None:
        self._checks: dict[str, Callable[[], str]] = {}
        #: The state of the store, for its heartbeat.
        self.store_state: Callable[[], StoreState | None] = lambda: None
        self._metrics: list[Callable[[], Iterable[Metric]]] = []

    def add_check(self, name: str, trouble: Callable[[], str]) -> None:
        """Ask this whenever readiness is asked for; it returns what is wrong, or nothing."""
        self._checks[name] = trouble

    def add_metrics(self, metrics: Callable[[], Iterable[Metric]]) -> None:
        """Ask this whenever numbers are asked for."""
        self._metrics.append(metrics)

    def troubles(self) -> Mapping[str, str]:
        """Return what is wrong now, by the name of the check."""
        return {name: text for name, check in self._checks.items() if (text := check())}

    def metrics(self) -> str:
        """Return all numbers in the text format of Prometheus."""
        ready = Metric("doseqr_ready", "Whether the service is ready", int(not self.troubles()))
        return "".join(map(str, (ready, *(metric for metrics in self._metrics for metric in metrics()))))


class HealthServer:
    """Answers on a port of its own."""

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
        """Answer; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler_of(health: Health) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _CLIENT_TIMEOUT_S
        server_version, sys_version = "DoseQR", ""

        def do_GET(self) -> None:
            if self.path == "/health/live":
                self._answer(HTTPStatus.OK, "application/json", '{"live": true}')
            elif self.path == "/health/ready":
                troubles = health.troubles()
                code = HTTPStatus.SERVICE_UNAVAILABLE if troubles else HTTPStatus.OK
                body = json.dumps({"ready": not troubles, "troubles": troubles})
                self._answer(code, "application/json", body)
            elif self.path == "/metrics":
                self._answer(HTTPStatus.OK, "text/plain; version=0.0.4; charset=utf-8", health.metrics())
            else:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", "/health/live, /health/ready, /metrics\n")

        def _answer(self, code: HTTPStatus, kind: str, body: str) -> None:
            content = body.encode()
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in http.server
            del format, args

    return Handler
