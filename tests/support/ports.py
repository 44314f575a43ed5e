"""Ports for servers that a test starts, and may start again."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from collections.abc import Iterator

from services.cli.local.ports import HIGHEST, KERNELS_RANGE, LOWEST

#: Connections that fill the backlog of a listening socket that accepts none.
_FILLING = 8


def free_port() -> int:
    """Return a free TCP port that the kernel gives to no connection while its server is down.

    Nor is it given again: neither by this process nor by another of the same run (pytest -n), since a test
    may take a port long before its server listens there.
    """
    for port in _ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("this run has used all of its ports")


@contextlib.contextmanager
def swallowing_port() -> Iterator[int]:
    """Give a port of 127.0.0.1 that swallows packets: a connection to it hangs until its time-out."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(_FILLING):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def _ports_of_this_process() -> Iterator[int]:
    lowest, highest = map(int, KERNELS_RANGE.read_text(encoding="ascii").split())
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = [*range(LOWEST, lowest), *range(highest + 1, HIGHEST + 1)][number::processes]
    random.SystemRandom().shuffle(ports)
    yield from ports


_ports = _ports_of_this_process()
