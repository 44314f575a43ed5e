"""What processes use, as the kernel counts it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
#: Places in /proc/PID/stat after the name: session, user and system time, those of ended children.
_SESSION, _TIMES = 3, slice(11, 15)


@dataclass(frozen=True)
class Usage:
    """CPU time in seconds, and the most memory that was resident, in MiB."""

    cpu_s: float
    peak_mib: float


def usage_of_session(pid: int) -> Usage:
    """Return what a process and all that it started use; it leads its session."""
    cpu_s = peak_kib = 0.0
    for folder in _session(pid):
        with contextlib.suppress(OSError):
            cpu_s += sum(map(int, _stat(folder)[_TIMES])) * _TICK_S
            peak_kib += _peak_kib(folder)
    return Usage(cpu_s, peak_kib / 1024)


def cpu_s_of_process(pid: int) -> float:
    """Return the processor seconds that a process has used."""
    return sum(map(int, _stat(Path(f"/proc/{pid}"))[_TIMES])) * _TICK_S


def _session(pid: int) -> Iterator[Path]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(_stat(folder)[_SESSION]) == pid:
                yield folder


def _stat(folder: Path) -> list[str]:
    return (folder / "stat").read_text().rpartition(")")[2].split()


def _peak_kib(folder: Path) -> int:
    lines = (folder / "status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def peak_of_session(pid: int) -> float:
    """Return the most memory that was resident in one process of a session, in MiB."""
    peak_kib = 0.0
    for folder in _session(pid):
        with contextlib.suppress(OSError):
            peak_kib = max(peak_kib, _peak_kib(folder))
    return peak_kib / 1024
