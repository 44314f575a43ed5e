"""Adds up queries that have ended, in a thread of each replica of the query service.

Replicas take turns by the lock of a node; what one has added up, the next finds marked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from services.query.ledger.tally.ended_queries import DueQueries, add_up, due_queries
from services.query.ledger.tally.node_days import add_versions
from shared.clock import Clock
from shared.database.session import Database
from shared.errors import RetriableError
from shared.process.periodic import Repeating

log = structlog.get_logger(__name__)

#: Seconds between two searches for what has ended, and for reports that were read.
TICK_S, REPORTS_S = 2.0, 30.0
#: Share of the time that it takes when there is much to add up, as after an update: the rest is for others.
_BUSY_SHARE = 0.5
#: Steps of one tick, at most.
_STEPS = 10_000


class Tallier:
    """Adds up what has ended."""

    def __init__(
        self, database: Database, clock: Clock, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._clock = clock
        self._monotonic = monotonic
        self._reports_at = float("-inf")
        #: Queries that could not be added up; the next start tries them again.
        self._defects: set[str] = set()
        self._stopping = threading.Event()
        self._repeating = Repeating("tallies", TICK_S, self.tick)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._repeating.start()

    def stop(self) -> None:
        """End it, after the step that is under way."""
        self._stopping.set()
        self._repeating.stop()

    def tick(self) -> None:
        """Add up what has ended until then.

        Raises:
            RetriableError: the database is away; the next tick goes on.
        """
        self._read_reports()
        for _ in range(_STEPS):
            with self._database.read_outside() as session:
                due = due_queries(session, self._defects)
            if due is None or self._stopping.is_set():
                return
            self._guard(due)

    def _guard(self, due: DueQueries) -> None:
        try:
            self._add_up(due)
        except RetriableError:
            raise
        except Exception:
            # One ledger that cannot be read must not keep the others from being added up.
            log.exception("defect", jobs=len(due.job_ids), job_id=due.job_ids[0])
            self._defects.update(due.job_ids)

    def _add_up(self, due: DueQueries) -> None:
        began = self._monotonic()
        after_uid: str | None = ""
        while after_uid is not None and not self._stopping.is_set():
            step_began = self._monotonic()
            with self._database.write() as session:
                after_uid = add_up(session, due, after_uid)
            took_s = self._monotonic() - step_began
            self._stopping.wait(took_s * (1 - _BUSY_SHARE) / _BUSY_SHARE)
        log.debug("added up", jobs=len(due.job_ids), duration_s=round(self._monotonic() - began, 3))

    def _read_reports(self) -> None:
        if self._monotonic() - self._reports_at < REPORTS_S:
            return
        more = True
        while more and not self._stopping.is_set():
            with self._database.write() as session:
                more = add_versions(session, self._clock())
        self._reports_at = self._monotonic()
