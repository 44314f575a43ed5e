"""The list of jobs, a job's page, and why a study is here or not."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest

from services.web.app import components_of
from services.web.pending_commands import PendingCommand
from shared.clock import utc_now
from shared.contract.messages import CancelJob, PauseJob, RaiseJob, ResumeJob, RunRetrieve
from shared.database.models import AuditEntry, ScheduleRun
from shared.database.models.pause import Pause, PriorityRaise
from tests.support.jobs.rows import (
    NOW,
    a_query,
    a_retrieve,
    a_series,
    a_study,
    a_task,
    an_expected,
    an_object,
)
from tests.support.jobs.schedules import plan_nightly
from tests.support.services.web import statements
from tests.support.waiting import wait_until


def test_jobs_are_listed_newest_first_and_filtered(site):
    # Given
    site.add(
        a_query("old-query", requested_at=NOW, requested_by="importer"),
        a_query("new-query", requested_at=NOW + timedelta(hours=1), status="failed"),
        a_retrieve("a-retrieve", "old-query", requested_at=NOW + timedelta(hours=2)),
    )
    person = site.person("viewer")
    # When
    page = person.text("/jobs")
    failed = person.text("/jobs?kind=query&status=failed")
    # Then
    assert page.index("/jobs/new-query") < page.index("/jobs/old-query") < page.index("/jobs/a-retrieve")
    assert "/jobs/new-query" in failed
    assert "/jobs/old-query" not in failed
    assert "/jobs/a-retrieve" not in failed


def test_a_row_reads_like_an_entry_of_a_diary(site):
    # Given
    criteria = {"types": ["CT", "DX"], "date_from": "2024-04-01", "date_until": "2024-04-25"}
    site.add(
        a_query(
            "q1",
            criteria=criteria,
            studies_found=800,
            studies_kept=235,
            requested_by="anna",
            started_at=NOW,
            ended_at=NOW + timedelta(seconds=98),
        ),
        a_retrieve("r1", "q1", asked=425, arrived=425),
    )
    # When
    page = " ".join(re.sub("<[^>]+>", " ", site.person("viewer").text("/jobs")).split())
    # Then
    assert "Query CT, DX · 1\N{EN DASH}25 Apr 2024" in page
    assert "235 kept of 800 found took 1 min 38 s by anna" in page
    assert "Retrieve: 425 of 425 arrived" in page


def test_many_jobs_are_paged_by_their_keys(site):
    # Given
    site.add(
        *(a_query(f"query-{number:03}", requested_at=NOW + timedelta(minutes=number)) for number in range(60))
    )
    person = site.person("viewer")
    # When
    first = person.text("/jobs?sort=newest")
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following is not None
    second = person.text(unescape(following[1]))
    # Then
    assert "/jobs/query-059" in first
    assert "/jobs/query-009" not in first
    assert "/jobs/query-009" in second
    assert 'rel="next"' not in second
    assert "sort=newest" in following[1]


@pytest.mark.parametrize("address", ["page=9999", "after=nonsense", "before=W10=", "after=WyIxIiwgIjIiXQ=="])
def test_a_page_that_is_not_there_is_not_found(site, address):
    assert site.person("viewer").get(f"/jobs?{address}").status_code == 404


def test_a_filter_with_a_mistake_names_it(site):
    # Given
    site.add(a_query("q1"))
    # When
    page = site.person("viewer").text("/jobs?from=2024-02-31&node=99&q=%00&sort=nothing")
    # Then
    assert "This is no date." in page
    assert "There is no such node." not in page or "/jobs/q1" in page


@pytest.mark.parametrize("address", ["/jobs", "/jobs?status=completed", "/jobs?who=anna&sort=largest"])
def test_a_page_of_jobs_costs_few_statements(site, address):
    # Given
    for number in range(60):
        site.add(a_query(f"q{number:02}", requested_by="anna"), a_retrieve(f"r{number:02}", f"q{number:02}"))
    person = site.person("viewer")
    # When
    with statements(site.database) as sent:
        person.text(address)
    # Then: the session, nodes, people, the page of each kind, and what belongs to its rows
    assert len(sent) <= 7


def test_a_running_job_is_cancelled_by_message(site):
    # Given
    site.listen("query")
    site.add(a_query("q1", status="running"))
    # When
    response = site.person("importer").post("/jobs/q1/cancel", follow_redirects=True)
    # Then
    assert site.command()[1] == CancelJob(job_id="q1", requested_by="importer")
    assert "The cancellation is requested." in response.text


def test_a_job_is_paused_and_resumed_by_message(site):
    # Given
    site.listen("query")
    pause = Pause("somebody", datetime(2026, 11, 26, 12, tzinfo=UTC), "pause-1")
    site.add(a_query("q1", status="running"), a_query("q2", status="running", paused=pause.to_json()))
    person = site.person("importer")
    # When
    person.post("/jobs/q1/pause")
    person.post("/jobs/q2/resume")
    # Then
    wait_until(lambda: len(site.commands) == 2)
    assert [command for _, command in site.commands] == [
        PauseJob(job_id="q1", requested_by="importer"),
        ResumeJob(job_id="q2", requested_by="importer"),
    ]
    running, paused = person.text("/jobs/q1"), person.text("/jobs/q2")
    assert 'action="/jobs/q1/pause"' in running
    assert 'action="/jobs/q2/resume"' in paused
    assert "Paused by somebody since" in paused
    assert "/resume" not in site.person("viewer").text("/jobs/q2")


def test_jobs_of_a_recurring_query_are_filtered(site):
    # Given
    schedule = plan_nightly(site.database, utc_now(), store="archive")
    run = {"schedule_id": schedule.id, "due_at": NOW, "began_at": NOW, "job_id": "of-schedule"}
    site.add(
        a_query("of-schedule", schedule_id=schedule.id, schedule_name="nightly"),
        a_query("by-hand"),
        a_retrieve("its-retrieve", "of-schedule"),
        ScheduleRun(**run),
    )
    person = site.person("viewer")
    # When
    listed = person.text(f"/jobs?schedule={schedule.id}")
    retrieves = person.text(f"/jobs?schedule={schedule.id}&kind=retrieve")
    # Then
    assert "/jobs/of-schedule" in listed
    assert "/jobs/by-hand" not in listed
    assert "/jobs/its-retrieve" in retrieves
    assert person.get("/jobs?schedule=x").status_code == 200


def test_a_job_is_raised_by_message(site):
    # Given
    site.listen("query")
    raised = PriorityRaise("somebody", datetime(2026, 11, 26, 12, tzinfo=UTC), "raise-1")
    site.add(a_query("q1", status="running"), a_query("q2", status="running", raised=raised.to_json()))
    person = site.person("importer")
    # When
    person.post("/jobs/q1/raise")
    # Then
    assert site.command()[1] == RaiseJob(job_id="q1", requested_by="importer")
    assert 'action="/jobs/q1/raise"' in person.text("/jobs/q1")
    shown = person.text("/jobs/q2")
    assert "/jobs/q2/raise" not in shown
    assert "Goes before others: somebody" in shown
    assert site.person("viewer").post("/jobs/q1/raise").status_code == 403


@pytest.mark.parametrize(
    ("action", "text"),
    [("pause", "It is paused as soon as one has taken it."), ("raise", "Then it goes before others.")],
)
def test_an_order_about_a_job_that_nobody_has_taken_is_published(site, action, text):
    # Given: another replica of the page published the query
    site.listen("query")
    details = {"command_id": "pending-1", "outcome": "published", "job_id": "pending-1"}
    site.add(AuditEntry(at=utc_now(), action="query", user="importer", details=details))
    person = site.person("importer")
    # When
    response = person.post(f"/jobs/pending-1/{action}")
    # Then
    assert response.status_code == 302
    assert site.command()[1].job_id == "pending-1"
    assert "waiting for a worker" in person.text("/jobs/pending-1")
    # When: it was this one
    components_of(site.app).pending_commands.remember("pending-2", PendingCommand("query"))
    person.post(f"/jobs/pending-2/{action}")
    # Then
    assert text in person.text("/jobs/pending-2")


def test_an_ended_job_is_not_cancelled(site):
    # Given
    site.listen("query")
    site.add(a_query("q1"))
    # When
    response = site.person("importer").post("/jobs/q1/cancel", follow_redirects=True)
    # Then
    assert "has ended already" in response.text
    assert site.commands == []


def test_a_job_nobody_knows_is_not_found(site):
    assert site.person("viewer").get("/jobs/unknown").status_code == 404
    assert site.person("viewer").get("/jobs/..%2f..").status_code == 404


def test_a_job_page_shows_criteria_and_what_is_missing(site):
    # Given
    payload = {"code": "CT", "date_from": "2024-01-01", "date_until": "2024-01-31"}
    site.add(
        a_query(
            "q1",
            status="incomplete",
            slices_total=2,
            slices_complete=1,
            slices_failed=1,
            studies_missing=1,
            criteria={"types": ["CT"], "date_from": "2024-01-01", "exclude_descriptions": ["knee"]},
        ),
        a_study("1.9", "q1", state="missing", decision="", reason="study_not_answered", detail="timed out"),
        a_task("q1", payload=payload, error="timed_out"),
    )
    # When
    page = site.person("viewer").text("/jobs/q1")
    # Then
    assert "from 2024-01-01 until the day of the query" in page
    assert "knee" in page
    assert "CT, 2024-01-01 to 2024-01-31" in page
    assert "did not respond in time" in page
    assert "/jobs/q1/studies/1.9" in page


def test_studies_are_paged_and_filtered(site):
    # Given
    site.add(a_query("q1", studies_found=70), *(a_study(f"1.{number}", "q1") for number in range(60)))
    site.add(
        *(
            a_study(f"2.{n}", "q1", decision="drop", reason="known", accession_number="ACC1")
            for n in range(10)
        )
    )
    person = site.person("viewer")
    # When
    first = person.text("/jobs/q1/studies?sort=largest")
    second = person.text(unescape(re.findall(r'rel="next" href="([^"]+)"', first)[0]))
    dropped, found = person.text("/jobs/q1/studies?decision=drop"), person.text("/jobs/q1/studies?q=ACC1")
    # Then
    assert first.count('<details class="study"') == 50
    assert second.count('<details class="study"') == 20
    assert dropped.count('<details class="study"') == found.count('<details class="study"') == 10


def test_a_study_shows_what_the_pacs_returned_of_it(site):
    # Given
    columns = {"study_date": "20240401", "study_time": "083015.12", "station_name": "CT-2", "series_count": 3}
    site.add(
        a_query("q1"),
        a_study("1.2", "q1", description="Thorax", accession_number="A7", instance_count=9, **columns),
    )
    # When
    part = " ".join(re.sub("<[^>]+>", " ", site.person("viewer").text("/jobs/q1/studies")).split())
    # Then
    assert "2024-04-01 08:30 CT ✓ kept Thorax" in part
    assert "(RDSR). CT-2 A7 3 series 9 objects 1.2" in part


def test_counts_lead_to_the_studies_behind_them(site):
    # Given
    site.add(
        a_query("q1", studies_found=2, studies_kept=1),
        a_study("1.1", "q1"),
        a_study("1.2", "q1", type="MG", decision="drop", reason="known"),
    )
    person = site.person("viewer")
    # When
    page = person.text("/jobs/q1")
    addresses = [unescape(found) for found in re.findall(r'class="count" href="([^"#]+)', page)]
    # Then
    assert addresses == [
        "/jobs/q1?type=CT&decision=keep",
        "/jobs/q1?reason=rdsr&decision=keep",
        "/jobs/q1?reason=known&decision=drop",
    ]
    assert [person.text(found).count('<details class="study"') for found in addresses] == [1, 1, 1]


def test_ticked_studies_are_retrieved_alone(site):
    # Given
    site.listen_all()
    site.add(a_query("q1", studies_kept=2), a_study("1.1", "q1"), a_study("1.2", "q1"))
    importer = site.person("importer")
    # When
    page = importer.text("/jobs/q1")
    nothing = importer.post("/jobs/q1/retrieve", {"single": "yes"}, follow_redirects=True)
    wrong = importer.post("/jobs/q1/retrieve", {"single": "yes", "study": ["1.x"]})
    importer.post("/jobs/q1/retrieve", {"single": "yes", "study": ["1.2"], "back": "job"})
    # Then
    assert 'name="study" value="1.2"' in page
    assert "Tick at least one study" in nothing.text
    assert wrong.status_code == 400
    assert site.command()[1] == RunRetrieve(
        query_id="q1", study_instance_uids=["1.2"], requested_by="importer"
    )
    assert 'name="study"' not in site.person("viewer").text("/jobs/q1")


def test_a_study_is_explained_with_its_series_and_objects(site):
    # Given
    site.add(
        a_query("q1"),
        a_study("1.2", "q1", description="<script>alert(1)</script>", modalities=["CT", "SR"]),
        a_series("1.2", "1.2.1", "q1", whole=False),
        an_object("1.2", "1.2.1", "1.2.1.1", "q1"),
        an_object("1.2", "1.2.1", "1.2.1.2", "q1", decision="drop", reason="known"),
    )
    # When
    page = site.person("viewer").text("/jobs/q1/studies/1.2")
    part = site.person("viewer").text("/jobs/q1/studies/1.2?part=1")
    # Then
    assert "An X-ray radiation dose report (RDSR)." in page
    assert "The database has it already." in part
    assert "1.2.1.2" in part
    assert "<script>alert" not in page
    assert "<html" not in part


def test_a_study_that_is_not_here_is_explained_too(site):
    # Given
    site.add(a_query("q1"))
    # When
    page = site.person("viewer").text("/jobs/q1/studies/1.2.3")
    # Then
    assert "did not return this study" in page


def test_a_retrieve_page_lists_what_did_not_arrive(site):
    # Given
    site.add(
        a_query("q1"),
        a_retrieve("r1", "q1", status="incomplete", asked=2, arrived=1),
        an_expected("1.2", "1.2.1", "1.2.1.1", "r1"),
        an_expected("1.2", "1.2.1", "1.2.1.2", "r1", state="missing", reason="not_arrived"),
    )
    # When
    page = site.person("importer").text("/jobs/r1")
    # Then
    assert "1.2.1.2" in page
    assert "It was requested and did not arrive." in page
    assert "/jobs/q1" in page


def test_a_database_that_is_away_gives_a_readable_page(site):
    # Given
    person = site.person("viewer")
    with site.database.engine.connect() as connection:
        connection.exec_driver_sql("DROP TABLE users")
        connection.commit()
    # When
    response = person.get("/jobs")
    # Then
    assert response.status_code == 503
    assert "The database is away" in response.text
