"""Removes old files, in a thread of each replica of the store; one of them at a time does it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import and_, or_, select, update

from services.store.objects.durable_folder import ObjectFolder
from services.store.objects.errors import ObjectWriteError
from shared.clock import Clock
from shared.contract.envelope import new_id
from shared.database.models.store import REMOVED, STORE, StoredObject
from shared.database.session import Database, Session
from shared.process.periodic import Repeating
from shared.reading.retention.due_files import is_delivered, is_free, old_enough
from shared.retention import runs
from shared.retention.policy import FILES, RetentionPolicy
from shared.retention.runs import RunLease

log = structlog.get_logger(__name__)

#: Seconds between two looks for a run that is due or requested.
TICK_S = 15.0
#: Share of the time in which it works: the rest is for what arrives.
_BUSY_SHARE = 0.3
#: Seconds of one pause, at most.
_LONGEST_PAUSE_S = 5.0
#: Steps of one run, at most; the next run goes on.
_STEPS = 1_000_000
#: Files of one step.
FILES_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class ExpiredFile:
    """A file that may go, as its row was."""

    sop_instance_uid: str
    path: str
    size_bytes: int
    last_received_at: datetime


#: The last file of a step: the next one goes on behind it.
Place = tuple[datetime, str]


def next_expired(
    session: Session, before: datetime, after: Place | None, *, delivered: bool
) -> list[ExpiredFile]:
    """Return the oldest files behind a place that may go, those that were handed over or the others."""
    at, uid = StoredObject.last_received_at, StoredObject.sop_instance_uid
    which = [*old_enough(before), *is_free(session), is_delivered() if delivered else ~is_delivered()]
    if after is not None:
        which.append(or_(at > after[0], and_(at == after[0], uid > after[1])))
    columns = (uid, StoredObject.path, StoredObject.size_bytes, at)
    rows = session.execute(select(*columns).where(*which).order_by(at, uid).limit(FILES_AT_ONCE))
    return [ExpiredFile(*row) for row in rows]


def mark_removed(session: Session, files: Sequence[ExpiredFile]) -> list[ExpiredFile]:
    """Mark files as removed, and return those that did not come again meanwhile.

    They stay known. The mark comes first: a file without it is found again by a scan, a row without its file
    would be forgotten.
    """
    marked = []
    for file in files:
        unchanged = (
            StoredObject.sop_instance_uid == file.sop_instance_uid,
            StoredObject.source == STORE,
            StoredObject.last_received_at == file.last_received_at,
        )
        changed = update(StoredObject).where(*unchanged).values(source=REMOVED, path="")
        returned = changed.returning(StoredObject.sop_instance_uid)
        if session.execute(returned, execution_options={"synchronize_session": False}).first():
            marked.append(file)
    return marked


def take_back(session: Session, files: Sequence[ExpiredFile]) -> None:
    """Mark files as stored again that are still there, unless their next receipt has done so."""
    for file in files:
        removed = (StoredObject.sop_instance_uid == file.sop_instance_uid, StoredObject.source == REMOVED)
        session.execute(update(StoredObject).where(*removed).values(source=STORE, path=file.path))


class FileRetention:
    """Removes files that are older than the policy keeps them, those that were handed over first."""

    def __init__(
        self,
        database: Database,
        folder: ObjectFolder,
        policy: RetentionPolicy,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._folder = folder
        self._policy = policy
        self._clock = clock
        self._monotonic = monotonic
        self._token = new_id()
        self._stopping = threading.Event()
        self._repeating = Repeating("retention of files", TICK_S, self.tick)

    def start(self) -> None:
        """Begin, in a thread of its own, if files do not stay for ever."""
        if self._policy.file_days:
            self._repeating.start()

    def stop(self, grace_s: float) -> None:
        """End it, after the step that is under way."""
        del grace_s
        self._stopping.set()
        self._repeating.stop()

    def tick(self) -> None:
        """Do the run that is due or requested.

        Raises:
            DatabaseAwayError: a later tick goes on.
        """
        now = self._clock()
        before = self._policy.files_before(now)
        if before is None:
            return
        with self._database.read() as session:
            if not runs.is_wanted(session, FILES, now):
                return
        with self._database.write() as session:
            lease = runs.begin(session, FILES, self._token, now)
        if lease is None:
            return
        detail = ""
        try:
            ended = all(self._remove(lease, before, delivered=delivered) for delivered in (True, False))
        except ObjectWriteError as error:
            ended, detail = True, f"a file could not be removed: {error}"
            log.warning("old files not removed", error=str(error))
        if ended:
            with self._database.write() as session:
                removed = runs.end(session, lease, detail, self._clock())
            if removed:
                log.info("old files removed", **removed)

    def _remove(self, lease: RunLease, before: datetime, *, delivered: bool) -> bool:
        """Remove what is old until enough is free; False if the run is not to be ended here."""
        place: Place | None = None
        for _ in range(_STEPS):
            if self._stopping.is_set():
                return False
            if self._is_enough_free():
                return True
            began = self._monotonic()
            with self._database.write() as session:
                if not lease.renew(session, self._clock()):
                    return False
                files = next_expired(session, before, place, delivered=delivered)
                marked = mark_removed(session, files)
            if not files:
                return True
            place = files[-1].last_received_at, files[-1].sop_instance_uid
            self._unlink(marked, before)
            took_s = self._monotonic() - began
            self._stopping.wait(min(took_s * (1 - _BUSY_SHARE) / _BUSY_SHARE, _LONGEST_PAUSE_S))
        return True

    def _is_enough_free(self) -> bool:
        goal, space = self._policy.free_goal_bytes, self._folder.space.free("objects")
        return bool(goal) and space is not None and space.free_bytes >= goal

    def _unlink(self, files: Sequence[ExpiredFile], before: datetime) -> None:
        """Remove marked files; what is still there afterwards is marked as stored again.

        Raises:
            ObjectWriteError: a file cannot be removed; nor were those after it.
        """
        left = list(files)
        stay: list[ExpiredFile] = []
        removed: Counter[str] = Counter()
        try:
            while left:
                file = left[0]
                if self._folder.remove(file.path, before.timestamp()):
                    removed += Counter(files=1, bytes=file.size_bytes)
                else:
                    stay.append(file)
                left.pop(0)
        finally:
            with self._database.write() as session:
                take_back(session, [*stay, *left])
                runs.add_removed(session, FILES, removed)
