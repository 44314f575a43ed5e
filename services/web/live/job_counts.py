"""Counts of a query's studies for all who look at it: read anew only where the query has moved on."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from shared.contract.messages import ENDED
from shared.database.models import Query
from shared.reading.query_json import by_reason, by_type, has_uncounted_series

#: Seconds for which the counts of a running query serve all pages that show it.
MAX_AGE_S = 1.0
#: Queries whose counts are kept; the one longest unused is dropped first.
QUERIES = 200


@dataclass(frozen=True, slots=True)
class StudyCounts:
    """Numbers of studies; those by reason once the query has ended."""

    by_type: dict[str, int]
    kept: dict[str, int]
    dropped: dict[str, int]
    #: Whether a kept series is among them of which the PACS does not return how many objects it has.
    uncounted: bool


class JobCounts:
    """Keeps the last counts of each query; thread-safe."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[Hashable, float, StudyCounts]] = OrderedDict()

    def of(self, session: Session, job: Query) -> StudyCounts:
        """Return the counts of a query; those of a running one may be a second old."""
        state, now_s = _state(job), self._monotonic()
        with self._lock:
            known = self._known.get(job.id)
            if known is not None:
                self._known.move_to_end(job.id)
        if known is not None:
            known_state, read_at_s, counts = known
            is_young = job.status not in ENDED and now_s - read_at_s < MAX_AGE_S
            if known_state == state or is_young:
                return counts
        counts = _read(session, job)
        with self._lock:
            self._known[job.id] = state, now_s, counts
            while len(self._known) > QUERIES:
                self._known.popitem(last=False)
        return counts


def _state(job: Query) -> Hashable:
    """Return what changes in the row of a query whenever its studies do."""
    numbers = (
        job.studies_found,
        job.studies_examined,
        job.studies_kept,
        job.studies_missing,
        job.objects_kept,
    )
    return (job.status, job.round, job.ended_at, *numbers)


def _read(session: Session, job: Query) -> StudyCounts:
    ended = job.status in ENDED
    return StudyCounts(
        by_type(session, job.id),
        by_reason(session, job.id, "keep") if ended else {},
        by_reason(session, job.id, "drop") if ended else {},
        has_uncounted_series(session, job.id),
    )
