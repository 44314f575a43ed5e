"""The health of the store: whether objects can be written, and its numbers."""

from __future__ import annotations

import errno
import os
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from services.store.metrics.counters import GAUGES, NAMES, REFUSALS, StoreCounters
from services.store.objects.disk_space import DiskSpace
from services.store.objects.paths import INCOMING
from shared.contract.text import StoreState

#: Seconds over which refusals count as recent.
RECENT_S = 60.0


def write_problem(space: DiskSpace) -> str:
    """Return why objects cannot be written, or nothing: a file is written, and free space compared."""
    if shortage := space.shortage():
        return shortage
    try:
        _try_to_write(space.objects / INCOMING / f"{uuid.uuid4().hex}.trial")
    except OSError as error:
        return f"objects cannot be written: {errno.errorcode.get(error.errno or 0, 'unknown')}"
    return ""


class StoreStateSource:
    """The state of the store for its heartbeat; used by one thread."""

    def __init__(
        self, space: DiskSpace, counters: StoreCounters, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._space = space
        self._counters = counters
        self._clock = clock
        self._refused = deque([(clock(), 0)])

    def __call__(self) -> StoreState:
        """Return the state now."""
        objects, database = self._space.free("objects"), self._space.free("database")
        return StoreState(
            problem=write_problem(self._space),
            read_only=objects is not None and objects.read_only,
            objects_free_bytes=None if objects is None else objects.free_bytes,
            objects_reserve_bytes=None if objects is None else objects.reserve_bytes,
            database_free_bytes=None if database is None else database.free_bytes,
            refused_recently=self._refused_recently(),
        )

    def _refused_recently(self) -> int:
        now, refused = self._clock(), sum(self._counters[name] for name in REFUSALS)
        self._refused.append((now, refused))
        while len(self._refused) > 1 and self._refused[1][0] <= now - RECENT_S:
            self._refused.popleft()
        return refused - self._refused[0][1]


def _try_to_write(file: Path) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, b"trial")
    finally:
        os.close(descriptor)
        file.unlink()


def metrics(counters: StoreCounters, space: DiskSpace) -> Iterator[Metric]:
    """Yield the numbers of all processes of the store, and the space that is left."""
    for name, meaning in NAMES.items():
        yield CounterMetricFamily(f"doseqr_store_{name}", meaning, counters[name])
    for name, meaning in GAUGES.items():
        yield GaugeMetricFamily(f"doseqr_store_{name}", meaning, counters[name])
    for name in ("objects", "database"):
        free = space.free(name)
        if free is not None:
            label = "free_bytes" if name == "objects" else "database_free_bytes"
            yield GaugeMetricFamily(
                f"doseqr_store_{label}", f"Bytes free on the disk of the {name}", free.free_bytes
            )
