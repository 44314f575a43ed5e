"""Half a year of nightly queries with retention on: ledger, folder and memory do not grow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from services.query.ledger.folding.job_retention import JobRetention
from services.query.tallier import Tallier
from services.store.index.file_retention import FileRetention
from services.store.objects.durable_folder import ObjectFolder
from shared.database.models import (
    Base,
    HandoverBatch,
    HandoverObject,
    Node,
    NodeStudy,
    Query,
    QueryFind,
    QueryObject,
    QuerySeries,
    QueryStudy,
    QueryTask,
    Retrieve,
    RetrieveObject,
    StoredObject,
)
from shared.database.session import Database
from shared.evidence.calendar import PROVEN
from shared.reading.evidence.calendar import calendar_json
from shared.retention.policy import RetentionPolicy
from shared.settings import Settings
from tests.bench.table import print_table
from tests.support.jobs.rows import (
    a_find,
    a_query,
    a_retrieve,
    a_series,
    a_study,
    a_task,
    an_expected,
    an_object,
)

WEEKS, SETTLED_WEEKS = 26, 8
STUDIES_OF_DAY = 40
POLICY = RetentionPolicy(job_days=30, file_days=14)
FIRST = date(2026, 1, 5)
REPORT = "1.2.840.10008.5.1.4.1.1.88.67"
#: Tables that retention bounds; `node_studies` and `stored_objects` keep a row of each study and object.
BOUNDED: tuple[type[Base], ...] = (
    *(Query, QueryTask, QueryFind, QueryStudy, QuerySeries, QueryObject, Retrieve, RetrieveObject),
)
#: More than this much growth after the first weeks is a leak.
GROWTH = 1.1

pytestmark = pytest.mark.timeout(1800)


@dataclass
class Clock:
    """A clock that the test sets."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


def columns(row: object) -> dict[str, object]:
    return {name: value for name, value in vars(row).items() if not name.startswith("_")}


class Night:
    """A nightly query of the last two days with its retrieve, all of which arrives and is handed over."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database, self._folder = database, folder
        self._stored: set[str] = set()

    def pass_by(self, now: datetime) -> None:
        today, job_id = now.date(), f"q{now:%Y%m%d}"
        days = [today - timedelta(days=2), today - timedelta(days=1)]
        uids = {f"1.2.{day:%Y%m%d}.{number}": day for day in days for number in range(STUDIES_OF_DAY)}
        new = [uid for uid in uids if uid not in self._stored]
        times = {"requested_at": now, "ended_at": now, "announced_at": now}
        criteria = {"types": ["CT"], "date_from": days[0].isoformat(), "date_until": days[1].isoformat()}
        query = a_query(
            job_id, criteria=criteria, today=today, days_from=days[0], days_until=days[1],
            studies_found=len(uids), **times,
        )  # fmt: skip
        with self._database.write() as session:
            session.add(query)
            session.flush()
            session.add(a_retrieve(f"{job_id}r", query_id=job_id, status="completed", **times))
            session.flush()
            rows: dict[type[Base], list[object]] = {
                QueryTask: [a_task(job_id, state="done") for _ in range(6)],
                QueryFind: [a_find(1, job_id) for _ in range(20)],
                QueryStudy: [
                    a_study(
                        uid, job_id, study_date=f"{day:%Y%m%d}", study_time="080000", accession_number=uid
                    )
                    for uid, day in uids.items()
                ],
                QuerySeries: [a_series(uid, f"{uid}.1", job_id, whole=False) for uid in uids],
                QueryObject: [an_object(uid, f"{uid}.1", f"{uid}.1.1", job_id) for uid in uids],
                RetrieveObject: [
                    an_expected(uid, f"{uid}.1", f"{uid}.1.1", f"{job_id}r", state="arrived") for uid in new
                ],
            }
            for table, made in rows.items():
                if made:
                    session.execute(insert(table), [columns(row) for row in made])
            self._store(session, job_id, new, now)

    def _store(self, session, job_id: str, uids: list[str], now: datetime) -> None:
        at = {"created_at": now, "last_added_at": now, "due_at": now, "ended_at": now}
        batch = {"id": job_id, "job_id": f"{job_id}r", "state": "done", "objects": len(uids), "attempts": 1}
        session.execute(insert(HandoverBatch), [batch | at])
        for uid in uids:
            path = f"{uid}/{uid}.1/{uid}.1.1.dcm"
            file = self._folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"report")
            os.utime(file, (now.timestamp(), now.timestamp()))
            names = {
                "study_instance_uid": uid,
                "series_instance_uid": f"{uid}.1",
                "sop_instance_uid": f"{uid}.1.1",
            }
            of_file = names | {"path": path, "size_bytes": 6, "sha256": "a" * 64}
            stored = {"source": "store", "received_at": now, "last_received_at": now, "sop_class_uid": "1.2"}
            session.execute(insert(StoredObject), [of_file | stored])
            session.execute(insert(HandoverObject), [of_file | {"batch_id": job_id}])
        self._stored.update(uids)


@dataclass(frozen=True)
class Week:
    """What there is at the end of a week."""

    number: int
    rows: dict[str, int]
    studies: int
    files: int
    database_bytes: int
    memory_bytes: int

    @property
    def bounded(self) -> int:
        return sum(self.rows.values())


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[ObjectFolder]:
    opened = ObjectFolder(tmp_path / "objects")
    opened.open()
    yield opened
    opened.close()


def test_half_a_year_with_retention_grows_by_folded_studies_alone(
    sqlite_database: Database, folder: ObjectFolder
) -> None:
    # Given
    database, clock = sqlite_database, Clock(datetime(2026, 1, 7, 2, tzinfo=UTC))
    with database.write() as session:
        session.add(
            Node(
                id=1, kind="remote", name="pacs", host="h", port=104, ae_title="P", created_at=clock.now,
                hours="", time_zone="",
            )
        )  # fmt: skip
    tallier = Tallier(database, clock)
    jobs = JobRetention(database, POLICY, clock)
    files = FileRetention(database, folder, POLICY, clock)
    night = Night(database, folder.root)
    weeks: list[Week] = []
    # When
    for number in range(1, WEEKS + 1):
        for _ in range(7):
            night.pass_by(clock.now)
            tallier.tick()
            clock.now += timedelta(hours=2)
            jobs.tick()
            files.tick()
            clock.now += timedelta(hours=22)
        weeks.append(measure(number, database, folder.root))
    # Then
    print_table(
        f"{WEEKS} weeks, {STUDIES_OF_DAY} studies a day; {POLICY.job_days} days of jobs",
        ("week", "rows of jobs", "folded studies", "files", "database KB", "memory MB"),
        [
            (
                week.number,
                week.bounded,
                week.studies,
                week.files,
                week.database_bytes // 1000,
                week.memory_bytes / 1e6,
            )
            for week in weeks[1::4]
        ],
    )
    settled, last = weeks[SETTLED_WEEKS - 1], weeks[-1]
    assert last.bounded <= settled.bounded * GROWTH
    assert last.files <= settled.files * GROWTH
    assert last.memory_bytes <= settled.memory_bytes * GROWTH
    assert last.studies == STUDIES_OF_DAY * (7 * WEEKS + 1)
    assert complete_days(database, clock.now) >= 7 * WEEKS - 2


def measure(number: int, database: Database, root: Path) -> Week:
    with database.read() as session:
        rows = {
            table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0
            for table in BOUNDED
        }
        studies = session.scalar(select(func.count()).select_from(NodeStudy)) or 0
    statm = Path("/proc/self/statm").read_text("ascii").split()
    files = sum(1 for _ in root.glob("*/*/*.dcm"))
    size = Path(str(database.url.database)).stat().st_size
    return Week(number, rows, studies, files, size, int(statm[1]) * os.sysconf("SC_PAGE_SIZE"))


def complete_days(database: Database, now: datetime) -> int:
    """Return how many days of the half year the calendar shows as proven."""
    found = 0
    with database.read() as session:
        node = session.get_one(Node, 1)
        for month in range(1, 8):
            shown = calendar_json(session, node, ["CT"], date(2026, month, 1), Settings(), now)
            found += sum(entry["state"] in PROVEN for entry in shown["types"][0]["days"])
    return found
