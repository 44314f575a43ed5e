"""A line to a peer that counts the bytes of both ways, as a process of its own.

It takes no time from what is measured in another process.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from services.cli.local.processes import ended_with_us

_ROOT = Path(__file__).parents[2]
_CHUNK_BYTES = 1 << 20
_COUNTED = threading.Lock()


class Counted:
    """The bytes that went over a line."""

    def __init__(self) -> None:
        self.bytes = 0

    def add(self, size_bytes: int) -> None:
        """Count bytes."""
        with _COUNTED:
            self.bytes += size_bytes


@contextlib.contextmanager
def counted_line(port: int) -> Iterator[tuple[int, Callable[[], int]]]:
    """Give the port behind which a peer of this machine lies, and what returns the bytes so far."""
    command = [sys.executable, "-m", "tests.bench.counted_line", str(port)]
    with subprocess.Popen(
        ended_with_us(command), cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        stdin, stdout = process.stdin, process.stdout

        def count() -> int:
            stdin.write("\n")
            stdin.flush()
            return int(stdout.readline())

        try:
            yield int(stdout.readline()), count
        finally:
            process.terminate()


def _serve(listener: socket.socket, port: int, counted: Counted) -> None:
    while True:
        near, _ = listener.accept()
        try:
            far = socket.create_connection(("127.0.0.1", port))
        except OSError:
            near.close()
            continue
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=_pump, args=(source, target, counted), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket, counted: Counted) -> None:
    target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    with contextlib.suppress(OSError):
        while size_bytes := source.recv_into(buffer):
            counted.add(size_bytes)
            target.sendall(buffer[:size_bytes])
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def main() -> None:
    """Count what goes to a port of this machine; each line of standard input is answered with the bytes."""
    counted = Counted()
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    threading.Thread(target=_serve, args=(listener, int(sys.argv[1]), counted), daemon=True).start()
    for _ in sys.stdin:
        sys.stdout.write(f"{counted.bytes}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
