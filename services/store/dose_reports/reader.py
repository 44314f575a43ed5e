"""Has the dose reports that arrived read, outside of any association's path, and keeps what they say.

Whatever a report holds, it is stored: one that cannot be read is marked so. It may run beside itself in other
processes: a report is then read twice and written once.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import select

from services.store.dose_reports.reader_main import ReadResult
from services.store.dose_reports.reader_process import ReaderProcess, ReadFailedError
from shared.clock import Clock, utc_now
from shared.database.models import ReportSummary, StoredObject
from shared.database.session import Database
from shared.database.upsert import insert_missing
from shared.dose.reports import REPORT_CLASSES
from shared.errors import DatabaseAwayError

log = structlog.get_logger(__name__)

#: Reports that are read before what they say is written.
BATCH_SIZE = 20
#: How often it is looked for reports that nobody has read, in seconds.
POLL_INTERVAL_S = 2.0
#: A report over which so many processes died in a row is not tried again.
MAX_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class _Report:
    sop_instance_uid: str
    path: str


class ReportReader:
    """Has reports read by a process of its own, from a thread of its own."""

    def __init__(
        self,
        database: Database,
        root: Path,
        *,
        process: ReaderProcess | None = None,
        clock: Clock = utc_now,
        poll_interval_s: float = POLL_INTERVAL_S,
    ) -> None:
        """`root` is the folder below which objects lie."""
        self._process = process or ReaderProcess()
        self._database = database
        self._root = root
        self._clock = clock
        self._look_s = poll_interval_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="report-reader", daemon=True)

    def start(self) -> None:
        """Start the thread; reports that arrived while nobody looked come first."""
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """End after the report in hand, or without it if it takes longer than the grace."""
        self._stopping.set()
        self._thread.join(grace_s)
        self._process.end()
        self._thread.join(grace_s)

    def _run(self) -> None:
        try:
            self._read_on()
        finally:
            self._process.close()

    def _read_on(self) -> None:
        while not self._stopping.is_set():
            try:
                more = self._read_some()
            except DatabaseAwayError as error:
                log.warning("reports not read", error=str(error))
                more = False
            except Exception:
                log.exception("reports not read")
                more = False
            if not more:
                self._process.rest()
                self._stopping.wait(self._look_s)

    def _read_some(self) -> bool:
        """Read some reports; tell whether there may be more."""
        reports = self._unread()
        rows = [row for report in reports if (row := self._row(report)) is not None]
        if rows:
            with self._database.write() as session:
                insert_missing(session, ReportSummary, rows)
        return len(reports) == BATCH_SIZE

    def _unread(self) -> Sequence[_Report]:
        read = select(ReportSummary.sop_instance_uid).where(
            ReportSummary.sop_instance_uid == StoredObject.sop_instance_uid
        )
        unread = (
            select(StoredObject.sop_instance_uid, StoredObject.path)
            .where(
                StoredObject.source == "store",
                StoredObject.sop_class_uid.in_(REPORT_CLASSES),
                ~read.exists(),
            )
            .order_by(StoredObject.received_at.desc())
            .limit(BATCH_SIZE)
        )
        with self._database.read() as session:
            return [_Report(*row) for row in session.execute(unread)]

    def _row(self, report: _Report) -> dict[str, Any] | None:
        """Return the row of a report; None for one that is left to the next start."""
        reading = self._reading(report)
        if reading is None:
            return None
        if reading["error"]:
            log.warning("report not read", path=report.path, error=reading["error"])
        if reading["unreadable"]:
            uid, reason = report.sop_instance_uid, reading["unreadable"]
            log.info("report not readable", sop_instance_uid=uid, reason=reason)
        return {
            "sop_instance_uid": report.sop_instance_uid,
            "unreadable": reading["unreadable"],
            "summary": reading["summary"],
            "read_at": self._clock(),
        }

    def _reading(self, report: _Report) -> ReadResult | None:
        for _ in range(MAX_ATTEMPTS):
            if self._stopping.is_set():
                return None
            try:
                return self._process.read(self._root / report.path)
            except ReadFailedError as error:
                # By itself, or by whoever ended its process.
                log.warning("report reader ended", path=report.path, error=str(error))
        if self._stopping.is_set():
            return None
        return ReadResult(summary=None, unreadable="defect", error="")
