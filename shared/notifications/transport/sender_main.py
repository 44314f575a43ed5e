"""Sends one notification in a process of its own: `python -m shared.notifications.transport.sender_main`.

The request comes as JSON on standard input, the result goes as JSON to standard output. A server that hangs,
and whatever a library does, ends with this process.
"""

from __future__ import annotations

import json
import logging
import math
import re
import resource
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from urllib.parse import unquote

from shared.notifications.transport.network_guard import NetworkGuard

#: Seconds of processor time, mostly for imports.
_MAX_CPU_S = 60
#: Seconds beside the time-out after which the process ends itself.
_LEFT_S = 30
#: Characters of what a server said.
_DETAIL_LENGTH = 300
#: A shorter part of an address is no secret, and would hide words.
_SECRET_LENGTH = 4
UNREADABLE = "The address cannot be read; compare it with the documentation of apprise."
#: How apprise logs the error of a library below its own sentence.
_CAUSE = "Socket Exception: "


@dataclass(frozen=True, slots=True)
class SendRequest:
    """What is sent, where, and what is allowed."""

    url: str
    title: str
    body: str
    timeout_s: float
    hosts: list[str]
    local: bool


@dataclass(frozen=True, slots=True)
class SendResult:
    """Whether the server accepted it, and in words what happened; `final`: no other attempt can help."""

    sent: bool
    detail: str
    final: bool = False


class _Records(logging.Handler):
    """Keeps what apprise logs: the only place where it says why something was not sent."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.warnings: list[str] = []
        self.causes: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text.startswith(_CAUSE):
            self.causes.append(text.removeprefix(_CAUSE))
        elif record.levelno >= logging.WARNING:
            self.warnings.append(text)


def send(request: SendRequest) -> SendResult:
    """Send a notification."""
    guard = NetworkGuard(request.hosts, local=request.local)
    records = _Records()
    from apprise import Apprise, AppriseAsset, NotifyFormat  # noqa: PLC0415 - this process alone needs it

    logger = logging.getLogger("apprise")
    logger.handlers[:], logger.propagate = [records], False
    logger.setLevel(logging.DEBUG)
    asset = AppriseAsset(app_id="DoseQR", async_mode=False, http_redirects=False, allow_templates=False)
    server = Apprise.instantiate(request.url, asset=asset)
    if server is None:
        return SendResult(
            False, "The address cannot be read; compare it with the documentation of apprise.", True
        )
    server.socket_connect_timeout = server.socket_read_timeout = request.timeout_s
    guard.install()
    apprise = Apprise(server, asset=asset)
    if apprise.notify(request.body, request.title, body_format=NotifyFormat.TEXT):
        return SendResult(True, "The server accepted it.")
    if guard.refusals:
        return SendResult(False, guard.refusals[0], True)
    texts = [*records.warnings[-1:], *records.causes[-1:]] or ["The server did not accept it."]
    return SendResult(False, redacted(" ".join(texts), request.url))


def redacted(text: str, url: str) -> str:
    """Return a text without the parts of an address that may be secret, in one line."""
    for secret in sorted(set(_secrets(url)), key=len, reverse=True):
        text = text.replace(secret, "…")
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line[:_DETAIL_LENGTH]


def _secrets(url: str) -> Iterator[str]:
    """Yield all parts of an address but its host."""
    _, _, rest = url.partition("://")
    authority, separator, path = re.match(r"([^/?#]*)([/?#]?)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    login, at, host = authority.rpartition("@")
    parts = re.split(r"[:@]", login) + re.split(r"[/?#&=;]", path) if at or separator else []
    if "." not in host and ":" not in host:
        parts.append(host)
    for part in parts:
        for form in (part, unquote(part)):
            if len(form) >= _SECRET_LENGTH:
                yield form


def main() -> int:
    """Send what standard input says."""
    resource.setrlimit(resource.RLIMIT_CPU, (_MAX_CPU_S, _MAX_CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    request = SendRequest(**json.load(sys.stdin))
    # Ends this process where nobody is left to end it.
    signal.alarm(math.ceil(request.timeout_s) + _LEFT_S)
    output, sys.stdout = sys.stdout, sys.stderr
    json.dump(asdict(send(request)), output)
    output.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
