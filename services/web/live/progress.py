"""How far queries are: a fraction that never falls, the rate of the last seconds, and the time left.

The rate of a retrieve is read from its rows (`shared.reading.retrieve_pace`), for the page as for `doseqr`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field

#: Seconds over which a rate is measured, and least seconds between two samples.
WINDOW_S, SAMPLE_GAP_S = 30.0, 0.5
#: Jobs whose progress is kept; the one longest without a sample is dropped first.
JOBS = 1000
#: Part of a query's bar that its search takes; the rest is the examination of what was found.
SEARCH_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class JobProgress:
    """The progress of a job; rate and time are None where nothing has moved lately."""

    fraction: float
    per_s: float | None = None
    left_s: float | None = None


@dataclass(slots=True)
class _Course:
    fraction: float = 0.0
    #: Time in seconds, fraction, and number of things done.
    samples: deque[tuple[float, float, int]] = field(default_factory=deque)


class ProgressHistory:
    """Remembers the last samples of each job in this process; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._courses: OrderedDict[str, _Course] = OrderedDict()

    def add(self, course: str, now_s: float, fraction: float, done: int) -> JobProgress:
        """Add a sample and return the progress; a new round of a job is another `course`."""
        with self._lock:
            known = self._courses.setdefault(course, _Course())
            self._courses.move_to_end(course)
            while len(self._courses) > JOBS:
                self._courses.popitem(last=False)
            known.fraction = max(known.fraction, min(max(fraction, 0.0), 1.0))
            samples = known.samples
            if not samples or now_s - samples[-1][0] >= SAMPLE_GAP_S:
                samples.append((now_s, known.fraction, done))
            # One sample older than the window stays, so that a rate spans all of it.
            while len(samples) > 2 and samples[1][0] <= now_s - WINDOW_S:  # noqa: PLR2004
                samples.popleft()
            return _progress(known, now_s, done)


def _progress(course: _Course, now_s: float, done: int) -> JobProgress:
    first_s, fraction, done_before = course.samples[0]
    elapsed_s = now_s - first_s
    if elapsed_s <= 0 or now_s - first_s < SAMPLE_GAP_S:
        return JobProgress(course.fraction)
    per_s = (done - done_before) / elapsed_s
    moved = (course.fraction - fraction) / elapsed_s
    return JobProgress(
        course.fraction,
        per_s if per_s > 0 else None,
        (1 - course.fraction) / moved if moved > 0 else None,
    )


def query_fraction(slices_total: int, slices_done: int, found: int, examined: int) -> float:
    """Return the part of a query that is done: its search first, then the examination of what was found."""
    searched = slices_done / slices_total if slices_total else 0.0
    # What will be found is taken to be spread evenly over the slices.
    share_examined = min(examined / found, 1.0) if found else 1.0
    return SEARCH_SHARE * searched + (1 - SEARCH_SHARE) * searched * share_examined
