"""Ports for servers that a test starts, and may start again."""

from __future__ import annotations

from services.cli.local.ports import free_ports


def free_port() -> int:
    """Return a free TCP port that the kernel gives to no connection while its server is down."""
    (port,) = free_ports(1)
    return port
