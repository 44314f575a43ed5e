"""A folder with objects that are known, retrieves that expect them, and importers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from services.store.handover.model import Batch, HandoverError, Send
from services.store.handover.worker import HandoverWorker
from services.store.objects.durable_folder import ObjectFolder
from shared.database.models import HandoverBatch, HandoverMark, Query, Retrieve, RetrieveObject, StoredObject
from shared.database.session import Database
from tests.support.jobs.rows import a_query, a_retrieve, an_expected
from tests.support.waiting import wait_until

START = datetime(2024, 5, 1, 12, tzinfo=UTC)


class Time:
    """A clock that tests set; it moves on only by their word."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Importer:
    """An importer that remembers its batches, and refuses as often as a test wants."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.refusals = 0

    def __call__(self, batch: Batch) -> None:
        self.batches.append(batch)
        if self.refusals > 0:
            self.refusals -= 1
            raise HandoverError("http_status", "The importer responded with HTTP status 503.")

    @property
    def objects(self) -> list[list[str]]:
        return [[member.sop_instance_uid for member in batch.objects] for batch in self.batches]


class Ward:
    """What hand-over works on."""

    def __init__(self, database: Database, root: Path) -> None:
        self.database = database
        self.folder = ObjectFolder(root)
        self.folder.open()
        self.time = Time()
        self._workers: list[HandoverWorker] = []

    def arrives(self, *uids: str, study: str = "1.1", sha256: str = "a" * 64) -> None:
        """Make objects known as just received."""
        with self.database.write() as session:
            for uid in uids:
                session.merge(
                    StoredObject(
                        sop_instance_uid=uid,
                        series_instance_uid="1.2",
                        study_instance_uid=study,
                        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.67",
                        source="store",
                        path=f"{study}/1.2/{uid}.dcm",
                        size_bytes=10,
                        sha256=sha256,
                        received_at=self.time.now,
                        last_received_at=self.time.now,
                    )
                )

    def retrieve(self, job_id: str, *uids: str, status: str = "running", **columns: Any) -> None:
        """Let a retrieve expect objects."""
        with self.database.write() as session:
            if session.get(Query, "query-1") is None:
                session.add(a_query())
                session.flush()
            session.add(a_retrieve(job_id, status=status, **columns))
            session.flush()
            session.add_all(an_expected("1.1", "1.2", uid, job_id, state="asked") for uid in uids)

    def ends(self, job_id: str) -> None:
        with self.database.write() as session:
            job = session.get_one(Retrieve, job_id)
            job.status, job.ended_at = "completed", self.time.now
            for row in session.scalars(select(RetrieveObject).where(RetrieveObject.job_id == job_id)):
                row.state = "arrived"

    def mark(self) -> None:
        """Let hand-over have begun before."""
        with self.database.write() as session:
            session.merge(HandoverMark(id=1, received_until=self.time.now))

    def starts(self, send: Send, *, pauses: tuple[float, ...] = (10.0, 60.0), **more: Any) -> HandoverWorker:
        more.setdefault("stopping", threading.Event())
        worker = HandoverWorker(
            self.database, self.folder, send, pauses=pauses, poll_interval_s=0.02, clock=self.time, **more
        )
        self._workers.append(worker)
        worker.start()
        return worker

    def batches(self) -> list[HandoverBatch]:
        with self.database.read() as session:
            return list(session.scalars(select(HandoverBatch).order_by(HandoverBatch.created_at)))

    def until(self, states: list[str]) -> list[HandoverBatch]:
        """Wait until the batches stand so."""
        wait_until(lambda: sorted(batch.state for batch in self.batches()) == sorted(states))
        return self.batches()

    def close(self) -> None:
        for worker in self._workers:
            worker.stop(10.0)
        self.folder.close()


@pytest.fixture
def ward(sqlite_database: Database, tmp_path: Path) -> Iterator[Ward]:
    """A ward on SQLite."""
    made = Ward(sqlite_database, tmp_path / "objects")
    yield made
    made.close()


@pytest.fixture
def any_ward(database: Database, tmp_path: Path) -> Iterator[Ward]:
    """A ward on SQLite and on PostgreSQL."""
    made = Ward(database, tmp_path / "objects")
    yield made
    made.close()


@pytest.fixture
def importer() -> Importer:
    return Importer()


MakeBatch = Callable[..., Batch]
