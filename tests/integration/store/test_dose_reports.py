"""Reports that arrive are read beside the association; those that cannot be read are marked, and kept."""

from __future__ import annotations

import io
import os
import resource
import signal
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import select

from services.store.dose_reports.reader import BATCH_SIZE, MAX_ATTEMPTS, ReportReader
from services.store.dose_reports.reader_main import (
    AUTOGROUP,
    MAX_ADDRESS_SPACE_BYTES,
    NICENESS,
    SESSION_NICENESS,
    CpuLimitError,
    limited_cpu,
)
from services.store.dose_reports.reader_process import ReaderProcess, ReadFailedError
from services.store.index.unread_reports import unread_reports
from shared.clock import utc_now
from shared.database.models import ReportSummary, StoredObject
from shared.database.session import Database
from shared.dose.concepts import READ_CLASSES
from shared.dose.reports import MAX_SEQUENCE_ITEMS
from tests.support.waiting import wait_until
from tests.unit.dose.test_reports import report

RDSR = "1.2.840.10008.5.1.4.1.1.88.67"


def stored(
    database: Database, root: Path, uid: str, content: Dataset | bytes, sop_class_uid: str = RDSR
) -> None:
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
                sop_class_uid=sop_class_uid,
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
def readers(database: Database, tmp_path: Path):
    """Return two readers over the same folder, as two processes have them."""
    both = [ReportReader(database, tmp_path, poll_interval_s=0.05) for _ in range(2)]
    yield both
    for reader in both:
        with suppress(RuntimeError):
            reader.stop(5.0)


def test_reports_that_arrived_while_no_store_ran_are_read_once(database, readers, tmp_path):
    # Given
    for number in range(30):
        stored(
            database, tmp_path, f"1.3.{number}", report("rdsr_ct"), READ_CLASSES[number % len(READ_CLASSES)]
        )
    stored(database, tmp_path, "1.4", b"an image", "1.2.840.10008.5.1.4.1.1.2")
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


def bomb(values: int) -> bytes:
    """Return a report with one measurement of so many values."""
    ds = report("rdsr_ct")
    numeric_value = b"\\".join([b"1"] * values)
    measured = element(0x0040A30A, b"UN", numeric_value)
    measurement = element(0x0040A040, b"CS", b"NUM ") + element(0x0040A300, b"SQ", item(measured))
    content = element(0x0040A730, b"SQ", item(measurement))
    del ds.ContentSequence
    head = io.BytesIO()
    ds.save_as(head, enforce_file_format=True)
    return head.getvalue() + content


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    """Encode an element in Explicit VR Little Endian."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    if vr in (b"SQ", b"UN"):
        return head + struct.pack("<xxL", len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def item(value: bytes) -> bytes:
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(value)) + value


def test_millions_of_values_cost_no_more_than_their_bytes(tmp_path):
    # Given
    (tmp_path / "bomb.dcm").write_bytes(bomb(5_700_000))
    process = ReaderProcess()
    # When
    result = process.read(tmp_path / "bomb.dcm")
    assert process.pid is not None
    status = Path(f"/proc/{process.pid}/status").read_text()
    process.close()
    # Then
    peak_kb = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
    assert result["unreadable"] == ""
    assert peak_kb < 256 << 10


def test_a_report_of_the_most_items_is_read_within_the_memory(tmp_path):
    # Given
    code = element(0x0040A043, b"SQ", item(element(0x00080100, b"SH", b"113706")))
    items = (MAX_SEQUENCE_ITEMS - 10) // 2
    ds = report("rdsr_ct")
    del ds.ContentSequence
    head = io.BytesIO()
    ds.save_as(head, enforce_file_format=True)
    content = element(0x0040A730, b"SQ", item(code) * items)
    (tmp_path / "1.dcm").write_bytes(head.getvalue() + content)
    process = ReaderProcess()
    # When
    result = process.read(tmp_path / "1.dcm")
    process.close()
    # Then
    assert (result["unreadable"], result["error"]) in {("", ""), ("too_large", ""), ("too_costly", "")}


def test_memory_beyond_the_bound_marks_the_report_and_the_process_goes_on(tmp_path):
    # Given a process that has hardly any memory left
    report("rdsr_ct").save_as(tmp_path / "1.dcm", enforce_file_format=True)
    process = ReaderProcess()
    assert process.read(tmp_path / "1.dcm")["unreadable"] == ""
    assert process.pid is not None
    pid = process.pid
    used = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(pid, resource.RLIMIT_AS, (used + (8 << 20), 512 << 20))
    (tmp_path / "2.dcm").write_bytes(bomb(5_000_000))
    # When
    costly = process.read(tmp_path / "2.dcm")
    other = process.read(tmp_path / "1.dcm")
    # Then
    assert (costly["unreadable"], other["unreadable"], process.pid) == ("too_costly", "", pid)
    process.close()


def test_the_memory_of_the_process_is_bounded(tmp_path):
    # Given
    report("rdsr_ct").save_as(tmp_path / "1.dcm", enforce_file_format=True)
    process = ReaderProcess()
    # When
    process.read(tmp_path / "1.dcm")
    assert process.pid is not None
    limit = resource.prlimit(process.pid, resource.RLIMIT_AS)
    process.close()
    # Then
    assert limit == (MAX_ADDRESS_SPACE_BYTES, MAX_ADDRESS_SPACE_BYTES)


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="the kernel shares processors between processes only")
def test_reading_takes_processors_after_every_other_session(tmp_path):
    # Given
    report("rdsr_ct").save_as(tmp_path / "1.dcm", enforce_file_format=True)
    process = ReaderProcess()
    # When
    process.read(tmp_path / "1.dcm")
    assert process.pid is not None
    own = os.getpriority(os.PRIO_PROCESS, process.pid)
    session = Path(f"/proc/{process.pid}/autogroup").read_text().split()[-1]
    process.close()
    # Then
    assert (own, session) == (NICENESS, str(SESSION_NICENESS))


def test_processor_time_beyond_the_bound_is_an_error():
    # Given
    def compute() -> None:
        while True:
            pass

    # When
    with pytest.raises(CpuLimitError), limited_cpu(0):
        compute()
    # Then
    assert resource.getrlimit(resource.RLIMIT_CPU)[0] == resource.RLIM_INFINITY


def test_new_reports_keep_no_old_one_waiting(database, tmp_path):
    # Given an old report, and more new ones than are looked up together
    for number in range(2 * BATCH_SIZE):
        stored(database, tmp_path, f"1.3.{number}", b"")
    # When
    uids = [unread.sop_instance_uid for unread in unread_reports(database, BATCH_SIZE)]
    # Then the newest and the oldest come in turn
    assert uids[:4] == [f"1.3.{2 * BATCH_SIZE - 1}", "1.3.0", f"1.3.{2 * BATCH_SIZE - 2}", "1.3.1"]
    assert len(set(uids)) == BATCH_SIZE


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
    process.end_if_idle()
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
