"""Old files go, those that were handed over first; what is needed or comes again stays."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from services.store.index import file_retention
from services.store.index.file_retention import FileRetention
from services.store.objects.durable_folder import ObjectFolder
from services.store.objects.errors import ObjectWriteError
from services.store.objects.kept import Duplicate, ReceivedObject, Stored
from shared.clock import utc_now
from shared.database.models import (
    AuditEntry,
    HandoverBatch,
    HandoverMark,
    HandoverObject,
    ReportSummary,
    RetentionRun,
    StoredObject,
)
from shared.database.session import Database
from shared.reading.retention.preview import retention_preview
from shared.retention.policy import RetentionPolicy
from tests.support.jobs.rows import a_query, a_retrieve, an_expected
from tests.support.services.store import DicomObject, made_object

DAY = dt.timedelta(days=1)
POLICY = RetentionPolicy(file_days=30)


class Shelf:
    """Stored files of any age."""

    def __init__(self, database: Database, root: Path) -> None:
        self.database, self.now = database, utc_now()
        self.folder = ObjectFolder(root)
        self.folder.open()
        self.made: list[DicomObject] = []

    def store(self, days: float, *, batch: str = "", sop_class_uid: str = "1.2", study: str = "") -> str:
        """Keep an object since so many days; `batch`: the state of the batch that it is in."""
        made = made_object(len(self.made) + 1)
        self.made.append(made)
        self.folder.store(received(made))
        at = self.now - days * DAY
        os.utime(self.folder.root / made.path, (at.timestamp(), at.timestamp()))
        uid, identity = made.sop_instance_uid, made.identity
        sha256 = hashlib.sha256(made.data_set).hexdigest()
        uids = {
            "sop_instance_uid": uid,
            "series_instance_uid": str(identity.series_instance_uid),
            "study_instance_uid": study or str(identity.study_instance_uid),
        }
        with self.database.write() as session:
            session.add(
                StoredObject(
                    **uids, sop_class_uid=sop_class_uid, source="store", path=made.path, size_bytes=100,
                    sha256=sha256, received_at=at, last_received_at=at,
                )
            )  # fmt: skip
            if batch:
                times = dict.fromkeys(("created_at", "last_added_at", "due_at"), at)
                session.add(HandoverBatch(id=uid, state=batch, objects=1, attempts=1, **times))
                session.flush()
                session.add(
                    HandoverObject(**uids, sha256=sha256, batch_id=uid, path=made.path, size_bytes=100)
                )
        return uid

    def retention(self, policy: RetentionPolicy = POLICY) -> FileRetention:
        return FileRetention(self.database, self.folder, policy, lambda: self.now)

    def files(self) -> set[str]:
        """Return the UIDs of the objects whose files are there."""
        return {made.sop_instance_uid for made in self.made if self.folder.has(made.path)}

    def sources(self) -> dict[str, str]:
        with self.database.read() as session:
            columns = (StoredObject.sop_instance_uid, StoredObject.source)
            return {row.sop_instance_uid: row.source for row in session.execute(select(*columns))}


def received(made: DicomObject) -> ReceivedObject:
    return ReceivedObject(made.identity, made.transfer_syntax_uid, "TEST", made.data_set)


@pytest.fixture
def shelf(database: Database, tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(database, tmp_path / "objects")
    yield made
    made.folder.close()


def test_old_files_go_and_stay_known_while_what_is_needed_stays(shelf: Shelf) -> None:
    # Given
    old, delivered = shelf.store(31), shelf.store(40, batch="done")
    young = shelf.store(29)
    undelivered, given_up = shelf.store(31, batch="waiting"), shelf.store(31, batch="failed")
    unread = shelf.store(31, sop_class_uid="1.2.840.10008.5.1.4.1.1.88.67")
    read = shelf.store(31, sop_class_uid="1.2.840.10008.5.1.4.1.1.88.67")
    retrieved = shelf.store(31, study="1.7")
    with shelf.database.write() as session:
        session.add(ReportSummary(sop_instance_uid=read, read_at=shelf.now))
        session.add(a_query())
        session.flush()
        session.add(a_retrieve("r", status="running"))
        session.flush()
        session.add(an_expected("1.7", "1.9", "1.9.9", "r"))
    preview = _preview(shelf, POLICY)
    # When
    shelf.retention().tick()
    # Then
    assert shelf.files() == {young, undelivered, given_up, unread, retrieved}
    assert {uid for uid, source in shelf.sources().items() if source == "removed"} == {old, delivered, read}
    assert (preview["files"], preview["delivered"], preview["kept_back"]) == (3, 1, 4)
    with shelf.database.read() as session:
        run = session.get_one(RetentionRun, "files")
        assert run.totals == {"files": 3, "bytes": 300}
        assert session.scalars(select(AuditEntry.action)).all() == ["retention of files"]
    assert _preview(shelf, POLICY)["files"] == 0


def _preview(shelf: Shelf, policy: RetentionPolicy) -> dict[str, object]:
    with shelf.database.read() as session:
        return dict(retention_preview(session, policy, shelf.folder.root, shelf.now)["files"])


def test_delivered_files_go_first_until_enough_is_free(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given
    monkeypatch.setattr(file_retention, "FILES_AT_ONCE", 1)
    plain = [shelf.store(days) for days in (90, 80)]
    delivered = [shelf.store(days, batch="done") for days in (40, 50)]
    goal = RetentionPolicy(file_days=30, free_goal_bytes=1000)
    # Each file that goes makes 400 bytes free.
    monkeypatch.setattr(
        FileRetention, "_is_enough_free", lambda _: (4 - len(shelf.files())) * 400 >= goal.free_goal_bytes
    )
    # When
    shelf.retention(goal).tick()
    # Then
    assert shelf.files() == {plain[1]}
    assert set(shelf.sources()) == {*plain, *delivered}


def test_what_came_while_handover_was_off_stays(shelf: Shelf) -> None:
    # Given hand-over reached so far, and may be switched on again
    before, after = shelf.store(60), shelf.store(40)
    with shelf.database.write() as session:
        session.add(HandoverMark(id=1, received_until=shelf.now - 50 * DAY))
    # When
    shelf.retention().tick()
    # Then
    assert shelf.files() == {after}
    assert before not in shelf.files()


def test_a_file_that_comes_again_while_it_goes_stays(shelf: Shelf) -> None:
    # Given its row is marked, and its sender sends it again before the file is gone
    uid = shelf.store(31)
    retention = shelf.retention()
    made, remove = shelf.made[0], shelf.folder.remove

    def receive_and_remove(path: str, received_before: float) -> bool:
        assert isinstance(shelf.folder.store(received(made)), Duplicate)
        return remove(path, received_before)

    shelf.folder.remove = receive_and_remove  # type: ignore[method-assign]
    # When
    retention.tick()
    # Then
    assert shelf.files() == {uid}
    assert shelf.sources() == {uid: "store"}
    # And: one that is gone can come again
    shelf.folder.remove = remove  # type: ignore[method-assign]
    os.utime(shelf.folder.root / made.path, (0, 0))
    assert shelf.folder.remove(made.path, 1.0)
    assert isinstance(shelf.folder.store(received(made)), Stored)


def test_a_file_of_a_process_that_died_is_put_back(shelf: Shelf) -> None:
    # Given a process that was about to remove it
    uid = shelf.store(31)
    made, dead = shelf.made[0], shelf.folder.root / ".incoming" / "dead"
    dead.mkdir()
    (dead / "lock").touch()
    (shelf.folder.root / made.path).rename(dead / f"{made.path.replace('/', '_')}.leaving")
    assert shelf.files() == set()
    # When
    ObjectFolder(shelf.folder.root).open()
    # Then
    assert shelf.files() == {uid}


def test_a_folder_that_cannot_be_written_loses_nothing(shelf: Shelf) -> None:
    # Given
    uids = {shelf.store(31), shelf.store(32)}

    def refuse(path: str, received_before: float) -> bool:
        raise ObjectWriteError("the file system may only be read")

    shelf.folder.remove = refuse  # type: ignore[method-assign]
    # When
    shelf.retention().tick()
    # Then
    assert shelf.files() == uids
    assert set(shelf.sources().values()) == {"store"}
    with shelf.database.read() as session:
        assert "only be read" in session.get_one(RetentionRun, "files").detail
