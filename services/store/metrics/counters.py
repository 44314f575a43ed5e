"""Counters since the service began: one row for each process, in shared memory."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Mapping

import structlog

log = structlog.get_logger(__name__)

#: Seconds between two log lines with changed counters.
LOG_INTERVAL_S = 60.0

#: What is counted, and what it means.
NAMES: Mapping[str, str] = {
    "received": "Objects received and acknowledged",
    "received_bytes": "Bytes of the objects received",
    "headers": "Objects kept without their bulk data",
    "duplicates": "Objects received again",
    "conflicts": "Objects kept aside: other bytes under a known UID",
    "announced": "Objects announced",
    "associations_begun": "Associations accepted",
    "rejected_address": "Connections closed: the address is in none of DOSEQR_STORE_NETWORKS",
    "rejected_calling_ae_title": "Associations rejected: calling AE title not recognized",
    "rejected_limit": "Associations rejected: local limit exceeded",
    "gave_way": "Idle associations ended for the sake of a new one",
    "protocol_errors": "Associations aborted: the sender broke the protocol",
    "refused_not_as_announced": "Objects refused: other than announced",
    "refused_too_large": "Objects refused: too large",
    "refused_cut_off": "Objects refused: cut off",
    "refused_not_understood": "Objects refused: not understood",
    "refused_out_of_space": "Objects refused: no space",
    "refused_too_many_conflicts": "Objects refused: too many others kept aside",
    "refused_cannot_write": "Objects refused: cannot be written",
    "refused_index_away": "Objects refused: the database is away",
    "commitment_reports": "Reports on storage commitments",
    "refused_reports": "Reports on storage commitments refused",
    "defects": "Requests and associations that met a defect of ours",
    "scans_wanted": "Times that receipts were given up, so that the folder has to be compared",
}
#: What is so now; the rest only grows.
GAUGES: Mapping[str, str] = {"associations": "Associations that stand"}

#: Objects that were refused because of this machine, not of their sender.
REFUSALS = (
    "refused_out_of_space",
    "refused_too_many_conflicts",
    "refused_cannot_write",
    "refused_index_away",
)

_PLACES = {name: place for place, name in enumerate((*NAMES, *GAUGES))}
_NUMBER_BYTES = 8


class StoreCounters:
    """Counts by name; each process writes its own row and reads all of them."""

    def __init__(self, rows: int = 1, row: int = 0, descriptor: int | None = None) -> None:
        """Begin at zero, or share what another process has begun: its `descriptor`, of as many rows."""
        size = rows * len(_PLACES) * _NUMBER_BYTES
        if descriptor is None:
            descriptor = os.memfd_create("counters", os.MFD_CLOEXEC)
            os.truncate(descriptor, size)
        self.descriptor = descriptor
        self.rows = rows
        self._own = row * len(_PLACES)
        self._numbers = memoryview(mmap.mmap(descriptor, size)).cast("Q")
        self._lock = threading.Lock()

    def add(self, name: str, number: int = 1) -> None:
        """Count something."""
        with self._lock:
            self._numbers[self._own + _PLACES[name]] += number

    def associations(self, number: int) -> int:
        """Set how many associations stand in this process; returns how many stand in all."""
        self._numbers[self._own + _PLACES["associations"]] = number
        return self["associations"]

    def gone(self, row: int) -> None:
        """Reset the gauges of a process that has ended."""
        self._numbers[row * len(_PLACES) + _PLACES["associations"]] = 0

    def __getitem__(self, name: str) -> int:
        return sum(self._numbers[_PLACES[name] :: len(_PLACES)])

    def snapshot(self) -> Mapping[str, int]:
        """Return all counts as they are now, without those that are zero."""
        return {name: number for name in _PLACES if (number := self[name])}


def log_counters(counters: StoreCounters, stopping: threading.Event) -> None:
    """Log the counters once a minute if they changed, and at the end; returns when stopping."""
    before: Mapping[str, int] = {}
    while True:
        stopped = stopping.wait(LOG_INTERVAL_S)
        if (now := counters.snapshot()) != before:
            log.info("counters", **now)
            before = now
        if stopped:
            return
