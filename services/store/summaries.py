"""Reads the dose reports that arrived, outside of any association's path, and keeps what they say.

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

from shared.clock import Clock, utc_now
from shared.database.models import ReportSummary, StoredObject
from shared.database.session import Database
from shared.database.upsert import insert_missing
from shared.dose.reports import REPORT_CLASSES, read_summary
from shared.dose.tree import UnreadableReportError
from shared.errors import DatabaseAwayError

log = structlog.get_logger(__name__)

#: Reports that are read before what they say is written.
AT_ONCE = 20
#: How often it is looked for reports that nobody has read, in seconds.
LOOK_S = 2.0


@dataclass(frozen=True, slots=True)
class _Report:
    sop_instance_uid: str
    path: str


class Reader:
    """Reads reports in a thread of its own."""

    def __init__(
        self, database: Database, root: Path, *, clock: Clock = utc_now, look_s: float = LOOK_S
    ) -> None:
        """`root` is the folder below which objects lie."""
        self._database = database
        self._root = root
        self._clock = clock
        self._look_s = look_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="report-reader", daemon=True)

    def start(self) -> None:
        """Start the thread; reports that arrived while nobody looked come first."""
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """End after the report in hand."""
        self._stopping.set()
        self._thread.join(grace_s)

    def _run(self) -> None:
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
                self._stopping.wait(self._look_s)

    def _read_some(self) -> bool:
        """Read some reports; tell whether there may be more."""
        reports = self._unread()
        rows = [self._row(one) for one in reports if not self._stopping.is_set()]
        if rows:
            with self._database.write() as session:
                insert_missing(session, ReportSummary, rows)
        return len(reports) == AT_ONCE

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
            .limit(AT_ONCE)
        )
        with self._database.read() as session:
            return [_Report(*row) for row in session.execute(unread)]

    def _row(self, report: _Report) -> dict[str, Any]:
        row: dict[str, Any] = {
            "sop_instance_uid": report.sop_instance_uid,
            "unreadable": "",
            "summary": None,
            "read_at": self._clock(),
        }
        try:
            return row | {"summary": read_summary(self._root / report.path).to_json()}
        except UnreadableReportError as error:
            reason = str(error)
        except OSError as error:
            reason = "no_file"
            log.warning("report not opened", path=report.path, error=type(error).__name__)
        except Exception as error:  # noqa: BLE001 - as the comment says
            # One report must not keep the others from being read; the error's text may quote values.
            log.warning("report not read", path=report.path, error=type(error).__name__)
            reason = "defect"
        log.info("report not readable", sop_instance_uid=report.sop_instance_uid, reason=reason)
        return row | {"unreadable": reason}
