"""Reports that an earlier version has read are read anew, on request, beside a store that runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import update

from services.store.dose_reports.read_result import ReadResult
from services.store.dose_reports.reader import BATCH_SIZE
from services.store.dose_reports.reader_process import ReaderProcess, ReadFailedError
from services.store.dose_reports.reread import RereadCounts, reread_reports
from services.store.index.earlier_reports import number_of_reports
from shared.database.models import ReportSummary, StoredObject
from shared.database.models.store import REMOVED
from shared.database.session import Database
from shared.dose.summary import SummaryJson
from tests.integration.store.test_dose_reports import rows, stored

BEFORE = datetime(2026, 3, 1, tzinfo=UTC)
OLD, NEW = BEFORE - timedelta(days=1), BEFORE + timedelta(hours=1)


def summary(events: int) -> SummaryJson:
    return {"kind": "ct", "events": events, "figures": []}


def known(database: Database, root: Path, uid: str, old: SummaryJson | None, unreadable: str = "") -> None:
    """Store a report that an earlier version has read."""
    stored(database, root, uid, b"a report")
    row = ReportSummary(sop_instance_uid=uid, summary=old, unreadable=unreadable, read_at=OLD)
    with database.write() as session:
        session.add(row)


class Reader(ReaderProcess):
    """Reads one event of every report, unless told otherwise, and names what it read."""

    def __init__(self, other: dict[str, ReadResult | None] | None = None) -> None:
        super().__init__()
        self.paths: list[str] = []
        self._other = other or {}

    def read(self, path: Path) -> ReadResult:
        self.paths.append(path.stem)
        result = self._other.get(path.stem, ReadResult(summary=summary(1), unreadable="", error=""))
        if result is None:
            raise ReadFailedError("the process ended")
        return result


def last(
    database: Database, root: Path, reader: Reader, *, dry_run: bool = False, limit: int | None = None
) -> RereadCounts:
    run = reread_reports(
        database, root, BEFORE, dry_run=dry_run, limit=limit, process=reader, clock=lambda: NEW
    )
    return [RereadCounts(), *run][-1]


def unreadable(reason: str) -> ReadResult:
    return ReadResult(summary=None, unreadable=reason, error="")


def test_figures_are_replaced_and_none_is_lost(database: Database, tmp_path: Path) -> None:
    # Given
    known(database, tmp_path, "1.1", summary(1))
    known(database, tmp_path, "1.2", summary(2))
    known(database, tmp_path, "1.3", None, "malformed")
    known(database, tmp_path, "1.4", None, "defect")
    known(database, tmp_path, "1.5", summary(5))
    known(database, tmp_path, "1.6", summary(6))
    known(database, tmp_path, "1.7", summary(7))
    with database.write() as session:
        session.execute(
            update(StoredObject).where(StoredObject.sop_instance_uid == "1.7").values(source=REMOVED)
        )
    reader = Reader({"1.4": unreadable("malformed"), "1.5": unreadable("no_file"), "1.6": None})
    # When
    only_counted = last(database, tmp_path, reader, dry_run=True)
    untouched = {row.read_at for row in rows(database).values()}
    counts = last(database, tmp_path, reader)
    # Then
    assert counts == only_counted == RereadCounts(read=6, changed=1, gained=1, unchanged=2, kept=2)
    assert untouched == {OLD}
    assert {uid: (row.summary, row.unreadable) for uid, row in rows(database).items()} == {
        "1.1": (summary(1), ""),
        "1.2": (summary(1), ""),
        "1.3": (summary(1), ""),
        "1.4": (None, "malformed"),
        "1.5": (summary(5), ""),
        "1.6": (summary(6), ""),
        "1.7": (summary(7), ""),
    }
    left = number_of_reports(database, BEFORE)
    assert (left.on_disk, left.without_file) == (0, 1)


def test_an_interrupted_run_goes_on_where_it_was(database: Database, tmp_path: Path) -> None:
    # Given: its process is killed after the first batch
    number = BATCH_SIZE + 5
    for place in range(number):
        known(database, tmp_path, f"1.{place:03}", summary(2))
    reader = Reader()
    run = reread_reports(database, tmp_path, BEFORE, process=reader, clock=lambda: NEW)
    next(run)
    run.close()
    # When
    limited = last(database, tmp_path, reader, limit=2)
    rest = last(database, tmp_path, reader)
    again = last(database, tmp_path, reader)
    # Then
    assert (limited.read, rest.read, again.read) == (2, 3, 0)
    assert len(reader.paths) == len(set(reader.paths)) == number


def test_what_the_store_has_read_meanwhile_stays(database: Database, tmp_path: Path) -> None:
    # Given: the object came again, and the store has read it, while it is read anew
    known(database, tmp_path, "1.1", summary(2))

    class Overtaken(Reader):
        def read(self, path: Path) -> ReadResult:
            with database.write() as session:
                session.execute(update(ReportSummary).values(summary=summary(9), read_at=NEW))
            return super().read(path)

    # When
    last(database, tmp_path, Overtaken())
    # Then
    assert rows(database)["1.1"].summary == summary(9)
