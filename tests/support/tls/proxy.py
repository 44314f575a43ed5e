"""A proxy that speaks TLS before the page, as a hospital has one."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.servers.certificates import Issued

#: Headers that hold for one connection only (RFC 9110 7.6.1), and those that are written anew.
_NOT_PASSED_ON = frozenset({"connection", "transfer-encoding", "content-length", "server", "date"})
_TIMEOUT_S = 60.0


@contextlib.contextmanager
def tls_proxy(page_port: int, tls: Issued) -> Iterator[int]:
    """Serve the page of a port of 127.0.0.1 over HTTPS; gives the port."""

    class Handler(BaseHTTPRequestHandler):
        timeout = _TIMEOUT_S

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            headers["X-Forwarded-For"] = self.client_address[0]
            headers["X-Forwarded-Proto"] = "https"
            page = http.client.HTTPConnection("127.0.0.1", page_port, timeout=_TIMEOUT_S)
            with contextlib.closing(page):
                page.request(self.command, self.path, body, headers)
                response = page.getresponse()
                content = response.read()
            self.send_response(response.status)
            for name, value in response.getheaders():
                if name.lower() not in _NOT_PASSED_ON:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = pass_on  # noqa: N815 - names of the standard library

        def log_message(self, *_: object) -> None:
            """Write no log."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
