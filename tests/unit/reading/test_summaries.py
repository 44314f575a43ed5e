"""Summaries of dose reports are read some at a time, and cut to what a page shows."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from shared.database.models import ReportSummary, StoredObject
from shared.dose.summary import FigureJson, SummaryJson
from shared.reading import summaries as module
from shared.reading.summaries import EVENTS_SHOWN, TOTALS_SHOWN, ReportEntry, brief, summaries
from tests.support.jobs.rows import NOW, a_query, a_retrieve, an_expected

RDSR = "1.2.840.10008.5.1.4.1.1.88.67"


def figure(name: str, of: str = "", value: float | None = 1.0, unit: str = "mGy") -> FigureJson:
    return {"name": name, "value": value, "unit": unit, "of": of}


def entry_of(summary: SummaryJson) -> ReportEntry[SummaryJson]:
    return {
        "study_instance_uid": "1.1",
        "series_instance_uid": "1.2",
        "sop_instance_uid": "1.3",
        "type": None,
        "state": "read",
        "reason": "",
        "summary": summary,
    }


@pytest.fixture
def reports(session: Session) -> Session:
    """Seven reports of one retrieve, the last one not read yet."""
    session.add_all([a_query("q1"), a_retrieve("r1", "q1")])
    for number in range(7):
        uid = f"1.3.{number}"
        session.add(an_expected("1.1", "1.2", uid, "r1"))
        session.add(
            StoredObject(
                sop_instance_uid=uid,
                series_instance_uid="1.2",
                study_instance_uid="1.1",
                sop_class_uid=RDSR,
                source="store",
                received_at=NOW,
                last_received_at=NOW,
            )
        )
        if number < 6:
            summary = {"kind": "ct", "events": number, "figures": [figure("DLP")] * number}
            session.add(ReportSummary(sop_instance_uid=uid, summary=summary, read_at=NOW))
    session.flush()
    return session


@pytest.mark.parametrize(("page", "length"), [(500, 4 << 20), (2, 4 << 20), (500, 1), (3, 150)])
def test_all_summaries_come_in_order_however_few_are_read_together(reports, monkeypatch, page, length):
    # Given
    monkeypatch.setattr(module, "PAGE", page)
    monkeypatch.setattr(module, "MAX_JSON_LENGTH", length)
    # When
    entries = list(summaries(reports, "r1"))
    # Then
    assert [entry["sop_instance_uid"] for entry in entries] == [f"1.3.{number}" for number in range(7)]
    assert [len(entry["summary"]["figures"]) for entry in entries[:6] if entry["summary"]] == list(range(6))
    assert (entries[6]["state"], entries[6]["summary"]) == ("waiting", None)


def test_a_brief_entry_has_totals_and_the_first_of_each_unit():
    # Given
    figures = [
        *(figure("DAP total", f"source {number}") for number in range(TOTALS_SHOWN + 2)),
        *(figure("DAP", f"event {number}", unit=unit) for number in range(1, 400) for unit in ("a", "b")),
        figure("DAP", "event 400", None),
    ]
    # When
    summary = brief(entry_of({"kind": "projection", "events": 400, "figures": figures}))["summary"]
    # Then
    assert summary is not None
    assert len(summary["figures"]) == TOTALS_SHOWN + 2 * EVENTS_SHOWN
    assert (summary["totals_not_shown"], summary["unreadable_not_shown"], summary["events"]) == (2, 1, 400)
