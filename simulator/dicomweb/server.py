"""The HTTP side of a scripted PACS: listens, authenticates, serves and records."""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self, cast
from urllib.parse import urlsplit

from simulator.archive.model import Archive, Study, StudyList
from simulator.dicomweb import retrieves
from simulator.dicomweb.behaviour import WebBehaviour
from simulator.dicomweb.faults import WebFaultBook, spoiled
from simulator.dicomweb.reply import Reply, json_reply, send
from simulator.dicomweb.searches import RESOURCES, keys_of, page, parse_search
from simulator.query.search import Search
from simulator.witness import RECORDED_KEYS, RecordedRequest, Witness, now

#: The path below which `/studies` lies, and that of the token endpoint (RFC 6749 3.2).
BASE, TOKEN = "/dicom-web", "/token"
_BAD_REQUEST, _UNAUTHORIZED, _NOT_FOUND = 400, 401, 404
_POLL_S, _JOIN_S, _IDLE_S = 0.02, 10.0, 60.0
_OBJECT_PATH = 6
_REFUSED_S, _REFUSED_BYTES = 1.0, 1 << 16


class DicomwebServer:
    """Serves an archive over DICOMweb and behaves as described; can be changed while it runs.

    `accept` decides on Authorization headers instead of the behaviour. With port 0 the system chooses one.
    """

    def __init__(
        self,
        archive: Archive | Iterable[Study] = (),
        behaviour: WebBehaviour | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        witness: Witness | None = None,
        ssl_context: ssl.SSLContext | None = None,
        accept: Callable[[str], bool] | None = None,
    ) -> None:
        self.archive: Archive = (
            cast("Archive", archive) if hasattr(archive, "study_of_series") else StudyList(archive)
        )
        self.behaviour = behaviour or WebBehaviour()
        self.host = host
        self.port = port
        self.witness = witness or Witness()
        #: Tokens that were granted.
        self.tokens = 0
        self._ssl_context = ssl_context
        self._accept = accept
        self._accepted: Counter[str] = Counter()
        self._book = WebFaultBook()
        self._lock = threading.Lock()
        self._server: _WebListener | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The address below which `/studies` lies."""
        scheme = "https" if self._ssl_context is not None else "http"
        return f"{scheme}://{self.host}:{self.port}{BASE}"

    @property
    def token_url(self) -> str:
        """The address at which any client is granted a token."""
        return self.url.removesuffix(BASE) + TOKEN

    def change(self, **traits: object) -> None:
        """Change some traits; a request that is being served keeps what it began with."""
        current = {name: getattr(self.behaviour, name) for name in WebBehaviour.model_fields}
        self.behaviour = WebBehaviour.model_validate({**current, **traits})

    def start(self) -> Self:
        """Listen; a server that was stopped listens at its port again.

        Raises:
            OSError: the address cannot be bound.
        """
        self._server = _WebListener((self.host, self.port), self, self._ssl_context)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="dicomweb", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening and drop what is connected."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join(_JOIN_S)
            self._server.server_close()
            self._server.drop()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    # Requests

    def grant(self, handler: BaseHTTPRequestHandler) -> None:
        """Grant a token to any client (RFC 6749 4.4)."""
        handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        with self._lock:
            self.tokens += 1
            token = {"access_token": f"token-{self.tokens}", "expires_in": 3600}
        send(handler, Reply(200, {"Content-Type": "application/json"}, json.dumps(token).encode()))

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Respond to a GET and record it."""
        began, behaviour = time.monotonic(), self.behaviour
        parts = urlsplit(handler.path)
        path = [part for part in parts.path.removeprefix(BASE).split("/") if part]
        resource, search = "", Search("IMAGE")
        kind, count = None, 0
        if not self._accepts(handler.headers.get("Authorization", ""), behaviour):
            reply = Reply(_UNAUTHORIZED, {"WWW-Authenticate": "Bearer"})
        elif not parts.path.startswith(BASE) or not path or path[0] not in RESOURCES:
            reply = Reply(_NOT_FOUND)
        else:
            resource, search, reply, count = self._resource(
                path, parts.query, handler.headers.get("Accept", "*/*"), behaviour
            )
            fault = self._book.strike(behaviour, resource)
            if fault is not None:
                kind = fault.kind
                time.sleep(fault.delay_s if kind == "delay" else 0)
                reply = spoiled(reply, fault)
        send(handler, reply)
        self.witness.record(
            RecordedRequest(
                number=self.witness.next_number(),
                time=now(),
                association=0,
                calling_ae_title="",
                operation={"retrieve": "wado", "metadata": "metadata", "": "http"}.get(resource, "qido"),
                level=search.level if resource else None,
                keys=search.witnessed(RECORDED_KEYS),
                asked=search.keywords,
                matches=count,
                status=reply.status,
                fault=kind,
                duration_s=round(time.monotonic() - began, 3),
            )
        )

    def _resource(
        self, path: list[str], query: str, accept: str, behaviour: WebBehaviour
    ) -> tuple[str, Search, Reply, int]:
        """Return what kind of resource is requested, what it names, the response, and its matches."""
        if path[-1] in RESOURCES:
            try:
                wanted = parse_search(path, query)
            except ValueError:
                return path[-1], Search(RESOURCES[path[-1]]), json_reply([], _BAD_REQUEST), 0
            reply, count = page(wanted, self.archive, behaviour, self.url)
            return path[-1], wanted.search, reply, count
        if path[-1] == "metadata":
            reply, count = retrieves.metadata(path[:-1], self.archive, behaviour, self.url)
            return "metadata", _named(path[:-1]), reply, count
        if "bulkdata" in path[:-1]:
            return (
                "retrieve",
                _named(path[:-2]),
                retrieves.bulk_data(path[:-2], path[-1], self.archive),
                0,
            )
        if len(path) > _OBJECT_PATH or len(path) % 2:
            return "retrieve", Search("IMAGE"), Reply(_NOT_FOUND), 0
        reply, count = retrieves.objects(path, accept, self.archive)
        return "retrieve", _named(path), reply, count

    def _accepts(self, authorization: str, behaviour: WebBehaviour) -> bool:
        if self._accept is not None:
            return self._accept(authorization)
        if behaviour.authorization and authorization not in behaviour.authorization:
            return False
        with self._lock:
            self._accepted[authorization] += 1
            return behaviour.token_requests is None or (
                self._accepted[authorization] <= behaviour.token_requests
            )


def _named(path: list[str]) -> Search:
    level = {2: "STUDY", 4: "SERIES"}.get(len(path), "IMAGE")
    return Search(level, keys_of(path))


_Request = socket.socket | tuple[bytes, socket.socket]


class _WebListener(ThreadingHTTPServer):
    """Serves each connection in a thread of its own, and can drop them all."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], served: DicomwebServer, ssl_context: ssl.SSLContext | None
    ) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = _IDLE_S
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                served.serve(self)

            def do_POST(self) -> None:
                served.grant(self)

            def log_message(self, *_args: object) -> None:
                pass

        self._ssl_context = ssl_context
        self._connected: set[socket.socket] = set()
        super().__init__(address, Handler)

    def get_request(self) -> tuple[socket.socket, object]:
        """Accept a connection; the handshake of TLS is left to its thread."""
        sock, address = super().get_request()
        if self._ssl_context is not None:
            sock = self._ssl_context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self._connected.add(sock)
        return sock, address

    def shutdown_request(self, request: _Request) -> None:
        """Close a connection that has ended."""
        if isinstance(request, socket.socket):
            self._connected.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: _Request, client_address: object) -> None:  # noqa: ARG002
        """Let a client that was refused TLS read why; unread bytes would reset its connection before."""
        if isinstance(request, ssl.SSLSocket):
            with contextlib.suppress(OSError):
                request.settimeout(_REFUSED_S)
                while socket.socket.recv(request, _REFUSED_BYTES):
                    pass

    def drop(self) -> None:
        """Close all connections."""
        for sock in list(self._connected):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
