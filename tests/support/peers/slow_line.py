"""A longer line to a peer: bytes arrive half a round trip later each way, however many.

Runs as a process of its own (`slow_line`), so that it takes no time from what is measured in another one.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from services.cli.local.processes import ended_with_us

_ROOT = Path(__file__).parents[3]
_CHUNK_BYTES = 262144


@contextlib.contextmanager
def slow_line(host: str, port: int, round_trip_s: float) -> Iterator[int]:
    """Give the port of 127.0.0.1 behind which a peer is further away."""
    command = [sys.executable, "-m", "tests.support.peers.slow_line", host, str(port), str(round_trip_s)]
    with subprocess.Popen(ended_with_us(command), cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def serve(listener: socket.socket, peer: tuple[str, int], round_trip_s: float) -> None:
    """Take connections until the listener is closed."""
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_connect, args=(near, peer, round_trip_s), daemon=True).start()


def _connect(near: socket.socket, peer: tuple[str, int], round_trip_s: float) -> None:
    try:
        far = socket.create_connection(peer)
    except OSError:
        near.close()
        return
    pumps = [_Pump(near, far, round_trip_s / 2), _Pump(far, near, round_trip_s / 2)]
    for pump in pumps:
        pump.wait()
    near.close()
    far.close()


class _Pump:
    """One direction of a connection: a thread that reads, and one that writes what was read, later."""

    def __init__(self, source: socket.socket, target: socket.socket, delay_s: float) -> None:
        for end in (source, target):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._source, self._target, self._delay_s = source, target, delay_s
        self._on_the_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._read, self._write)]
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()

    def _read(self) -> None:
        data = b"."
        while data:
            try:
                # The line itself must not make a peer with Nagle on wait for an ACK.
                self._source.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                data = self._source.recv(_CHUNK_BYTES)
            except OSError:
                data = b""
            self._on_the_way.put((time.monotonic() + self._delay_s, data))

    def _write(self) -> None:
        while True:
            due, data = self._on_the_way.get()
            if (wait_s := due - time.monotonic()) > 0:
                time.sleep(wait_s)
            with contextlib.suppress(OSError):
                if not data:
                    self._target.shutdown(socket.SHUT_WR)
                    return
                self._target.sendall(data)


def main() -> None:
    """Listen on a free port, print it, and serve until the process is ended."""
    host, port, round_trip_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    serve(listener, (host, port), round_trip_s)


if __name__ == "__main__":
    main()
