"""How the store does: whether its folder can be written, and its numbers for /metrics."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from services.store.metrics.counters import GAUGES, NAMES, StoreCounters
from services.store.objects.paths import INCOMING
from shared.health import Metric

#: With less space left, a disk is as good as full: most objects of a modality would not fit.
LEAST_FREE_BYTES = 64 << 20


def write_problem(folder: Path) -> str:
    """Return why objects cannot be written, or nothing: the folder is tried, and the space looked at."""
    try:
        free_bytes = shutil.disk_usage(folder).free
        if free_bytes < LEAST_FREE_BYTES:
            return f"the disk of the objects is full: {free_bytes >> 20} MiB free"
        _try_to_write(folder / INCOMING / f"{uuid.uuid4().hex}.trial")
    except OSError as error:
        return f"objects cannot be written: {errno.errorcode.get(error.errno or 0, 'unknown')}"
    return ""


def _try_to_write(file: Path) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, b"trial")
    finally:
        os.close(descriptor)
        file.unlink()


def metrics(counters: StoreCounters, folder: Path) -> Iterator[Metric]:
    """Yield the numbers of all processes of the store, and the space that is left."""
    for name, meaning in NAMES.items():
        yield Metric(f"doseqr_store_{name}_total", meaning, counters[name], counts=True)
    for name, meaning in GAUGES.items():
        yield Metric(f"doseqr_store_{name}", meaning, counters[name])
    try:
        free_bytes = shutil.disk_usage(folder).free
    except OSError:
        return
    yield Metric("doseqr_store_free_bytes", "Bytes free on the disk of the objects", free_bytes)
