"""The button that runs an ended job again for what is missing of it."""

from __future__ import annotations

import pytest

from shared.contract.messages import AskAgain, Rejected
from tests.support.jobs.rows import a_query, a_retrieve, a_study
from tests.support.waiting import wait_until

BUTTON = "Request the missing again"


def refuse(site, command_id: str, problem: str) -> None:
    """Let a service refuse a command."""
    event = Rejected(command_id=command_id, field="data.job_id", problem=problem)
    site.publisher.event(event, "command", command_id)
    wait_until(lambda: site.components.live.event_results.rejection(command_id) is not None)


@pytest.mark.parametrize("status", ["incomplete", "failed", "cancelled"])
def test_an_incomplete_query_can_be_continued(site, status):
    # Given
    site.listen("query")
    site.add(a_query("q1", status=status, slices_total=2, slices_complete=1, slices_failed=1))
    person = site.person("importer")
    # When
    response = person.post("/jobs/q1/again", {"back": "job", "panel": "q1"}, follow_redirects=True)
    # Then
    assert site.command()[1] == AskAgain(job_id="q1", requested_by="importer")
    assert response.request.path == "/jobs/q1"
    assert "Queued, waiting for a worker." in response.text
    assert BUTTON not in response.text


def test_the_button_is_on_the_job_page_and_on_the_query_page(site):
    # Given
    site.add(a_query("q1", status="incomplete"))
    person = site.person("importer")
    # When / Then
    for address in ("/jobs/q1", "/imports/query?job=q1"):
        page = person.text(address)
        assert BUTTON in page
        assert 'action="/jobs/q1/again"' in page


def test_there_is_no_button_for_viewers_nor_where_nothing_is_missing(site):
    # Given
    site.add(a_query("q1", status="incomplete"), a_query("q2"), a_query("q3", status="running"))
    # When / Then
    assert BUTTON not in site.person("viewer").text("/jobs/q1")
    assert BUTTON not in site.person("importer").text("/jobs/q2")
    assert BUTTON not in site.person("importer").text("/jobs/q3")


def test_the_page_follows_the_command_until_the_query_runs_again(site):
    # Given
    site.listen("query")
    site.add(a_query("q1", status="incomplete"))
    person = site.person("importer")
    person.post("/jobs/q1/again", {"back": "job", "panel": "q1"})
    command_id = site.command()[0]
    # When
    waiting = person.text("/jobs/q1/fragment?back=job")
    with site.database.write() as session:
        query = session.get(type(a_query()), "q1")
        query.status, query.round, query.ended_at = "running", 1, None
    running = person.text("/jobs/q1/fragment?back=job")
    with site.database.write() as session:
        session.get(type(a_query()), "q1").status = "incomplete"
    ended = person.text("/jobs/q1/fragment?back=job")
    # Then
    assert f'data-follow="q1 {command_id}" data-every' in waiting
    assert "Asking again" not in running
    assert "data-ended" not in running
    assert "data-ended" in ended
    assert BUTTON in ended


def test_a_refusal_is_shown_and_the_button_stays(site):
    # Given
    site.listen("query")
    site.add(a_query("q1", status="incomplete"))
    person = site.person("importer")
    person.post("/jobs/q1/again", {"back": "query", "panel": "q1"})
    # When
    refuse(site, site.command()[0], "the remote node of this query was removed")
    page = person.text("/imports/query?job=q1")
    # Then
    assert "not accepted" in page
    assert "remote node of this query was removed" in page
    assert BUTTON in page


def test_a_retrieve_is_repeated_on_a_page_of_its_own(site):
    # Given
    site.listen("retrieve")
    site.add(a_query("q1"), a_study("1.2", "q1"), a_retrieve("r1", "q1", status="incomplete", asked=2))
    person = site.person("importer")
    # When
    response = person.post("/jobs/r1/again", {"back": "job", "panel": "r1"}, follow_redirects=True)
    # Then
    command_id, command = site.command()
    assert command == AskAgain(job_id="r1", requested_by="importer")
    assert response.request.path == f"/jobs/{command_id}"
    assert "Queued, waiting for a worker." in response.text


def test_a_retrieve_within_the_panel_of_its_query_is_followed_there(site):
    # Given
    site.listen("retrieve")
    site.add(a_query("q1"), a_study("1.2", "q1"), a_retrieve("r1", "q1", status="failed", asked=2))
    person = site.person("importer")
    # When
    before = person.text("/imports/query?job=q1")
    response = person.post("/jobs/r1/again", {"back": "query", "panel": "q1"}, follow_redirects=True)
    # Then
    assert 'action="/jobs/r1/again"' in before
    assert response.request.path == "/imports/query"
    assert "Queued, waiting for a worker." in response.text


@pytest.mark.parametrize(
    ("status", "words"),
    [("completed", "Nothing is missing."), ("running", "has not ended yet; it is running")],
)
def test_what_cannot_be_repeated_is_not_published(site, status, words):
    # Given
    site.listen("query")
    site.add(a_query("q1", status=status))
    # When
    response = site.person("admin").post("/jobs/q1/again", follow_redirects=True)
    # Then
    assert words in response.text
    assert site.commands == []
    assert site.person("admin").post("/jobs/unknown/again").status_code == 404


def test_without_a_broker_nothing_is_published_and_it_is_reported(site):
    # Given
    site.add(a_query("q1", status="incomplete"))
    site.broker.close()
    # When
    response = site.person("importer").post("/jobs/q1/again", follow_redirects=True)
    # Then
    assert "broker" in response.text
    assert "Asking again" not in response.text


def test_a_continuation_is_in_the_audit_log(site, capsys):
    # Given
    site.listen("query")
    site.add(a_query("q1", status="incomplete"))
    # When
    site.person("importer").post("/jobs/q1/again")
    # Then
    command_id = site.command()[0]
    log = capsys.readouterr().err
    assert "audit" in log
    assert command_id in log
    assert "again" in log


def test_a_job_page_shows_how_often_and_by_whom_it_was_continued(site):
    # Given
    reruns = [{"command_id": "c", "requested_by": "<b>night</b>", "at": "2024-05-01T00:00:00+00:00"}]
    site.add(a_query("q1", round=2, asked_again=reruns * 2, priority="background"))
    # When
    page = site.person("viewer").text("/jobs/q1")
    # Then
    assert "2 times, last by &lt;b&gt;night&lt;/b&gt;" in page
    assert "Background" in page


def test_the_page_waits_for_the_retrieve_that_follows_the_second_end_too(site):
    # Given
    site.add(
        a_query("q1", round=1, retrieve_after=True, studies_kept=1),
        a_study("1.2", "q1"),
        a_retrieve("q1-r", "q1"),
    )
    person = site.person("importer")
    # When
    before = person.text("/jobs/q1/fragment?back=job")
    site.add(a_retrieve("q1-r1", "q1"))
    after = person.text("/jobs/q1/fragment?back=job")
    # Then
    assert "The retrieve begins by itself." in before
    assert "data-ended" not in before
    assert "The retrieve begins by itself." not in after
    assert "data-ended" in after
