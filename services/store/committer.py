"""Group commit: one thread records what all associations wait for, in one transaction."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import structlog

from services.store.index import Outcome, Receipt, Recorded, record
from services.store.keep import KeepError
from shared.clock import Clock, utc_now
from shared.database.session import Database
from shared.errors import DatabaseAwayError, RetriableError

log = structlog.get_logger(__name__)

#: Most rows of one transaction.
MAX_BATCH = 200
#: How long a batch waits for others that are likely to come.
LINGER_S = 0.002
#: Pauses between attempts while the database is away.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0


class IndexAwayError(RetriableError):
    """The object could not be made known in time; its file stays, the sender is to try again."""


@dataclass(slots=True)
class _Waiting:
    receipt: Receipt
    future: Future[Outcome]


class Committer:
    """Makes receipts known; safe for many threads."""

    def __init__(
        self,
        database: Database,
        *,
        wait_s: float,
        sync_names: Callable[[Sequence[str]], None],
        on_committed: Callable[[Sequence[str]], None],
        on_missed: Callable[[], None],
        clock: Clock = utc_now,
    ) -> None:
        """Wait at most `wait_s` with one receipt; call `on_missed` after some were given up.

        `sync_names` makes the names of files safe on disk before they become known.
        """
        self._database = database
        self._wait_s = wait_s
        self._sync_names = sync_names
        self._on_committed = on_committed
        self._on_missed = on_missed
        self._clock = clock
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._last_batch = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)

    def start(self) -> None:
        """Start the committing thread."""
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """Commit what waits if the database is there, then end."""
        self._stopping.set()
        self._queue.put(None)
        self._thread.join(grace_s)

    def submit(self, receipt: Receipt) -> Future[Outcome]:
        """Queue a receipt; `wait` for it later."""
        future: Future[Outcome] = Future()
        self._queue.put(_Waiting(receipt, future))
        return future

    def wait(self, future: Future[Outcome]) -> Outcome:
        """Return what recording came to, once it is committed.

        Raises:
            IndexAwayError: it was not committed in time.
            KeepError: its name is not safe on disk.
        """
        try:
            return future.result(self._wait_s)
        except TimeoutError:
            if future.cancel():
                raise IndexAwayError("the database did not answer in time") from None
            return future.result()

    def record(self, receipt: Receipt) -> Outcome:
        """Submit and wait.

        Raises:
            IndexAwayError: it was not committed in time.
            KeepError: its name is not safe on disk.
        """
        return self.wait(self.submit(receipt))

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                self._sync_names([waiting.receipt.path for waiting in batch])
                self._commit_patiently(batch)
            except KeepError as error:
                log.exception("names not synced", receipts=len(batch))
                _fail(batch, error)
                self._on_missed()
            except Exception as error:
                log.exception("receipts not recorded", receipts=len(batch))
                _fail(batch, IndexAwayError(f"not recorded: {type(error).__name__}"))
        _fail(self._rest(), IndexAwayError("the store is stopping"))

    def _next_batch(self) -> list[_Waiting]:
        """Wait for a receipt and take all that wait with it; empty at the end.

        Where several senders are at work, as many as came the last time are given a moment to come again.
        """
        batch: list[_Waiting] = []
        waiting = self._queue.get()
        linger_until = time.monotonic() + LINGER_S
        while waiting is not None:
            batch.append(waiting)
            if len(batch) == MAX_BATCH:
                return batch
            linger_s = linger_until - time.monotonic() if len(batch) < self._last_batch else 0.0
            try:
                waiting = self._queue.get(timeout=linger_s) if linger_s > 0 else self._queue.get_nowait()
            except queue.Empty:
                self._last_batch = len(batch)
                return batch
        if batch:
            self._queue.put(None)  # the end comes after this batch
        return batch

    def _rest(self) -> list[_Waiting]:
        rest: list[_Waiting] = []
        while not self._queue.empty():
            waiting = self._queue.get_nowait()
            if waiting is not None:
                rest.append(waiting)
        return rest

    def _commit_patiently(self, batch: list[_Waiting]) -> None:
        pause_s = FIRST_PAUSE_S
        wanted = batch
        while wanted := [waiting for waiting in wanted if not waiting.future.cancelled()]:
            try:
                outcomes = record(self._database, [waiting.receipt for waiting in wanted], self._clock())
            except DatabaseAwayError as error:
                log.warning("database away", receipts=len(wanted), error=str(error))
                if self._stopping.wait(pause_s):
                    _fail(wanted, IndexAwayError("the store is stopping and the database is away"))
                    return
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            else:
                self._tell(wanted, outcomes)
                break
        if missed := len(batch) - len(wanted):
            log.warning("receipts given up", receipts=missed)
            self._on_missed()

    def _tell(self, committed: list[_Waiting], outcomes: list[Outcome]) -> None:
        for waiting, outcome in zip(committed, outcomes, strict=True):
            if waiting.future.set_running_or_notify_cancel():
                waiting.future.set_result(outcome)
        changed = [
            str(waiting.receipt.identity.sop_instance_uid)
            for waiting, outcome in zip(committed, outcomes, strict=True)
            if outcome.recorded in (Recorded.NEW, Recorded.AGAIN)
        ]
        if changed:
            self._on_committed(changed)


def _fail(batch: Sequence[_Waiting], error: RetriableError) -> None:
    for waiting in batch:
        if not waiting.future.done() and waiting.future.set_running_or_notify_cancel():
            waiting.future.set_exception(error)
