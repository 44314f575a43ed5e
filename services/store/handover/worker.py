"""Puts arrived objects into batches and hands them over, in one thread of one process."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime

import structlog

from services.store.handover.batching import (
    BATCH_SIZE,
    OVERLAP,
    add_arrivals,
    begin,
    close,
    ended_retrieves,
    move_mark,
)
from services.store.handover.model import Batch, HandoverError, InterruptedHandoverError, Send
from services.store.handover.outbox import claim_next, give_back, mark_refused, mark_taken
from services.store.objects.durable_folder import ObjectFolder
from shared.clock import Clock, utc_now
from shared.database.session import Database
from shared.errors import DatabaseAwayError

log = structlog.get_logger(__name__)

#: Seconds between two polls for arrivals and for batches that are due.
POLL_INTERVAL_S = 2.0
#: The mark is written when it has moved so far: how much is read twice after a restart.
_MARK_STEP = OVERLAP


class HandoverWorker:
    """Hands over until stopped; what is in hand when the process dies is handed over again."""

    def __init__(
        self,
        database: Database,
        folder: ObjectFolder,
        send: Send,
        stopping: threading.Event,
        *,
        pauses: Sequence[float],
        poll_interval_s: float = POLL_INTERVAL_S,
        clock: Clock = utc_now,
    ) -> None:
        """Share `stopping` with `send`; `pauses` are the seconds before each new try."""
        self._database = database
        self._folder = folder
        self._send = send
        self._pauses = tuple(pauses)
        self._poll_interval_s = poll_interval_s
        self._clock = clock
        self._stopping = stopping
        self._since: datetime | None = None
        self._marked: datetime | None = None
        self._thread = threading.Thread(target=self._run, name="handover", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """Cut short what is in hand, and end."""
        self._stopping.set()
        self._thread.join(grace_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._folder.exclusive("handover") as exclusive:
                    if exclusive:
                        self._work()
            except (DatabaseAwayError, OSError) as error:
                log.warning("not handed over", error=type(error).__name__)
            except Exception:
                log.exception("not handed over")
            self._stopping.wait(self._poll_interval_s)

    def _work(self) -> None:
        """Work while nobody else may; the mark is read anew, for another process may have moved it."""
        self._since = self._marked = begin(self._database, self._clock())
        while not self._stopping.is_set():
            self._gather()
            while not self._stopping.is_set() and self._hand_over():
                self._gather()
            self._stopping.wait(self._poll_interval_s)

    def _gather(self) -> None:
        assert self._since is not None
        assert self._marked is not None
        # Read before: what arrived until a retrieve ended is in its batches before these are closed.
        ended = ended_retrieves(self._database)
        now = self._clock()
        while add_arrivals(self._database, self._since - OVERLAP, now) == BATCH_SIZE:
            pass
        close(self._database, ended, self._clock())
        self._since = max(self._since, now)
        if self._since - self._marked >= _MARK_STEP:
            move_mark(self._database, self._since)
            self._marked = self._since

    def _hand_over(self) -> bool:
        """Hand over one batch; False if none is due."""
        batch = claim_next(self._database, self._pauses, self._clock())
        if batch is None:
            return False
        try:
            self._send(batch)
        except HandoverError as error:
            mark_refused(self._database, batch, error, self._pauses, self._clock())
            _log("batch not taken", batch, reason=error.reason)
        except InterruptedHandoverError:
            give_back(self._database, batch, self._clock())
            _log("batch interrupted", batch)
        else:
            mark_taken(self._database, batch, self._clock())
            _log("batch handed over", batch)
        return True


def _log(what: str, batch: Batch, **more: object) -> None:
    log.info(
        what, batch=batch.id, job_id=batch.job_id, objects=len(batch.objects), attempt=batch.attempt, **more
    )
