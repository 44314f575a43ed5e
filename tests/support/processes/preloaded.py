"""Processes of DoseQR without the second of CPU that each start takes to load its modules.

A process that has loaded everything forks for each start: what runs then is `doseqr` with arguments,
environment, session and output files of its own. That real starts work is shown by test_demo.py and
test_embedded.py in tests/e2e, and by all that `doseqr` itself starts.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]

#: What the processes would load anyway, with what SQLAlchemy loads when it connects.
MODULES = (
    *(f"services.{service}.main" for service in ("echo", "query", "retrieve", "store", "web")),
    "services.cli.client.session",
    "services.cli.main",
    "shared.broker.rabbitmq.broker",
    "shared.service",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "tests.support.processes.store_process",
)
#: prctl(2)
_PR_SET_PDEATHSIG = 1


class Preloaded:
    """Starts processes by forking one that has loaded all modules, and reports how they ended."""

    def __init__(self) -> None:
        # Not where this module is the program: all that imports is in each process then.
        from tests.support.servers.databases import TEMPLATES

        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno()), os.environ.get(TEMPLATES, "")],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                # Ctrl-C in our terminal is for us.
                start_new_session=True,
            )
        self._socket = ours
        atexit.register(self.close)

    def close(self) -> None:
        """End it, and with it what it has started."""
        self._socket.close()
        self._server.wait(30)

    def start(
        self, module: str, arguments: Sequence[str], environment: Mapping[str, str], out: Path, err: Path
    ) -> PreloadedProcess:
        """Run the function `main` of a module as a process of its own."""
        exit_code = out.with_suffix(".exit")
        exit_code.unlink(missing_ok=True)
        request = {
            "module": module,
            "arguments": list(arguments),
            "environment": dict(environment),
            "out": str(out),
            "err": str(err),
            "exit_code": str(exit_code),
        }
        self._socket.sendall(json.dumps(request).encode())
        return PreloadedProcess(int(self._socket.recv(64)), exit_code)


@functools.cache
def preloaded() -> Preloaded:
    """Return the one that this process has; it ends with this process."""
    return Preloaded()


class PreloadedProcess:
    """What the tests use of `subprocess.Popen`, for a process that is the child of another."""

    def __init__(self, pid: int, exit_code: Path) -> None:
        self.pid = pid
        self._exit_code = exit_code
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        if self.returncode is None and self._exit_code.exists():
            self.returncode = int(self._exit_code.read_text())
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end.

        Raises:
            subprocess.TimeoutExpired: it runs longer than `timeout` seconds.
        """
        deadline = time.monotonic() + (600.0 if timeout is None else timeout)
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(0.005)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


# The process that forks


def serve(connection: socket.socket) -> None:
    """Fork for each request until the other end is closed; in the forked process it does not return."""
    children: dict[int, tuple[int, Path]] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not connection:
                    pid, exit_code = children.pop(key.fd)
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    _report(pid, exit_code)
                    continue
                packet = connection.recv(1 << 20)
                if not packet:
                    return
                request = json.loads(packet)
                pid = _fork(request, lambda: _close(selector, connection))
                descriptor = os.pidfd_open(pid)
                children[descriptor] = pid, Path(request["exit_code"])
                selector.register(descriptor, selectors.EVENT_READ)
                connection.sendall(str(pid).encode())


def _close(selector: selectors.BaseSelector, connection: socket.socket) -> None:
    for key in list(selector.get_map().values()):
        if key.fileobj is not connection:
            os.close(key.fd)
    selector.close()
    connection.close()


def _report(pid: int, exit_code: Path) -> None:
    _, status = os.waitpid(pid, 0)
    written = exit_code.with_suffix(".ended")
    with contextlib.suppress(FileNotFoundError):  # the test and its folder are gone
        written.write_text(str(os.waitstatus_to_exitcode(status)))
        written.rename(exit_code)


def _fork(request: Mapping[str, Any], close: Callable[[], None]) -> int:
    """Return the pid of the new process, once it has a session of its own."""
    parent = os.getpid()
    readable, writable = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writable)
        os.read(readable, 1)
        os.close(readable)
        return pid
    close()
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)
    for name, number in (("out", 1), ("err", 2)):
        descriptor = os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.close(readable)
    os.close(writable)
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv[1:] = request["arguments"]
    sys.exit(import_module(request["module"]).main())


def main() -> None:
    from sqlalchemy.orm import configure_mappers

    from tests.support.services.compiled_templates import share_compiled_templates

    # Where the tests run in the background, it is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for module in MODULES:
        import_module(module)
    configure_mappers()
    share_compiled_templates(sys.argv[2])
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    main()
