"""Ports for servers that a test stops and starts again."""

from __future__ import annotations

import random
import socket
from pathlib import Path

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")

#: Below are the ports of well-known services.
LOWEST, HIGHEST = 10_000, 65_535

#: Ports that are tried before one is taken that the kernel may give to others.
TRIES = 100


def lasting_port() -> int:
    """Return a TCP port that nobody listens on and that the kernel gives to nobody while its server is down.

    A port of the range from which connections get theirs (ip(7), ip_local_port_range) is soon taken by one.
    """
    lowest, highest = map(int, RANGE.read_text().split())
    outside = [*range(LOWEST, lowest), *range(highest + 1, HIGHEST + 1)]
    # Where the kernel may give all of them away, any port has to do.
    for port in [*random.sample(outside, min(TRIES, len(outside))), 0]:
        try:
            return _bound(port)
        except OSError:
            continue
    raise AssertionError("no TCP port is free")


def lasting_ports(count: int) -> list[int]:
    """Return so many different ones."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(lasting_port())
    return list(ports)


def _bound(port: int) -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        return int(probe.getsockname()[1])
