"""What the process that sends may not do, whatever an address says: no forbidden host, no file, no program.

Installed as an audit hook of Python (PEP 578): it is called with the very address that a socket connects to,
after names were resolved and redirects were followed, and cannot be removed.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from shared.notifications.transport.address import host_is_allowed, is_forbidden

_PROGRAMS = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty"})
#: What libraries read beside themselves.
_READABLE = ("/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/mime.types", "/usr", "/lib", "/dev/null")
_CODE = Path(__file__).resolve().parents[3]


class ForbiddenByPolicyError(PermissionError):
    """The process tried what it may not do; the text is for people."""


class NetworkGuard:
    """Refuses what is not allowed, and remembers it: libraries turn an error into words of their own."""

    def __init__(self, hosts: Sequence[str], *, local: bool) -> None:
        self._hosts = tuple(hosts)
        self._local = local
        self._readable = (
            *_READABLE,
            str(_CODE),
            *sysconfig.get_paths().values(),
            sys.prefix,
            sys.base_prefix,
        )
        self.refusals: list[str] = []

    def install(self) -> None:
        """Guard this process until its end."""
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "socket.getaddrinfo":
            self._check_host(arguments[0])
        elif event in ("socket.connect", "socket.sendto"):
            self._check_address(arguments[1])
        elif event in _PROGRAMS:
            self._refuse("It would have to run a program.")
        elif event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            self._check_file(os.fsdecode(arguments[0]), arguments[1])

    def _check_host(self, host: object) -> None:
        name = host.decode(errors="replace") if isinstance(host, bytes) else str(host or "")
        if not host_is_allowed(name, self._hosts):
            self._refuse(f"The host {name[:100]} is not allowed (DOSEQR_NOTIFICATION_HOSTS).")

    def _check_address(self, address: object) -> None:
        host = address[0] if isinstance(address, tuple) and address else ""
        if not isinstance(host, str) or is_forbidden(host, local=self._local):
            setting = "" if self._local else "; for this machine itself see DOSEQR_NOTIFICATION_LOCAL_HOSTS"
            self._refuse(f"The network address {str(host)[:60]} is not allowed{setting}.")

    def _check_file(self, path: str, mode: object) -> None:
        is_read = mode is None or (isinstance(mode, str) and not set(mode) & set("wax+"))
        if not is_read or not os.path.realpath(path).startswith(self._readable):
            self._refuse("It would have to use a file.", remember=False)

    def _refuse(self, sentence: str, *, remember: bool = True) -> None:
        if remember:
            self.refusals.append(sentence)
        raise ForbiddenByPolicyError(sentence)
