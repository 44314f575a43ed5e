"""Reads the dose reports that arrived, beside their reception, and keeps their summaries.

Whatever a report holds, it is stored: one that cannot be read is marked. Several processes may run a reader:
a report is then read twice and recorded once.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

import structlog

from services.store.dose_reports.read_result import ReadResult
from services.store.dose_reports.reader_process import ReaderProcess, ReadFailedError
from services.store.index.unread_reports import ReadReport, UnreadReport, record_summaries, unread_reports
from shared.clock import Clock, utc_now
from shared.database.session import Database
from shared.errors import DatabaseAwayError

log = structlog.get_logger(__name__)

#: Reports that are read from the database together.
BATCH_SIZE = 20
#: Seconds between two polls for reports that nobody has read.
POLL_INTERVAL_S = 2.0
#: Seconds after which summaries are recorded although others of their batch are not read yet.
RECORD_INTERVAL_S = 1.0
#: Processes that may die over one report before it is marked.
MAX_ATTEMPTS = 2


class ReportReader:
    """Reads reports in a process of their own, from a thread of its own."""

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
        self._poll_interval_s = poll_interval_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="report-reader", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """End after the report in hand, or without it if it takes longer than the grace."""
        self._stopping.set()
        self._thread.join(grace_s)
        self._process.end()
        self._thread.join(grace_s)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                if not self._read_batch():
                    self._process.end_if_idle()
                    self._stopping.wait(self._poll_interval_s)
        finally:
            self._process.close()

    def _read_batch(self) -> bool:
        """Read some reports; return whether there may be more."""
        try:
            reports = unread_reports(self._database, BATCH_SIZE)
            self._read(reports)
        except DatabaseAwayError as error:
            log.warning("reports not read", error=str(error))
            return False
        except Exception:
            log.exception("reports not read")
            return False
        return len(reports) == BATCH_SIZE

    def _read(self, reports: list[UnreadReport]) -> None:
        read: list[ReadReport] = []
        record_at = time.monotonic() + RECORD_INTERVAL_S
        for report in reports:
            result = self._result(report)
            if result is None:  # left to the next start
                break
            read.append(self._read_report(report, result))
            if time.monotonic() >= record_at:
                record_summaries(self._database, read)
                read.clear()
                record_at = time.monotonic() + RECORD_INTERVAL_S
        record_summaries(self._database, read)

    def _read_report(self, report: UnreadReport, result: ReadResult) -> ReadReport:
        if result["error"]:
            log.warning("report not read", path=report.path, error=result["error"])
        if result["unreadable"]:
            uid, reason = report.sop_instance_uid, result["unreadable"]
            log.info("report not readable", sop_instance_uid=uid, reason=reason)
        return ReadReport(report.sop_instance_uid, result["summary"], result["unreadable"], self._clock())

    def _result(self, report: UnreadReport) -> ReadResult | None:
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
