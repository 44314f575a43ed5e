"""Adds up queries that have ended, in a thread of each replica of the query service.

Replicas take turns by the lock of a node; what one has added up, the next finds marked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import structlog

from services.query.ledger.tally.ended_queries import DueQueries, add_up, due_queries
from services.query.ledger.tally.node_days import add_versions
from shared.clock import Clock
from shared.database.session import Database
from shared.process.periodic import PeriodicWork, has_no_defect

log = structlog.get_logger(__name__)

#: Seconds between two searches for what has ended, and for reports that were read.
TICK_S, REPORTS_S = 2.0, 30.0
#: Share of the time that it takes when there is much to add up, as after an update: the rest is for others.
_BUSY_SHARE = 0.5
#: Steps of one tick, at most.
_STEPS = 10_000


class Tallier(PeriodicWork):
    """Adds up what has ended."""

    def __init__(
        self, database: Database, clock: Clock, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__("tallies", TICK_S)
        self._database = database
        self._clock = clock
        self._monotonic = monotonic
        self._reports_at = float("-inf")
        #: Queries that could not be added up; the next start tries them again.
        self._defects: set[str] = set()
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End it, after the step that is under way."""
        self._stopping.set()
        super().stop()

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
            if not has_no_defect(partial(self._add_up, due), jobs=len(due.job_ids), job_id=due.job_ids[0]):
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
