"""The runs of one kind of retention, in a thread of each replica; one of them at a time removes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import structlog

from shared.clock import Clock
from shared.contract.envelope import new_id
from shared.database.session import Database, Session
from shared.errors import RetriableError
from shared.process.periodic import PeriodicWork
from shared.retention import runs
from shared.retention.runs import RunLease
from shared.retention.step_size import FIRST_SHARE, next_share, part_of

log = structlog.get_logger(__name__)

#: Seconds between two checks whether a run is due or requested.
TICK_S = 15.0
#: Steps of one run, at most; the next run goes on.
STEPS = 1_000_000
#: Share of the time in which it works: the rest is for others.
_BUSY_SHARE = 0.3
#: Seconds of one pause, at most.
_LONGEST_PAUSE_S = 5.0

T = TypeVar("T")


class LostLeaseError(RetriableError):
    """Another worker removes now."""


class RemovalSteps:
    """The steps of a run that is under way."""

    def __init__(
        self,
        database: Database,
        lease: RunLease,
        clock: Clock,
        monotonic: Callable[[], float],
        stopping: threading.Event,
    ) -> None:
        self._database = database
        self._lease = lease
        self._clock = clock
        self._monotonic = monotonic
        self._stopping = stopping
        #: Share of the most that the next step may remove.
        self.share = FIRST_SHARE

    @property
    def stopping(self) -> bool:
        """Whether the service stops: no further step should begin."""
        return self._stopping.is_set()

    def part_of(self, most: int) -> int:
        """Return how many of `most` rows or files the next step should remove."""
        return part_of(most, self.share)

    def step(self, work: Callable[[Session], T], then: Callable[[T], None] | None = None) -> T:
        """Do one step in a transaction of its own, then what follows from it, and pause.

        Raises:
            LostLeaseError: another worker removes now; nothing was changed.
        """
        began = self._monotonic()
        with self._database.write() as session:
            if not self._lease.renew(session, self._clock()):
                raise LostLeaseError(f"retention: another worker removes {self._lease.name} now")
            locked = self._monotonic()
            done = work(session)
        # Without the wait for the lock: a smaller step would not shorten that.
        self.share = next_share(self.share, self._monotonic() - locked)
        if then is not None:
            then(done)
        took_s = self._monotonic() - began
        self._stopping.wait(min(took_s * (1 - _BUSY_SHARE) / _BUSY_SHARE, _LONGEST_PAUSE_S))
        return done


#: Removes all that is older than a moment; returns what people should know of it.
Remove = Callable[[RemovalSteps, datetime], str]


class Removal(PeriodicWork):
    """Does the runs of one kind (`jobs`, `files`, `audit`) that are due or requested."""

    def __init__(
        self,
        database: Database,
        name: str,
        before: Callable[[datetime], datetime | None],
        remove: Remove,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`before` gives the moment before which something must be from to go; None: nothing goes."""
        super().__init__(f"retention of {name}", TICK_S)
        self._database = database
        self._name = name
        self._before = before
        self._remove = remove
        self._clock = clock
        self._monotonic = monotonic
        self._token = new_id()
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin, in a thread of its own, unless everything stays for ever."""
        if self._before(self._clock()) is not None:
            super().start()

    def stop(self) -> None:
        """End it, after the step that is under way; another worker or the next start goes on."""
        self._stopping.set()
        super().stop()

    def tick(self) -> None:
        """Do the run that is due or requested.

        Raises:
            RetriableError: the database is away, or another worker does it; a later tick goes on.
        """
        now = self._clock()
        before = self._before(now)
        if before is None:
            return
        with self._database.read_outside() as session:
            if not runs.is_wanted(session, self._name, now):
                return
        with self._database.write() as session:
            lease = runs.begin(session, self._name, self._token, now)
        if lease is None:
            return
        detail = self._remove(
            RemovalSteps(self._database, lease, self._clock, self._monotonic, self._stopping), before
        )
        if self._stopping.is_set():
            return
        with self._database.write() as session:
            removed = runs.end(session, lease, detail, self._clock())
        if removed:
            log.info("retention has removed", of=self._name, **removed)
