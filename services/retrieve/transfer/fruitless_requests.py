"""Spares a PACS that cannot bring anything: single objects with pauses, and then the end of the job."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from services.retrieve.context import RetrieveContext
from services.retrieve.ledger.outcomes import read_streak, streak_began_at
from services.retrieve.planning.c_move_outcome import reason_of
from services.retrieve.planning.fruitless import LEAST_SINGLE, FruitlessError, StoreAddress, Streak
from services.retrieve.transfer.own_store import OwnStore
from shared.clock import Clock
from shared.database.session import Database
from shared.dicom.errors import NotNowError

#: Jobs whose last request brought nothing; forgetting one costs a few requests.
_REMEMBERED = 1000
#: Time after which work comes back that left the next single object to another thread.
OTHER_TRIES = timedelta(seconds=2)


class FruitlessRequests:
    """Decides how much of a job may be requested; thread-safe."""

    def __init__(self, database: Database, own_store: OwnStore, clock: Clock, *, patience_s: float) -> None:
        """`patience_s`: seconds after which a job ends of which nothing comes."""
        self._own_store = own_store
        self._database = database
        self._clock = clock
        self._patience = timedelta(seconds=patience_s)
        self._lock = threading.Lock()
        #: What the store node refused last, by job. The ledger is read for these jobs only: most requests
        #: bring something.
        self._suspect: OrderedDict[str, str] = OrderedDict()
        self._trying: set[str] = set()

    def note(self, job_id: str, *, brought_nothing: bool, refusal: str = "") -> None:
        """Take how the requests of a task ended; `refusal`: what the store node refused, in words."""
        with self._lock:
            if not brought_nothing:
                self._suspect.pop(job_id, None)
                return
            self._suspect[job_id] = refusal
            while len(self._suspect) > _REMEMBERED:
                self._suspect.popitem(last=False)

    @contextmanager
    def turn(self, context: RetrieveContext) -> Iterator[bool]:
        """Return for the time of the block whether a single object may be requested only.

        Raises:
            NotNowError: the next single object has to wait.
            FruitlessError: single objects were requested for long enough.
            DatabaseAwayError: the database is away.
        """
        streak = self._streak(context.job_id)
        if streak is None:
            yield False
            return
        with self._lock:
            is_taken = context.job_id in self._trying
            self._trying.add(context.job_id)
        if is_taken:
            raise self._wait(self._clock() + OTHER_TRIES, streak, context)
        try:
            self._check(streak, context)
            yield True
        finally:
            with self._lock:
                self._trying.discard(context.job_id)

    def wait(self, context: RetrieveContext) -> NotNowError | None:
        """Return for how long a task waits after a single object that did not come; None: no longer."""
        streak = self._streak(context.job_id)
        return self._wait(streak.next_at, streak, context) if streak is not None else None

    def _streak(self, job_id: str) -> Streak | None:
        with self._lock:
            is_suspect = job_id in self._suspect
        if not is_suspect:
            return None
        with self._database.read() as session:
            streak = read_streak(session, job_id)
        return streak if streak.is_long else None

    def _check(self, streak: Streak, context: RetrieveContext) -> None:
        now = self._clock()
        if streak.singles >= LEAST_SINGLE:
            with self._database.read() as session:
                began = streak_began_at(session, context.job_id)
            if began is not None and now - began >= self._patience:
                raise self._error(streak, context)
        if now < streak.next_at:
            raise self._wait(streak.next_at, streak, context)

    def _error(self, streak: Streak, context: RetrieveContext) -> FruitlessError:
        store = context.store
        with self._lock:
            refusal = self._suspect.get(context.job_id, "")
        destination = StoreAddress(store.ae_title, store.host, store.port, by_pacs=not context.fetch)
        return FruitlessError(streak, destination, refusal)

    def _wait(self, until: datetime, streak: Streak, context: RetrieveContext) -> NotNowError:
        error = self._error(streak, context)
        _, detail = self._own_store.cause_of(context, reason_of(error), error.detail)
        note = f"single objects are requested, with pauses: {detail}"
        return NotNowError(until, note, whole_node=True)
