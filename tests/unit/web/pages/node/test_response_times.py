"""Response times of a node over all its queries, and how a PACS is set up."""

from __future__ import annotations

from datetime import timedelta

from shared.clock import utc_now
from shared.contract.messages import RunRetrieve
from shared.database.models import QueryFind
from shared.reading.lists import response_times
from shared.reading.lists.response_times import node_pace
from tests.support.jobs.rows import a_query, a_retrieve, a_study
from tests.support.services.web import Site, a_node


def a_find(job_id: str, number: int, duration_ms: int, days_ago: int = 0) -> QueryFind:
    at = utc_now() - timedelta(days=days_ago)
    values = {"level": "STUDY", "keys": {}, "matches": 1, "status_code": 0, "asked_at": at}
    return QueryFind(job_id=job_id, task_id=number, duration_ms=duration_ms, **values)


def test_durations_and_requests_of_all_queries_are_shown(site: Site):
    # Given
    node = a_node(site.database, "remote", "far")
    now = utc_now()
    site.add(
        a_query("q1", remote_id=node.id, requested_at=now, finds=3),
        a_query("q2", remote_id=node.id, requested_at=now - timedelta(days=2), finds=1),
        a_query("other", remote_id=node.id + 1, requested_at=now, finds=500),
        *(a_find("q1", number, duration) for number, duration in enumerate((10, 20, 900))),
        a_find("q2", 1, 40, days_ago=2),
        a_find("other", 1, 99_999),
    )
    # When
    page = site.person("importer").text(f"/nodes/{node.id}/response-times")
    # Then
    assert '<polyline class="chart-median"' in page
    assert "20 ms" in page
    assert "900 ms" in page
    assert "99\N{NARROW NO-BREAK SPACE}999" not in page
    assert site.person("viewer").get(f"/nodes/{node.id}/response-times").status_code == 403


def test_no_more_requests_are_read_than_a_page_needs(site: Site, monkeypatch):
    # Given
    monkeypatch.setattr(response_times, "MAX_FINDS", 3)
    now = utc_now()
    site.add(
        a_query("new", requested_at=now, finds=2),
        a_query("old", requested_at=now - timedelta(hours=1), finds=2),
        a_find("new", 1, 10),
        a_find("new", 2, 10),
        a_find("old", 1, 10),
    )
    # When
    with site.database.read() as session:
        pace = node_pace(session, 1, now)
    # Then
    assert (len(pace.finds), [number for _, number in pace.requests]) == (2, [2, 2])


def test_a_pacs_is_set_up_in_three_steps_with_a_sheet(site: Site):
    # Given
    node = a_node(site.database, "remote", "far", hours="18:00-06:00")
    site.listen_all()
    person = site.person("importer")
    # When
    before = person.text(f"/nodes/{node.id}/setup")
    site.add(a_query("q1", remote_id=node.id, studies_kept=2), a_study("1.2", "q1", instance_count=9))
    site.add(a_study("1.3", "q1", instance_count=1))
    person.post(f"/nodes/{node.id}/setup/trial")
    # Then
    assert "Query it for a single day first" in before
    assert site.command()[1] == RunRetrieve(
        query_id="q1", study_instance_uids=["1.3"], requested_by="importer"
    )
    site.add(a_retrieve("r1", "q1", remote_id=node.id, asked=1, arrived=1))
    assert "1 of 1 objects arrived" in person.text(f"/nodes/{node.id}/setup")
    # When
    sheet = person.text(f"/nodes/{node.id}/setup/sheet")
    # Then
    assert site.settings.store_ae_title in sheet
    assert "only at 18:00-06:00" in sheet
