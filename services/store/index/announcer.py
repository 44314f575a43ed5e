"""`objects.stored` events: in batches, soon after the commit, and later if the broker was away."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

import structlog
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from services.store.index.unannounced import Unannounced, mark_announced, unannounced
from services.store.metrics.counters import StoreCounters
from services.store.objects.durable_folder import ObjectFolder
from shared.clock import Clock, utc_now
from shared.contract.messages import ObjectsStored
from shared.database.models.retrieve import Retrieve, RetrieveObject
from shared.database.session import Database
from shared.errors import BrokerAwayError, DatabaseAwayError
from shared.messaging.publisher import Publisher
from shared.tracing.spans import ended_span, spans_are_exported

log = structlog.get_logger(__name__)

#: Most objects of one event.
MAX_OBJECTS = 200
#: Seconds for which a batch waits for more objects.
LINGER_S = 0.2
#: Seconds between two sweeps for rows that nobody announced.
SWEEP_S = 5.0
#: Seconds for which a row is left to the process that received it.
SWEEP_AGE_S = 10.0
#: Objects that are remembered while the broker is away; the sweep finds the others in the table.
MAX_PENDING = 10_000

TOPIC = "objects"


class Announcer:
    """Announces what this process has committed, and what others left behind."""

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        folder: ObjectFolder,
        counters: StoreCounters,
        *,
        store_ae_title: str,
        sweep_s: float = SWEEP_S,
        sweep_age_s: float = SWEEP_AGE_S,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._folder = folder
        self._counters = counters
        self._store_ae_title = store_ae_title
        self._sweep_s = sweep_s
        self._sweep_age = timedelta(seconds=sweep_age_s)
        self._clock = clock
        self._fresh: dict[str, Unannounced | None] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="announcer", daemon=True)

    def start(self) -> None:
        """Start the announcing thread."""
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """Announce what waits if the broker is there, then end."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(grace_s)

    def committed(self, objects: Mapping[str, Unannounced | None]) -> None:
        """Queue objects that were just recorded, by UID; None where the row has to be read from the table."""
        with self._lock:
            if len(self._fresh) < MAX_PENDING:
                self._fresh.update(objects)
        self._wake.set()

    def _run(self) -> None:
        sweep_at = 0.0
        while not self._stopping.is_set():
            self._wake.wait(self._sweep_s)
            self._wake.clear()
            self._stopping.wait(LINGER_S)
            try:
                self._announce_fresh()
                if time.monotonic() >= sweep_at:
                    self._sweep()
                    sweep_at = time.monotonic() + self._sweep_s
            except (BrokerAwayError, DatabaseAwayError) as error:
                log.warning("not announced", error=str(error), waiting=len(self._fresh))
                self._stopping.wait(self._sweep_s)
                self._wake.set()
            except Exception:
                log.exception("not announced")
                self._stopping.wait(self._sweep_s)
        with suppress(BrokerAwayError, DatabaseAwayError):
            self._announce_fresh()

    def _announce_fresh(self) -> None:
        """Announce what waits, in full batches; what comes meanwhile gets a moment to become one, too."""
        batch = self._take()
        while batch:
            rows = [row for row in batch.values() if row is not None]
            in_table = [uid for uid, row in batch.items() if row is None]
            try:
                if in_table:
                    rows += unannounced(self._database, limit=MAX_OBJECTS, among=in_table)
                self._announce(rows)
            except BaseException:
                # Another process may announce them meanwhile: the table has the state.
                self.committed(dict.fromkeys(batch))
                raise
            batch = self._take() if len(batch) == MAX_OBJECTS else {}

    def _take(self) -> dict[str, Unannounced | None]:
        with self._lock:
            return {uid: self._fresh.pop(uid) for uid in list(self._fresh)[:MAX_OBJECTS]}

    def _sweep(self) -> None:
        """Announce what a dead process left; one process at a time, so that nothing is published twice."""
        with self._folder.exclusive("announce") as exclusive:
            while exclusive:
                # Also what is from the future: the clock was put back since then.
                now = self._clock()
                fresh = (now - self._sweep_age, now + self._sweep_age)
                rows = unannounced(self._database, limit=MAX_OBJECTS, not_within=fresh)
                if not rows:
                    return
                self._announce(rows)

    def _announce(self, rows: Sequence[Unannounced]) -> None:
        if not rows:
            return
        objects = [row.message for row in rows]
        self._publisher.event(ObjectsStored(store_ae_title=self._store_ae_title, objects=objects), TOPIC)
        mark_announced(self._database, rows, self._clock())
        self._counters.add("announced", len(rows))
        _record_batch(self._database, rows)


def _record_batch(database: Database, rows: Sequence[Unannounced]) -> None:
    """Record announced objects as a span for each retrieve that expected them, if spans are exported."""
    if not spans_are_exported() or not rows:
        return
    try:
        with database.read() as session:
            owners = _retrieves_of(session, rows)
    except DatabaseAwayError as error:
        log.debug("batch not recorded as a span", error=str(error))
        return
    batches: dict[str, list[Unannounced]] = {}
    for row in rows:
        owner = owners.get(row.message.sop_instance_uid)
        batches.setdefault(owner.id if owner is not None else "", []).append(row)
    jobs = {job.id: job for job in owners.values()}
    for job_id, batch in batches.items():
        job = jobs.get(job_id)
        about: dict[str, str | int] = {
            "doseqr.objects": len(batch),
            "doseqr.bytes": sum(row.message.size_bytes for row in batch),
        }
        if job is not None:
            about["doseqr.job.id"] = job_id
        begun = min(row.last_received_at for row in batch)
        ended_span("batch of objects", job.causation.context if job is not None else None, begun, about)


def _retrieves_of(session: Session, rows: Sequence[Unannounced]) -> Mapping[str, Retrieve]:
    """Return the newest retrieve that expected each object when it came, or the series that it is of."""
    messages = [row.message for row in rows]
    earliest = min(row.last_received_at for row in rows)
    expecting = (
        select(RetrieveObject.series_instance_uid, RetrieveObject.sop_instance_uid, Retrieve)
        .join(Retrieve, Retrieve.id == RetrieveObject.job_id)
        .where(
            or_(Retrieve.ended_at.is_(None), Retrieve.ended_at >= earliest),
            RetrieveObject.study_instance_uid.in_({message.study_instance_uid for message in messages}),
            RetrieveObject.sop_instance_uid.in_([*(message.sop_instance_uid for message in messages), ""]),
        )
        .order_by(Retrieve.requested_at)
    )
    expected = {(series, sop): job for series, sop, job in session.execute(expecting)}
    owners = {}
    for message in messages:
        series = message.series_instance_uid
        job = expected.get((series, message.sop_instance_uid)) or expected.get((series, ""))
        if job is not None:
            owners[message.sop_instance_uid] = job
    return owners
