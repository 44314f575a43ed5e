"""The HTTP server: cheroot on threads of its own, behind a reader that bounds every request."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

import structlog
from cheroot.server import HTTPConnection
from cheroot.wsgi import Gateway_10, Server
from flask import Flask

from services.web.http_server.event_writer import (
    HAND_OVER,
    STREAMS_OF_ADDRESS,
    EventSource,
    EventWriter,
)
from services.web.http_server.request_buffer import HEAD_BYTES, UPLOAD_BYTES
from services.web.http_server.request_reader import CONNECTIONS_OF_ADDRESS, RequestReader
from shared.errors import PermanentError

log = structlog.get_logger(__name__)

#: Seconds without progress of a response, or without a next request, after which a connection is closed.
SOCKET_TIMEOUT_S = 10
#: Seconds that requests in hand have when the server stops.
SHUTDOWN_S = 5
#: Connections that wait to be accepted.
BACKLOG = 128
#: Threads kept for /health, so that whoever supervises the service reaches it while all others are busy.
HEALTH_THREADS = 2
#: Bytes that the kernel buffers of a response: public pages fit, so a slow reader holds no thread.
SEND_BUFFER_BYTES = 512 << 10

_HEALTH = b"/health/"


class _Connection(HTTPConnection):
    """A connection that its reader stops counting when it is closed, or handed over."""

    is_handed_over = False

    def close(self) -> None:
        """Close the connection, unless it belongs to the event streams now."""
        if not self.is_handed_over:
            super().close()
        self.server.reader.closed(self)

    def close_for_good(self) -> None:
        """Close a connection that was handed over."""
        super().close()


class _Gateway(Gateway_10):
    """Runs the app, and hands the connection over where the app leaves the rest to the event streams."""

    _source: EventSource | None = None

    def get_environ(self) -> dict[str, object]:  # type: ignore[override]
        """Return the WSGI environment."""
        environ: dict[str, object] = super().get_environ()  # type: ignore[no-untyped-call]
        environ[HAND_OVER] = self._hand_over
        return environ

    def respond(self) -> None:
        """Process the request."""
        request, connection = self.req, self.req.conn
        has_head = False
        try:
            super().respond()
            has_head = request.status[:3] == b"200" and request.method != b"HEAD"
        finally:
            if not has_head:
                self._give_up()
        if self._source is None or not has_head:
            return
        chunked, request.chunked_write, request.close_connection = request.chunked_write, False, True
        connection.is_handed_over = True
        writer: EventWriter = request.server.writer
        address = str(connection.remote_addr)
        writer.add(connection.socket, self._source, address, connection.close_for_good, chunked=bool(chunked))

    def _hand_over(self, source: EventSource) -> bool:
        if not self.req.server.writer.reserve(str(self.req.conn.remote_addr)):
            return False
        self._source = source
        return True

    def _give_up(self) -> None:
        """End a stream whose head says something else."""
        if self._source is not None:
            self._source.close()
            self.req.server.writer.release(str(self.req.conn.remote_addr))


class _Server(Server):
    """Cheroot with our reader and our log, which names the kind of an error and never its values."""

    ConnectionClass = _Connection

    def use(self, of_address: int | None, clock: Callable[[], float]) -> None:
        """Set up reader and writer; `of_address` limits the connections of one address."""
        self.reader = RequestReader(self._dispatch, of_address=of_address, clock=clock)
        self.writer = EventWriter(of_address=of_address and STREAMS_OF_ADDRESS, clock=clock)
        self.gateway = _Gateway
        self._health: SimpleQueue[HTTPConnection | None] = SimpleQueue()
        self._health_threads = [
            threading.Thread(target=self._serve_health, name=f"http health {number}", daemon=True)
            for number in range(HEALTH_THREADS)
        ]

    @staticmethod
    def bind_socket(socket_: socket.socket, bind_addr: tuple[str, int]) -> socket.socket:
        """Bind a socket, and close it if it cannot be bound, which cheroot itself does not."""
        try:
            socket_.bind(bind_addr)
        except OSError:
            socket_.close()
            raise
        return socket_

    def process_conn(self, conn: HTTPConnection) -> None:
        """Take an accepted connection, or one on which the next request begins."""
        conn.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self.reader.add(conn)

    def serve(self) -> None:
        """Serve until stopped."""
        self.reader.start()
        self.writer.start()
        for thread in self._health_threads:
            thread.start()
        super().serve()

    def stop(self) -> None:
        """Stop serving; requests in hand are given SHUTDOWN_S seconds."""
        super().stop()
        self.writer.stop()
        for _ in self._health_threads:
            self._health.put(None)
        for thread in self._health_threads:
            if thread.ident is not None:
                thread.join()
        self.reader.stop()

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Log a message of cheroot."""
        del level, traceback
        log.warning("http server", message=str(msg).partition("\n")[0][:200])

    def _dispatch(self, conn: HTTPConnection, path: bytes) -> None:
        if path.startswith(_HEALTH):
            self._health.put(conn)
        else:
            self.requests.put(conn)

    def _serve_health(self) -> None:
        while (conn := self._health.get()) is not None:
            keep = False
            try:
                keep = bool(conn.communicate())  # type: ignore[no-untyped-call]
            except ConnectionError:
                log.info("health client left", address=conn.remote_addr)
            finally:
                if keep:
                    self.put_conn(conn)
                else:
                    conn.close()


class HttpServer:
    """Serves an app until it is stopped."""

    def __init__(
        self,
        app: Flask,
        host: str,
        port: int,
        threads: int,
        *,
        trusted_proxies: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = _Server(
            (host, port),
            app,
            numthreads=threads,
            max=threads,
            server_name="DoseQR",
            request_queue_size=BACKLOG,
            timeout=SOCKET_TIMEOUT_S,
            shutdown_timeout=SHUTDOWN_S,
        )
        self._server.use(None if trusted_proxies else CONNECTIONS_OF_ADDRESS, clock)
        self._server.max_request_header_size = HEAD_BYTES
        self._server.max_request_body_size = UPLOAD_BYTES
        self._address = f"{host}:{port}"
        self._thread = threading.Thread(target=self._server.serve, name="http", daemon=True)

    def start(self) -> None:
        """Listen and serve; returns once connections are accepted.

        Raises:
            PermanentError: the port is taken or may not be used.
        """
        try:
            self._server.prepare()
        except OSError as error:
            raise PermanentError(
                f"the web page cannot listen on {self._address}: {error.strerror or error}"
            ) from error
        self._thread.start()

    def stop(self) -> None:
        """Accept no more requests, let those in hand finish for SHUTDOWN_S seconds, and end."""
        self._server.stop()
        self._thread.join()
