"""Ports for servers that a test stops and starts again."""

from __future__ import annotations

from services.cli.local.ports import free_ports


def lasting_port() -> int:
    """Return a free TCP port that no other process gets while its server is down."""
    (port,) = free_ports(1)
    return port
