"""Reads dose reports on disk anew, where an earlier version has read them; beside a store that runs."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import cast

from services.store.dose_reports.read_result import ReadResult
from services.store.dose_reports.reader import BATCH_SIZE, MAX_ATTEMPTS
from services.store.dose_reports.reader_process import ReaderProcess, ReadFailedError
from services.store.index.earlier_reports import EarlierReport, earlier_reports, replace_summaries
from services.store.index.unread_reports import ReadReport
from shared.clock import Clock, utc_now
from shared.database.session import Database
from shared.dose.summary import SummaryJson


@dataclass(frozen=True, slots=True)
class RereadCounts:
    """What reading anew has brought so far, in reports."""

    read: int = 0
    #: Other figures than before.
    changed: int = 0
    #: Figures where there were none.
    gained: int = 0
    unchanged: int = 0
    #: Cannot be read now; what was read of them before stays.
    kept: int = 0


def reread_reports(
    database: Database,
    root: Path,
    before: datetime,
    *,
    dry_run: bool = False,
    limit: int | None = None,
    process: ReaderProcess | None = None,
    clock: Clock = utc_now,
) -> Generator[RereadCounts, None, None]:
    """Read each report that was read before that time once more; yield the counts after each batch.

    A batch is written together. Whoever ends half-way goes on later with the same time: what was read anew is
    no longer of before. `root` is the folder below which objects lie.

    Raises:
        DatabaseAwayError: the database cannot be reached; batches before stand.
    """
    reader, counts, after_uid = process or ReaderProcess(), RereadCounts(), ""
    try:
        while limit is None or counts.read < limit:
            size = BATCH_SIZE if limit is None else min(BATCH_SIZE, limit - counts.read)
            batch = earlier_reports(database, before, after_uid, size)
            if not batch:
                return
            after_uid = batch[-1].sop_instance_uid
            replaced: list[tuple[EarlierReport, ReadReport]] = []
            for earlier in batch:
                result = _result(reader, root / earlier.path)
                counts = _counted(counts, earlier, result)
                replaced.append((earlier, _report(earlier, result, clock())))
            if not dry_run:
                replace_summaries(database, replaced)
            yield counts
    finally:
        reader.close()


def _result(reader: ReaderProcess, path: Path) -> ReadResult:
    for _ in range(MAX_ATTEMPTS):
        try:
            return reader.read(path)
        except ReadFailedError:
            # By itself, or by whoever ended its process.
            continue
    return ReadResult(summary=None, unreadable="defect", error="")


def _report(earlier: EarlierReport, result: ReadResult, now: datetime) -> ReadReport:
    uid = earlier.sop_instance_uid
    if _is_lost(earlier, result):
        return ReadReport(uid, cast("SummaryJson", earlier.summary), earlier.unreadable, now)
    return ReadReport(uid, result["summary"], result["unreadable"], now)


def _is_lost(earlier: EarlierReport, result: ReadResult) -> bool:
    return earlier.summary is not None and result["summary"] is None


def _counted(counts: RereadCounts, earlier: EarlierReport, result: ReadResult) -> RereadCounts:
    counts = replace(counts, read=counts.read + 1)
    if _is_lost(earlier, result):
        return replace(counts, kept=counts.kept + 1)
    if earlier.summary is None and result["summary"] is not None:
        return replace(counts, gained=counts.gained + 1)
    if earlier.summary != result["summary"]:
        return replace(counts, changed=counts.changed + 1)
    return replace(counts, unchanged=counts.unchanged + 1)
