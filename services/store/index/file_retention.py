"""Removes old files, in a thread of each replica of the store; one of them at a time does it."""

from __future__ import annotations

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
from shared.database.models.store import REMOVED, STORE, StoredObject
from shared.database.session import Database, Session
from shared.reading.retention.due_files import is_delivered, is_free, old_enough
from shared.retention import runs
from shared.retention.policy import FILES, RetentionPolicy
from shared.retention.removal import STEPS, Removal, RemovalSteps

log = structlog.get_logger(__name__)

#: Files of one step, at most.
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
    session: Session, before: datetime, after: Place | None, most: int, *, delivered: bool
) -> list[ExpiredFile]:
    """Return the oldest files behind a place that may go, those that were handed over or the others."""
    at, uid = StoredObject.last_received_at, StoredObject.sop_instance_uid
    which = [*old_enough(before), *is_free(session), is_delivered() if delivered else ~is_delivered()]
    if after is not None:
        which.append(or_(at > after[0], and_(at == after[0], uid > after[1])))
    columns = (uid, StoredObject.path, StoredObject.size_bytes, at)
    rows = session.execute(select(*columns).where(*which).order_by(at, uid).limit(most))
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


class FileRetention(Removal):
    """Removes files that are older than the policy keeps them, those that were handed over first."""

    def __init__(
        self,
        database: Database,
        folder: ObjectFolder,
        policy: RetentionPolicy,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(database, FILES, policy.files_before, self._remove_all, clock, monotonic)
        self._folder = folder
        self._policy = policy

    def _remove_all(self, steps: RemovalSteps, before: datetime) -> str:
        try:
            for delivered in (True, False):
                self._remove_some(steps, before, delivered=delivered)
        except ObjectWriteError as error:
            log.warning("old files not removed", error=str(error))
            return f"a file could not be removed: {error}"
        return ""

    def _remove_some(self, steps: RemovalSteps, before: datetime, *, delivered: bool) -> None:
        """Remove what is old until enough is free."""
        place: Place | None = None

        def mark(session: Session) -> tuple[list[ExpiredFile], Place | None]:
            most = steps.part_of(FILES_AT_ONCE)
            files = next_expired(session, before, place, most, delivered=delivered)
            last = (files[-1].last_received_at, files[-1].sop_instance_uid) if files else None
            return mark_removed(session, files), last

        for _ in range(STEPS):
            if steps.stopping or self._is_enough_free():
                return
            _, place = steps.step(mark, lambda marked: self._unlink(marked[0], before))
            if place is None:
                return

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
