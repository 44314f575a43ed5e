"""What a job waits for, with times for the reader and each cause once."""

from __future__ import annotations

from datetime import timedelta

from services.web.views.formatting import short_id, waiting_text, without_repetition
from tests.support.jobs.rows import NOW, a_query

REFUSED = "dead — connection refused: 127.0.0.1:22018 does not take connections (Connection refused)"


def test_times_are_elements_that_the_browser_shows_locally(site):
    # Given
    site.add(
        a_query(
            "q1",
            status="running",
            note=REFUSED,
            next_try_at=NOW,
            gives_up_at=NOW + timedelta(minutes=20),
        )
    )
    # When
    page = site.person("viewer").text("/jobs/q1/fragment")
    # Then
    assert 'next try at <time datetime="2024-05-01T12:00:00Z" data-local="time">12:00 UTC</time>' in page
    assert 'gives up at <time datetime="2024-05-01T12:20:00Z" data-local="time">12:20 UTC</time>' in page


def test_a_cause_in_brackets_is_not_repeated():
    assert "(Connection refused)" not in without_repetition(REFUSED)
    assert "(other words)" in without_repetition("connection refused (other words)")


def test_markup_in_a_note_is_escaped():
    assert "<script>" not in waiting_text(a_query(note="<script>"))


def test_a_job_that_waits_for_nothing_has_no_note():
    assert waiting_text(a_query()) == ""


def test_an_id_is_shortened_to_a_distinct_part():
    assert short_id("308cc7775a694f7b95a1681036bed176") == "308cc777"
    assert short_id("schedule-2-20261126T110000") == "2-20261126T110000"


def test_the_list_of_jobs_shows_why_one_waits(site):
    # Given
    site.add(a_query("q1", status="running", note=REFUSED))
    # When
    page = site.person("viewer").text("/jobs")
    # Then
    assert "127.0.0.1:22018 does not take connections" in page
