"""`doseqr reread` brings figures of stored reports up to this version."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from services.cli.client.session import opened_database
from shared.database.models import ReportSummary
from shared.dose.summary import SummaryJson
from tests.integration.store.test_dose_reports import rows, stored
from tests.support.services.cli import Doseqr
from tests.unit.dose.test_reports import report

EARLIER: SummaryJson = {"kind": "ct", "events": 99, "figures": []}


@pytest.fixture
def stale(doseqr: Doseqr) -> Callable[[], ReportSummary]:
    """Store a report of which the database has old figures; return how to see its row."""
    doseqr.settings.objects_dir.mkdir(parents=True, exist_ok=True)
    with opened_database(doseqr.settings, create=True) as database:
        read_at = datetime(2026, 2, 1, tzinfo=UTC)
        stored(database, doseqr.settings.objects_dir, "1.1", report("rdsr_ct"))
        with database.write() as session:
            session.add(ReportSummary(sop_instance_uid="1.1", summary=EARLIER, read_at=read_at))

    def row() -> ReportSummary:
        with opened_database(doseqr.settings) as database:
            return rows(database)["1.1"]

    return row


def test_the_command_reads_real_reports_and_repeats_nothing(
    doseqr: Doseqr, stale: Callable[[], ReportSummary]
) -> None:
    # When
    tried = doseqr("reread", "--dry-run", "--json")
    before = stale().summary
    done = doseqr("reread", "--before", "2026-03-01T00:00Z")
    again = doseqr("reread", "--before", "2026-03-01T00:00Z", "--json")
    # Then
    assert (tried.code, tried.json["changed"], tried.json["on_disk"]) == (0, 1, 1)
    assert before == EARLIER
    assert (stale().summary or {})["events"] != 99
    assert done.out.startswith("1 of 1 reports read: 1 changed")
    assert "doseqr reread --before 2026-03-01T00:00:00Z" in done.err
    assert (again.code, again.json["read"], again.json["on_disk"]) == (0, 0, 0)


def test_the_command_names_what_it_lacks(doseqr: Doseqr, stale: Callable[[], ReportSummary]) -> None:
    # Given
    doseqr.settings.objects_dir.rename(doseqr.settings.objects_dir.with_name("elsewhere"))
    # When
    without_folder = doseqr("reread")
    malformed = doseqr("reread", "--before", "yesterday")
    # Then
    assert (without_folder.code, malformed.code) == (5, 2)
    assert "run it where the store runs" in without_folder.err
    assert "'yesterday' is no time" in malformed.err
