"""Receivers of notifications on loopback: a small scripted mail server, and a webhook."""

from __future__ import annotations

import email
import email.policy
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast


@dataclass
class MailServer:
    """What a mail server does, and what it got."""

    port: int = 0
    #: `accept`, `hang` (no greeting), `reject` (550 for each recipient), `drop` (closes after the greeting).
    behaviour: str = "accept"
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    #: Set when a client is there, and to let one go that hangs.
    reached: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """The address of somebody at this server."""
        return f"mailto://127.0.0.1:{self.port}/?from=doseqr@example.org&to=eve@example.org&mode=insecure"

    @property
    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]


class _MailHandler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        script = cast("_Server", self.server).script
        assert isinstance(script, MailServer)
        script.reached.set()
        if script.behaviour == "hang":
            script.over.wait(60)
            return
        self._respond("220 mail.example.org ESMTP")
        if script.behaviour == "drop":
            return
        while line := self.rfile.readline(2000):
            command = line.decode(errors="replace").strip()
            verb = command[:4].upper()
            if verb == "EHLO":
                self._respond("250 mail.example.org")
            elif verb == "RCPT" and script.behaviour == "reject":
                self._respond("550 5.1.1 no such mailbox")
            elif verb == "RCPT":
                script.recipients.append(command.partition(":")[2].strip("<> "))
                self._respond("250 ok")
            elif verb == "DATA":
                self._respond("354 go on")
                script.mails.append(self._mail())
                self._respond("250 ok")
            elif verb == "QUIT":
                self._respond("221 bye")
                return
            else:
                self._respond("250 ok")

    def _mail(self) -> EmailMessage:
        lines = []
        while (line := self.rfile.readline(10_000)) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        return email.message_from_bytes(b"".join(lines), policy=email.policy.default)

    def _respond(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    script: MailServer


@contextmanager
def mail_server(behaviour: str = "accept") -> Iterator[MailServer]:
    """Run a mail server on a free port."""
    script = MailServer(behaviour=behaviour)
    with _Server(("127.0.0.1", 0), _MailHandler) as server:
        server.script = script
        script.port = server.server_address[1]
        with _served(server):
            yield script
        script.over.set()


@dataclass
class Webhook:
    """What a webhook responds, and what was posted to it: path and JSON."""

    port: int = 0
    status: int = 200
    location: str = ""
    #: Set when a post is there; its response waits until `free` is set.
    reached: threading.Event = field(default_factory=threading.Event)
    free: threading.Event = field(default_factory=threading.Event)
    posts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}"

    @property
    def titles(self) -> list[str]:
        return [body["title"] for _, body in list(self.posts)]


@contextmanager
def webhook() -> Iterator[Webhook]:
    """Run a webhook on a free port."""
    script = Webhook()
    script.free.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            if script.status < 400:
                script.posts.append((self.path, json.loads(body)))
            script.reached.set()
            script.free.wait(60)
            self.send_response(script.status)
            if script.location:
                self.send_header("Location", script.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in http.server
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        script.port = server.server_address[1]
        with _served(server):
            yield script


@contextmanager
def _served(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
