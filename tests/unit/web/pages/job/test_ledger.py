"""The ledger on the page: every slice, request, move and object, page by page."""

from __future__ import annotations

import re
from html import unescape

import pytest

from shared.contract.reasons import sentence
from shared.database.models import RetrieveMove
from tests.support.jobs.rows import NOW, a_find, a_query, a_retrieve, a_study, a_task, an_expected


def a_move(number: int) -> RetrieveMove:
    keys = {"study_instance_uid": "1.1"}
    return RetrieveMove(
        job_id="r1",
        task_id=number,
        level="SERIES",
        keys=keys,
        status_code=0xB000,
        duration_ms=7,
        asked_at=NOW,
    )


@pytest.fixture
def viewer(site):
    """A viewer of a query and a retrieve with a long ledger."""
    payload = {"code": "CT", "date_from": "2024-01-01"}
    site.add(a_query("q1"), a_study("1.1", "q1", task_id=1), a_retrieve("r1", "q1"))
    with site.database.write() as session:
        session.add_all(a_task("q1", payload=payload, state="done") for _ in range(130))
        session.add(a_task("q1", payload=payload, error="timed_out"))
        session.flush()
        session.add(a_find(1, "q1", status_code=0xC000, error="http_500"))
        session.add_all(a_find(1, "q1", matches=number) for number in range(119))
        session.add_all(a_move(number) for number in range(105))
        session.add_all(an_expected("1.1", "1.1.1", f"1.1.1.{number:03}", "r1") for number in range(210))
    return site.person("viewer")


@pytest.mark.parametrize(
    ("address", "rows"),
    [
        ("/jobs/q1/ledger", 131),
        ("/jobs/q1/ledger?part=slices&state=failed", 1),
        ("/jobs/q1/ledger?part=finds", 120),
        ("/jobs/r1/ledger", 105),
        ("/jobs/r1/ledger?part=objects", 210),
        ("/jobs/r1/ledger?part=objects&state=missing", 0),
    ],
)
def test_every_row_of_the_ledger_can_be_reached(viewer, address, rows):
    # When
    number = 0
    while address:
        page = viewer.text(address)
        number += page.count("<tr><td")
        following = re.search(r'rel="next" href="([^"]+)"', page)
        address = unescape(following[1]) if following else ""
    # Then
    assert number == rows


def test_a_failed_slice_shows_its_window_and_cause(viewer):
    # When
    page = viewer.text("/jobs/q1/ledger?part=slices&state=failed")
    # Then
    assert sentence("timed_out", node="pacs") in page or sentence("timed_out") in page
    assert "CT; from 2024-01-01" in page
    assert viewer.get("/jobs/q1/ledger?part=moves").status_code == 404


def test_a_response_of_http_shows_its_own_status(viewer):
    # When
    ledger = viewer.text("/jobs/q1/ledger?part=finds")
    explanation = viewer.text("/jobs/q1/studies/1.1")
    # Then
    assert "HTTP 500" in ledger
    assert "status HTTP 500" in explanation
    assert "0xC000" not in ledger + explanation
