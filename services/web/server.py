"""The HTTP server: cheroot on threads of its own."""

from __future__ import annotations

import socket
import threading

import structlog
from cheroot.wsgi import Server
from flask import Flask

from shared.errors import PermanentError

log = structlog.get_logger(__name__)

#: Bodies of requests; a form of ours is far smaller.
MAX_BODY_BYTES = 1024 * 1024
#: Seconds without progress after which a connection is dropped: slow readers hold no thread for longer.
SOCKET_TIMEOUT_S = 10
#: Seconds that requests in hand have when the server stops.
SHUTDOWN_S = 5
#: Connections that wait to be accepted.
BACKLOG = 128


class _Server(Server):
    """Cheroot with our log; it says which kind of error, never with what values."""

    @staticmethod
    def bind_socket(socket_: socket.socket, bind_addr: tuple[str, int]) -> socket.socket:
        """Bind a socket, and close it if it cannot be bound, which cheroot itself does not."""
        try:
            socket_.bind(bind_addr)
        except OSError:
            socket_.close()
            raise
        return socket_

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Log what cheroot has to say."""
        del level, traceback
        log.warning("http server", message=str(msg).partition("\n")[0][:200])


class HttpServer:
    """Serves an app until it is stopped."""

    def __init__(self, app: Flask, host: str, port: int, threads: int) -> None:
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
        self._server.max_request_body_size = MAX_BODY_BYTES
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
        """Take no more requests, give those in hand a moment, and end."""
        self._server.stop()
        self._thread.join()
