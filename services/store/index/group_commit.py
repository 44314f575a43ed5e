"""Group commit: one thread records what all associations wait for, in one transaction."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import structlog

from services.store.index.known_objects import Receipt, Recorded, RecordOutcome, record
from services.store.index.unannounced import Unannounced, to_announce
from shared.backoff import Backoff
from shared.clock import Clock, utc_now
from shared.database.session import Database
from shared.errors import DatabaseAwayError, RetriableError

log = structlog.get_logger(__name__)

#: Most rows of one transaction.
MAX_BATCH = 200
#: Seconds for which a batch waits for receipts that are likely to come.
LINGER_S = 0.001
#: Pauses between attempts while the database is away.
DATABASE_AWAY = Backoff(0.1, 2.0)


class IndexAwayError(RetriableError):
    """The object could not be made known in time; its file stays, the sender is to try again."""


class _PendingReceipt:
    """A receipt that an association waits for; one for each object: a future would take longer."""

    __slots__ = ("_done", "error", "given_up", "outcome", "problem", "receipt")

    def __init__(self, receipt: Receipt) -> None:
        self.receipt = receipt
        self.outcome: RecordOutcome | None = None
        self.error: IndexAwayError | None = None
        self.given_up = False
        #: What keeps it from being recorded so far.
        self.problem = ""
        self._done = threading.Lock()
        self._done.acquire()

    def resolve(self, outcome: RecordOutcome | None, error: IndexAwayError | None = None) -> None:
        self.outcome, self.error = outcome, error
        self._done.release()

    def wait(self, wait_s: float) -> RecordOutcome:
        if not self._done.acquire(timeout=wait_s):
            self.given_up = True
            raise IndexAwayError(self.problem or "the database did not respond in time")
        if self.outcome is None:
            raise self.error or IndexAwayError("not recorded")
        return self.outcome


class GroupCommit:
    """Makes receipts known; safe for many threads."""

    def __init__(
        self,
        database: Database,
        *,
        wait_s: float,
        on_committed: Callable[[Mapping[str, Unannounced | None]], None],
        on_missed: Callable[[], None],
        clock: Clock = utc_now,
    ) -> None:
        """Wait at most `wait_s` with one receipt; call `on_missed` after some were given up.

        `on_committed` gets the SOP Instance UIDs, each with what is to be announced where that is known.
        """
        self._database = database
        self._wait_s = wait_s
        self._on_committed = on_committed
        self._on_missed = on_missed
        self._clock = clock
        # A SimpleQueue may wait for ever where a time-out passes while it begins to wait.
        self._queue: queue.Queue[_PendingReceipt | None] = queue.Queue()
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

    def record(self, receipt: Receipt) -> RecordOutcome:
        """Return the outcome of recording a receipt, once it is committed.

        Raises:
            IndexAwayError: it was not committed in time.
        """
        waiting = _PendingReceipt(receipt)
        self._queue.put(waiting)
        return waiting.wait(self._wait_s)

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                self._commit_patiently(batch)
            except Exception as error:
                log.exception("receipts not recorded", receipts=len(batch))
                _fail(batch, f"not recorded: {type(error).__name__}")
        _fail(self._rest(), "the store is stopping")

    def _next_batch(self) -> list[_PendingReceipt]:
        """Wait for a receipt and take all that wait with it; empty at the end.

        Where several senders are at work, as many as came the last time are given a moment to come again.
        """
        batch: list[_PendingReceipt] = []
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

    def _rest(self) -> list[_PendingReceipt]:
        rest: list[_PendingReceipt] = []
        while not self._queue.empty():
            waiting = self._queue.get_nowait()
            if waiting is not None:
                rest.append(waiting)
        return rest

    def _commit_patiently(self, batch: list[_PendingReceipt]) -> None:
        pauses = DATABASE_AWAY.pauses()
        wanted = batch
        while wanted := [waiting for waiting in wanted if not waiting.given_up]:
            now = self._clock()
            try:
                outcomes = record(self._database, [waiting.receipt for waiting in wanted], now)
            except DatabaseAwayError as error:
                log.warning("database away", receipts=len(wanted), error=str(error))
                for waiting in wanted:
                    waiting.problem = str(error)
                if self._stopping.wait(next(pauses)):
                    _fail(wanted, "the store is stopping and the database is away")
                    return
            else:
                self._resolve(wanted, outcomes, now)
                break
        if missed := len(batch) - len(wanted):
            log.warning("receipts given up", receipts=missed)
            self._on_missed()

    def _resolve(
        self, committed: list[_PendingReceipt], outcomes: list[RecordOutcome], now: datetime
    ) -> None:
        changed: dict[str, Unannounced | None] = {}
        for waiting, outcome in zip(committed, outcomes, strict=True):
            waiting.resolve(outcome)
            receipt = waiting.receipt
            uid = str(receipt.identity.sop_instance_uid)
            if outcome.recorded is Recorded.NEW:
                changed[uid] = None if uid in changed else to_announce(receipt, now)
            elif outcome.recorded is Recorded.AGAIN:
                changed[uid] = None
        if changed:
            self._on_committed(changed)


def _fail(batch: Sequence[_PendingReceipt], reason: str) -> None:
    for waiting in batch:
        if waiting.outcome is None:
            waiting.resolve(None, IndexAwayError(reason))
