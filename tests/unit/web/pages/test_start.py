"""The start page: what runs, what needs a hand, and the last night; and the place of a job at its node."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.web.pages.start import last_night
from shared.clock import utc_now
from shared.database.models import NodeCheck
from shared.database.models.pause import PriorityRaise
from tests.support.jobs.rows import a_query, a_retrieve
from tests.support.services.web import Site


def test_the_start_page_shows_what_runs_and_what_needs_a_hand(site: Site):
    # Given
    now = utc_now()
    site.add(
        a_query("running-1", status="running", requested_at=now),
        a_query("lacking-1", status="incomplete", ended_at=now, requested_at=now),
        a_query("forgotten", status="incomplete", ended_at=now - timedelta(days=8)),
        a_query("complete-1", ended_at=now, requested_at=now),
        NodeCheck(node_id=1, ok=False, outcome="timed out", detail="no response", checked_at=now),
    )
    # When
    page = site.person("viewer").text("/start")
    # Then
    running, hand = page.index("Running now"), page.index("Needs a hand")
    assert running < page.index("/jobs/running-1") < hand < page.index("/jobs/lacking-1")
    assert "did not respond to its last test" in page
    assert "/jobs/complete-1" not in page
    assert "/jobs/forgotten" not in page
    assert site.person("viewer").get("/").location == "/start"


def test_the_last_night_is_added_up(site: Site, monkeypatch: pytest.MonkeyPatch):
    # Given
    evening, morning = last_night(utc_now(), site.settings.time_zone)
    at = evening + (morning - evening) / 2
    site.add(
        a_query("q1", ended_at=at, studies_found=7, studies_kept=5),
        a_query("q2", ended_at=evening - timedelta(seconds=1), studies_found=100),
        a_retrieve("r1", "q1", ended_at=at, arrived=11),
    )
    # When
    page = site.person("viewer").text("/start")
    # Then
    for text in ("<dd>7</dd>", "<dd>5</dd>", "<dd>11</dd>"):
        assert text in page


@pytest.mark.parametrize(
    ("now", "evening", "morning"),
    [
        ("2026-03-10T12:00", "2026-03-09T17:00", "2026-03-10T07:00"),
        ("2026-03-10T05:00", "2026-03-09T17:00", "2026-03-10T05:00"),
        ("2026-03-10T20:00", "2026-03-10T17:00", "2026-03-10T20:00"),
    ],
)
def test_a_night_lasts_from_evening_to_morning_at_the_site(now: str, evening: str, morning: str):
    found = last_night(datetime.fromisoformat(now).replace(tzinfo=UTC), "Europe/Berlin")
    assert [f"{moment:%Y-%m-%dT%H:%M}" for moment in found] == [evening, morning]


def test_a_job_that_shares_its_node_shows_its_place(site: Site):
    # Given
    raised = PriorityRaise("ada", utc_now(), "raise-1").to_json()
    start = utc_now()
    site.add(
        a_query("older-1", status="running", requested_at=start),
        a_query("mine-123", status="running", requested_at=start + timedelta(seconds=1)),
        a_query("raised-1", status="queued", requested_at=start + timedelta(seconds=2), raised=raised),
    )
    person = site.person("viewer")
    # When
    mine, first = person.text("/jobs/mine-123"), person.text("/jobs/raised-1")
    # Then
    assert "Place 3 of 3 jobs that share" in mine
    assert mine.index("/jobs/raised-1") < mine.index("/jobs/older-1")
    assert "Place 1 of 3 jobs" in first
