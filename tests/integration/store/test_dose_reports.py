"""Reports that arrive are read beside the association; those that cannot be read are marked, and kept."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import select

from services.store.dose_reports.reader import MAX_ATTEMPTS, ReportReader
from services.store.dose_reports.reader_process import ReaderProcess, ReadFailedError
from shared.clock import utc_now
from shared.database.models import ReportSummary, StoredObject
from shared.database.session import Database
from tests.support.waiting import wait_until
from tests.unit.dose.test_reports import report

RDSR = "1.2.840.10008.5.1.4.1.1.88.67"


def stored(database: Database, root: Path, uid: str, content: Dataset | bytes) -> None:
    """Put a report on disk and make it known."""
    path = root / f"{uid}.dcm"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content.save_as(path, enforce_file_format=True)
    now = utc_now()
    with database.write() as session:
        session.add(
            StoredObject(
                sop_instance_uid=uid,
                series_instance_uid="1.2",
                study_instance_uid="1.1",
                sop_class_uid=RDSR,
                source="store",
                path=path.name,
                received_at=now,
                last_received_at=now,
            )
        )


def rows(database: Database) -> dict[str, ReportSummary]:
    with database.read() as session:
        return {row.sop_instance_uid: row for row in session.scalars(select(ReportSummary))}


@pytest.fixture
def reader(database: Database, tmp_path: Path):
    """Return two readers over the same folder, as two processes have them."""
    readers = [ReportReader(database, tmp_path, poll_interval_s=0.05) for _ in range(2)]
    yield readers
    for reader in readers:
        with suppress(RuntimeError):
            reader.stop(5.0)


def test_reports_that_arrived_while_nobody_looked_are_read_once(database, readers, tmp_path):
    # Given
    for number in range(30):
        stored(database, tmp_path, f"1.3.{number}", report("rdsr_ct"))
    # When
    for reader in readers:
        reader.start()
    # Then
    wait_until(lambda: len(rows(database)) == 30)
    assert {(row.summary or {})["kind"] for row in rows(database).values()} == {"ct"}


def test_a_report_that_cannot_be_read_is_marked_and_the_next_is_read(database, readers, tmp_path):
    # Given
    stored(database, tmp_path, "1.3.1", b"no report at all")
    stored(database, tmp_path, "1.3.2", report("rdsr_mg"))
    stored(database, tmp_path, "1.3.3", report("rdsr_dx"))
    (tmp_path / "1.3.3.dcm").unlink()
    # When
    readers[0].start()
    # Then
    wait_until(lambda: len(rows(database)) == 3)
    found = rows(database)
    assert {uid: row.unreadable for uid, row in found.items()} == {
        "1.3.1": "malformed",
        "1.3.2": "",
        "1.3.3": "no_file",
    }


class _Killed(ReaderProcess):
    """Is killed whenever it is to read a certain report, as by a system that is out of memory."""

    deadly = "1.3.1.dcm"
    deaths = 0

    def read(self, path: Path):
        if path.name == self.deadly:
            self._started()
            assert self.pid is not None
            os.kill(self.pid, signal.SIGKILL)
            self.deaths += 1
        return super().read(path)


def test_a_report_that_kills_its_reader_is_marked_and_the_others_are_read(database, tmp_path):
    # Given
    process = _Killed()
    for number in range(3):
        stored(database, tmp_path, f"1.3.{number}", report("rdsr_ct"))
    reader = ReportReader(database, tmp_path, process=process, poll_interval_s=0.05)
    # When
    reader.start()
    # Then
    try:
        wait_until(lambda: len(rows(database)) == 3)
    finally:
        reader.stop(5.0)
    assert {uid: row.unreadable for uid, row in rows(database).items()} == {
        "1.3.0": "",
        "1.3.1": "defect",
        "1.3.2": "",
    }
    assert process.deaths == MAX_ATTEMPTS


def test_a_reader_that_is_killed_once_reads_the_report_in_its_next_life(tmp_path):
    # Given
    report("rdsr_ct").save_as(tmp_path / "1.dcm", enforce_file_format=True)
    process = ReaderProcess()
    first = process.read(tmp_path / "1.dcm")
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    # When
    with pytest.raises(ReadFailedError):
        process.read(tmp_path / "1.dcm")
    second = process.read(tmp_path / "1.dcm")
    process.close()
    # Then
    assert (first, first["unreadable"]) == (second, "")


def test_a_report_that_takes_too_long_is_given_up_with_its_process(tmp_path):
    # Given: a file that never ends to be opened
    os.mkfifo(tmp_path / "1.dcm")
    process = ReaderProcess(timeout_s=0.5)
    # When
    with pytest.raises(ReadFailedError, match="within"):
        process.read(tmp_path / "1.dcm")
    # Then
    assert process.pid is None


def test_an_idle_process_is_ended_and_started_again_when_needed(tmp_path):
    # Given
    report("rdsr_ct").save_as(tmp_path / "1.dcm", enforce_file_format=True)
    process = ReaderProcess(idle_s=0.0)
    process.read(tmp_path / "1.dcm")
    # When
    process.rest()
    ended = process.pid is None
    again = process.read(tmp_path / "1.dcm")
    process.close()
    # Then
    assert ended
    assert again["summary"] is not None


def test_a_stop_does_not_wait_for_a_report_that_never_ends(database, tmp_path):
    # Given
    stored(database, tmp_path, "1.3.1", b"")
    (tmp_path / "1.3.1.dcm").unlink()
    os.mkfifo(tmp_path / "1.3.1.dcm")
    process = ReaderProcess()
    reader = ReportReader(database, tmp_path, process=process, poll_interval_s=0.05)
    reader.start()
    wait_until(lambda: process.pid is not None)
    # When
    reader.stop(0.5)
    # Then
    assert process.pid is None
    assert rows(database) == {}
