"""This machine: ports that services want, and the disks on which they write."""

from __future__ import annotations

import http.client
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from services.cli.checks.check_result import CheckResult, failed, ok, warning
from services.cli.commands.ready import quiet_store
from services.cli.local.processes import can_listen
from shared.service import HEALTH_PORTS
from shared.settings import PREFIX, Settings

PORT, DISK = "port", "disk"
#: Seconds for a service that listens already to respond.
HTTP_TIMEOUT_S = 3.0
#: A disk with less than this many times the reserve is reported before it is full.
RESERVE_TIMES = 4
#: Without a reserve: bytes that should be free.
LEAST_FREE_BYTES = 64 << 20


def check_machine(settings: Settings) -> list[CheckResult]:
    """Return how ports and disks stand."""
    return [*_ports(settings), *_disks(settings)]


def _ports(settings: Settings) -> Iterator[CheckResult]:
    name = f"{PREFIX}STORE_PORT"
    if can_listen(settings.store_host, settings.store_port):
        yield ok(PORT, name, f"{settings.store_port} is free")
    elif problems := quiet_store(settings):
        yield failed(PORT, name, f"{settings.store_port} is taken by another program ({problems[0]})")
    else:
        yield ok(PORT, name, f"DoseQR's store listens on {settings.store_port}")
    yield _http_port(f"{PREFIX}WEB_PORT", settings.web_host, settings.web_port)
    if settings.health_port:
        for offset, service in enumerate(HEALTH_PORTS):
            subject = f"{PREFIX}HEALTH_PORT ({service})"
            yield _http_port(subject, settings.health_host, settings.health_port + offset)


def _http_port(subject: str, host: str, port: int) -> CheckResult:
    if can_listen(host, port):
        return ok(PORT, subject, f"{port} is free")
    connection = http.client.HTTPConnection(
        host if host not in ("", "0.0.0.0", "::") else "127.0.0.1",  # noqa: S104 - compared, not bound
        port,
        timeout=HTTP_TIMEOUT_S,
    )
    try:
        connection.request("GET", "/health/live")
        response = connection.getresponse()
        if response.status == http.client.OK and b'"live"' in response.read(100):
            return ok(PORT, subject, f"DoseQR listens on {port}")
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()
    return failed(
        PORT, subject, f"{port} on {host} is taken by another program, or no address of this machine"
    )


def _disks(settings: Settings) -> Iterator[CheckResult]:
    folders = {"data": settings.data_dir}
    if settings.sqlite_file is not None:
        folders["database"] = settings.sqlite_file.parent
    for name, folder in folders.items():
        yield _disk(name, folder, settings.store_reserve_bytes)


def _disk(name: str, folder: Path, reserve_bytes: int) -> CheckResult:
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    try:
        free_bytes = shutil.disk_usage(existing).free
        descriptor, trial = tempfile.mkstemp(dir=existing, prefix=".doseqr-check-")
        os.close(descriptor)
        Path(trial).unlink()
    except OSError as error:
        return failed(DISK, name, f"{existing} cannot be written ({error.strerror})")
    text = f"{folder}: {free_bytes >> 20} MiB free, of which {reserve_bytes >> 20} are kept as a reserve"
    if free_bytes <= max(reserve_bytes, LEAST_FREE_BYTES):
        return failed(DISK, name, f"{text}: the store refuses objects")
    if free_bytes < RESERVE_TIMES * max(reserve_bytes, LEAST_FREE_BYTES):
        return warning(DISK, name, f"{text}: make space soon")
    return ok(DISK, name, text)
