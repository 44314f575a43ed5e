"""Ports for servers that we start are none that connections are given."""

from __future__ import annotations

import socket

from services.cli.local import ports
from services.cli.local.ports import free_ports


def test_ports_are_different_and_none_that_the_kernel_gives_away(tmp_path, monkeypatch):
    # Given
    kernels = tmp_path / "range"
    kernels.write_text("20000\t60999\n")
    monkeypatch.setattr(ports, "KERNELS_RANGE", kernels)
    # When
    found = free_ports(5)
    # Then
    assert len(set(found)) == 5
    assert all(ports.LOWEST <= port < 20_000 or port > 60_999 for port in found)


def test_a_port_that_is_taken_is_passed_over(tmp_path, monkeypatch):
    # Given: one port alone is not the kernel's, and somebody has it
    kernels = tmp_path / "range"
    monkeypatch.setattr(ports, "KERNELS_RANGE", kernels)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        taken = int(other.getsockname()[1])
        monkeypatch.setattr(ports, "LOWEST", taken)
        kernels.write_text(f"{taken + 1} 65535")
        # When
        (found,) = free_ports(1)
    # Then
    assert found != taken


def test_where_the_kernel_may_give_all_away_any_port_will_do(tmp_path, monkeypatch):
    kernels = tmp_path / "range"
    kernels.write_text("1024 65535")
    monkeypatch.setattr(ports, "KERNELS_RANGE", kernels)
    assert len(set(free_ports(3))) == 3
    kernels.unlink()
    assert len(set(free_ports(3))) == 3
