"""Reports that arrive are read beside the association; those that cannot be read are marked, and kept."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import select

from services.store.summaries import Reader
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
    readers = [Reader(database, tmp_path, look_s=0.05) for _ in range(2)]
    yield readers
    for one in readers:
        with suppress(RuntimeError):
            one.stop(5.0)


def test_reports_that_arrived_while_nobody_looked_are_read_once(database, reader, tmp_path):
    # Given
    for number in range(30):
        stored(database, tmp_path, f"1.3.{number}", report("rdsr_ct"))
    # When
    for one in reader:
        one.start()
    # Then
    wait_until(lambda: len(rows(database)) == 30)
    assert {(row.summary or {})["kind"] for row in rows(database).values()} == {"ct"}


def test_a_report_that_cannot_be_read_is_marked_and_the_next_is_read(database, reader, tmp_path):
    # Given
    stored(database, tmp_path, "1.3.1", b"no report at all")
    stored(database, tmp_path, "1.3.2", report("rdsr_mg"))
    stored(database, tmp_path, "1.3.3", report("rdsr_dx"))
    (tmp_path / "1.3.3.dcm").unlink()
    # When
    reader[0].start()
    # Then
    wait_until(lambda: len(rows(database)) == 3)
    found = rows(database)
    assert {uid: row.unreadable for uid, row in found.items()} == {
        "1.3.1": "malformed",
        "1.3.2": "",
        "1.3.3": "no_file",
    }
