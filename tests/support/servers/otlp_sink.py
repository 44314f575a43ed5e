"""A collector of OpenTelemetry in this process: takes spans over OTLP/HTTP, or misbehaves."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class OtlpSink:
    """What came, and how the next request is responded to."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        #: Everything that came, as it was sent.
        self.bodies: list[bytes] = []
        self.status = 200
        #: Requests wait until it is set.
        self.respond = threading.Event()
        self.respond.set()
        self.endpoint = ""

    def take(self, body: bytes) -> None:
        """Take the body of a request."""
        self.bodies.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)

    def named(self, name: str) -> list[Span]:
        """Return the spans whose names begin so."""
        return [span for span in self.spans if span.name.startswith(name)]


@contextmanager
def otlp_sink() -> Iterator[OtlpSink]:
    """Listen on 127.0.0.1 for the time of the block."""
    sink = OtlpSink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sink.respond.wait(30)
            if sink.status == 200:
                sink.take(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            self.send_response(sink.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in http.server
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    sink.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        sink.respond.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
