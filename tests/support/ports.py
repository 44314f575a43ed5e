"""Ports for servers that a test stops and starts again."""

from __future__ import annotations

from services.cli.local.ports import free_ports


def lasting_port() -> int:
    """Return a TCP port that nobody listens on and that nobody is given while its server is down."""
    (port,) = free_ports(1)
    return port
