"""Ports for servers that a test starts, and may start again."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from collections.abc import Iterator

from services.cli.local.ports import HIGHEST, KERNELS_RANGE, LOWEST


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


def _ports_of_this_process() -> Iterator[int]:
    lowest, highest = map(int, KERNELS_RANGE.read_text(encoding="ascii").split())
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = [*range(LOWEST, lowest), *range(highest + 1, HIGHEST + 1)][number::processes]
    random.SystemRandom().shuffle(ports)
    yield from ports


_ports = _ports_of_this_process()
