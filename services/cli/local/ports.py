"""Ports of this machine for servers that we start."""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path

#: From where the kernel takes the ports of connections (ip(7), ip_local_port_range).
KERNELS_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")

#: Below are the ports of well-known services.
LOWEST, HIGHEST = 10_000, 65_535

#: Ports that are tried before one is taken that the kernel may give to others.
TRIES = 100


def free_ports(count: int) -> list[int]:
    """Return different ports of 127.0.0.1 that are free now.

    They are none that the kernel gives to connections, where others are free: such a port is soon taken,
    before a server that starts slowly, or is started again, listens on it.
    """
    outside = _outside(*_kernels_range())
    candidates = random.sample(outside, min(TRIES, len(outside)))
    with contextlib.ExitStack() as stack:
        return [_bound(stack, candidates) for _ in range(count)]


def _kernels_range() -> tuple[int, int]:
    try:
        lowest, highest = KERNELS_RANGE.read_text(encoding="ascii").split()
    except OSError:  # no Linux
        return LOWEST, HIGHEST
    return int(lowest), int(highest)


def _outside(lowest: int, highest: int) -> list[int]:
    return [*range(LOWEST, lowest), *range(highest + 1, HIGHEST + 1)]


def _bound(stack: contextlib.ExitStack, candidates: list[int]) -> int:
    """Take candidates until one is free, else any port; it is held until the stack is closed."""
    probe = stack.enter_context(socket.socket())
    while candidates:
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", candidates.pop()))
            return int(probe.getsockname()[1])
    probe.bind(("127.0.0.1", 0))
    return int(probe.getsockname()[1])
