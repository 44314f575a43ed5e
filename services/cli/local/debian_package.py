"""Debian's package rabbitmq-server, installed without starting its system service."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from services.cli.local.private_rabbitmq import find_server_script

#: Seconds for apt-get to read the package lists, and to download and install.
UPDATE_TIMEOUT_S = 180.0
INSTALL_TIMEOUT_S = 600.0

#: Run by packages before they start a service (invoke-rc.d(8)); exit code 101 forbids it.
POLICY_FILE = Path("/usr/sbin/policy-rc.d")

_APT = (
    "env",
    "DEBIAN_FRONTEND=noninteractive",
    # For systems whose packages look at the run level instead of the policy.
    "RUNLEVEL=1",
    "apt-get",
    "-q",
    "-o",
    "DPkg::Lock::Timeout=60",
)


def can_install() -> bool:
    """Return whether this user may install packages with apt-get."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install_rabbitmq() -> bool:
    """Install the package, reading the package lists first where needed; return whether it is there."""
    with services_forbidden():
        if not _apt("install", INSTALL_TIMEOUT_S) and _apt("update", UPDATE_TIMEOUT_S):
            _apt("install", INSTALL_TIMEOUT_S)
    return find_server_script() is not None


@contextlib.contextmanager
def services_forbidden(policy: Path = POLICY_FILE) -> Iterator[None]:
    """Forbid packages to start services, by the file made for that; one that is there already is kept."""
    try:
        with policy.open("x", encoding="utf-8") as file:
            file.write("#!/bin/sh\nexit 101\n")
    except FileExistsError:
        yield
        return
    try:
        policy.chmod(0o755)
        yield
    finally:
        policy.unlink(missing_ok=True)


def _apt(action: str, timeout_s: float) -> bool:
    arguments = {"install": ["install", "-y", "--no-install-recommends", "rabbitmq-server"]}
    command = [*_APT, *arguments.get(action, [action])]
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False
        )
    except (subprocess.TimeoutExpired, OSError):
        return False
    return done.returncode == 0
