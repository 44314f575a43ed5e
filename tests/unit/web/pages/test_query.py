"""The query page: validation, orders, and what it says when nobody would do the work."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from shared.contract.messages import Accepted, CancelJob, NodeStatus, Rejected, RunQuery, RunRetrieve
from shared.database.models import AuditEntry, NodeCheck
from tests.support.jobs.rows import NOW, a_query, a_retrieve, a_study
from tests.support.services.web import PASSWORD, Site
from tests.support.waiting import wait_until

FORM = {"remote": "1", "store": "2", "types": ["CT"], "date_from": "2024-05-01", "date_until": "2024-05-02"}


def submit(site: Site, **changes: Any) -> TestResponse:
    return site.person("importer").post("/imports/query", {**FORM, **changes})


def test_a_query_is_published_and_shown_at_the_right(site):
    # Given
    site.listen_all()
    # When
    response = submit(site, types=["CT", "MG"], exclude_descriptions="knee, ,Thorax", ignore_known="y")
    job_id, command = site.command()
    # Then
    assert response.status_code == 302
    assert response.location == f"/imports/query?job={job_id}#progress"
    assert isinstance(command, RunQuery)
    assert (command.remote, command.store, command.requested_by, command.retrieve) == (
        1,
        2,
        "importer",
        False,
    )
    assert command.criteria["types"] == ["CT", "MG"]
    assert command.criteria["exclude_descriptions"] == ["knee", "Thorax"]
    assert command.criteria["ignore_known"] is True


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"date_from": "2024-05-03"}, "date_from", "2024-05-03 is after “Until”, 2024-05-02."),
        ({"date_from": "2024-02-30"}, "date_from", "There is no such date."),
        ({"types": []}, "types", "Tick at least one modality."),
        ({"types": ["CT", "XX"]}, "types", "Must be one of CT, MG, FL, DX, NM, SR."),
        ({"remote": "99"}, "remote", "There is no remote node &#39;99&#39;; known: pacs."),
        ({"remote": "2"}, "remote", "is a store node, not a remote node"),
        ({"store": ""}, "store", "Choose one."),
        ({"time_from": "08:00"}, "time_from", "A time of day needs a single date"),
    ],
)
def test_what_is_wrong_stands_at_its_field(site, changes, field, problem):
    # Given
    site.listen_all()
    # When
    response = submit(site, **changes)
    # Then
    assert response.status_code == 422
    assert problem in response.text
    assert f'href="#{field}"' in response.text
    assert f'aria-describedby="{field}-error"' in response.text
    assert 'aria-invalid="true"' in response.text
    assert site.commands == []


def test_all_problems_of_a_form_are_shown_together(site):
    # When
    response = submit(site, types=[], date_from="yesterday", time_until="25:00", remote="")
    # Then
    for field in ("types", "date_from", "time_until", "remote"):
        assert f'href="#{field}"' in response.text


def test_a_wrong_date_makes_no_other_problem(site):
    # When
    response = submit(site, date_from="2024-02-30", time_from="08:00")
    # Then
    assert 'href="#date_from"' in response.text
    assert 'href="#time_from"' not in response.text


def test_what_was_typed_stays_after_a_mistake(site):
    # When
    response = submit(site, types=[], exclude_descriptions="<b>knee")
    # Then
    assert 'value="&lt;b&gt;knee"' in response.text
    assert '<details class="advanced card mb-3" open>' in response.text


@pytest.mark.parametrize(
    ("raw", "days", "warned"),
    [
        ({"date_from": "2024-05-01", "date_until": "2024-05-01"}, "2024-05-01: one day.", False),
        (
            {"date_from": "2024-05-01", "date_until": "2024-05-31"},
            "2024-05-01 to 2024-05-31: 31 days.",
            False,
        ),
        ({"date_from": "2024-05-01", "date_until": "2024-06-01"}, "2024-05-01 to 2024-06-01: 32 days.", True),
        ({"date_until": "2024-06-01"}, "Everything until 2024-06-01.", True),
        ({}, "All dates.", True),
    ],
)
def test_the_preview_shows_days_and_warns_of_wide_ranges(site, raw, days, warned):
    # When
    preview = site.person("importer").post("/imports/query/preview", raw).json
    # Then
    assert preview["days"] == days
    assert ("stresses the remote server" in preview["warning"]) == warned


def test_no_numbers_yet_are_no_search_of_the_whole_archive(site):
    # When
    preview = site.person("importer").post("/imports/query/preview", {**FORM, "by": "number"}).json
    # Then
    assert (preview["days"], preview["warning"], preview["problems"]) == ("", "", {})


def test_the_preview_estimates_what_it_comes_to(site):
    # Given
    site.add(
        a_query(
            criteria={"types": ["CT"], "date_from": "2024-05-01", "date_until": "2024-05-02"},
            studies_found=1,
            finds=3,
        ),
        a_study("1.2.3"),
    )
    # When
    preview = site.person("importer").post("/imports/query/preview", FORM).json
    unfinished = site.person("importer").post("/imports/query/preview", {**FORM, "types": []}).json
    # Then
    assert preview["estimate"].startswith("It begins with 1 slice. About ")
    assert preview["estimate"].endswith("(judged by 1 earlier query).")
    assert (unfinished["days"], unfinished["estimate"]) == (preview["days"], "")


def test_the_preview_names_the_field_that_is_wrong(site):
    # When
    raw = {"date_from": "2024-05-02", "date_until": "2024-05-01"}
    preview = site.person("importer").post("/imports/query/preview", raw).json
    # Then
    assert list(preview["problems"]) == ["date_from"]


def test_studies_can_be_named_by_accession_number_in_place_of_dates(site):
    # Given
    site.listen_all()
    # When
    response = submit(
        site, date_from="", date_until="", accession_numbers="# March\r\nA1\r\n\r\nA 2, left\r\n"
    )
    _, command = site.command()
    # Then
    assert response.status_code == 302
    assert command.criteria["accession_numbers"] == ["A1", "A 2, left"]


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        (
            {"accession_numbers": "A1"},
            "accession_numbers",
            "Cannot be combined with dates: leave “From” and “Until” empty.",
        ),
        (
            {"study_instance_uids": "1.2\n1.x", "date_from": "", "date_until": ""},
            "study_instance_uids",
            "Line 2: must be a UID",
        ),
    ],
)
def test_invalid_identifiers_are_reported_at_their_field(site, changes, field, problem):
    # When
    response = submit(site, **changes)
    # Then
    assert response.status_code == 422
    assert f'id="{field}-error" data-error-of="{field}">{problem}' in response.text


def test_the_preview_counts_named_studies(site):
    # When
    raw = {"study_instance_uids": "1.2\n1.3"}
    preview = site.person("importer").post("/imports/query/preview", raw).json
    # Then
    assert (preview["days"], preview["warning"], preview["problems"]) == (
        "2 study UIDs, of any date.",
        "",
        {},
    )


def test_numbers_count_alone_once_they_are_chosen(site):
    # Given
    site.listen_all()
    # When: the dates that the form begins with stay as they are
    response = submit(site, by="number", accession_numbers="A1", time_from="08:00")
    _, command = site.command()
    # Then
    assert response.status_code == 302
    assert command.criteria["accession_numbers"] == ["A1"]
    assert command.criteria["date_from"] is None


def test_the_form_begins_with_the_choices_of_the_last_query(site):
    # Given
    criteria = {"types": ["MG"], "date_from": "2020-01-01", "exclude_descriptions": ["knee"], "toshiba": True}
    site.add(
        a_query("mine", requested_by="importer", criteria=criteria, retrieve_after=True),
        a_query("other", requested_by="viewer", criteria={"types": ["DX"]}),
    )
    # When
    page = site.person("importer").text("/imports/query")
    # Then
    ticked = {name: re.search(rf'<input[^>]*checked[^>]*value="{name}"', page) for name in ("MG", "DX")}
    assert ticked["MG"]
    assert not ticked["DX"]
    assert re.search(r'<input[^>]*checked[^>]*id="retrieve"', page)
    assert re.search(r'<input[^>]*checked[^>]*id="toshiba"', page)
    assert "knee" not in page
    assert "2020-01-01" not in page


def test_without_a_job_the_own_last_jobs_are_shown(site):
    # Given
    site.add(
        a_query("mine", requested_by="importer", status="running"),
        a_query("other", requested_by="viewer"),
    )
    person = site.person("importer")
    # When
    page, part = person.text("/imports/query"), person.text("/imports/query/latest")
    # Then
    for text in (page, part):
        assert "/jobs/mine" in text
        assert "/jobs/other" not in text
        assert 'data-follow="mine" data-every="3"' in text


def test_the_preview_offers_the_days_since_the_last_complete_one(site):
    # Given
    complete = {"types": ["CT", "MG"], "date_from": "2024-04-01", "date_until": "2024-04-20"}
    site.add(
        a_query("q1", criteria=complete),
        a_query("q2", criteria=complete | {"date_until": "2024-04-25", "keep_descriptions": ["knee"]}),
        a_query("q3", criteria=complete | {"date_until": "2024-04-26"}, status="incomplete"),
        a_query("q4", criteria=complete | {"types": ["MG"], "date_until": "2024-04-27"}),
        a_query("q5", criteria=complete | {"date_until": "2024-04-28"}, remote_id=9),
    )
    person = site.person("importer")
    # When
    ct = person.post("/imports/query/preview", FORM).json
    mg = person.post("/imports/query/preview", {**FORM, "types": ["MG"]}).json
    nm = person.post("/imports/query/preview", {**FORM, "types": ["NM"]}).json
    # Then
    assert (ct["since"], mg["since"], nm["since"]) == ("2024-04-21", "2024-04-28", "")


def test_a_form_sent_after_the_session_comes_back(site):
    # Given
    person = site.person()
    # When
    sent = person.client.post("/imports/query", data={**FORM, "exclude_descriptions": "knee, foot"})
    logged_in = person.post(sent.location, {"name": "importer", "password": PASSWORD})
    page = person.text(logged_in.location)
    # Then
    assert sent.status_code == 302
    assert sent.location.startswith("/login?next=")
    assert 'value="knee, foot"' in page
    assert 'value="2024-05-02"' in page
    assert site.commands == []
    assert "knee, foot" not in person.text(logged_in.location)


def test_a_form_of_another_site_is_not_kept(site):
    # When
    response = site.app.test_client().post(
        "/imports/query", data=FORM, headers={"Sec-Fetch-Site": "cross-site"}
    )
    # Then
    assert response.status_code == 400


def test_a_job_without_a_row_is_cancelled(site):
    # Given
    person = site.person("importer")
    location = person.post("/imports/query", FORM).location
    job_id = location.split("job=")[1].split("#")[0]
    assert f"/jobs/{job_id}/cancel" in person.text(location)
    # When
    person.post(f"/jobs/{job_id}/cancel")
    page = person.text(location)
    site.listen("query")
    wait_until(lambda: len(site.commands) == 2)
    # Then
    assert site.commands[1][1] == CancelJob(job_id=job_id, requested_by="importer")
    assert "It is cancelled as soon as one has taken it." in page
    assert f"/jobs/{job_id}/cancel" not in page


def test_a_form_like_a_job_names_the_same_studies(site):
    # Given
    site.add(a_query(criteria={"types": ["CT"], "study_instance_uids": ["1.2", "1.3"]}))
    # When
    page = site.person("importer").text("/imports/query?like=query-1")
    # Then
    assert "1.2\n1.3</textarea>" in page


def test_without_workers_the_command_waits_and_the_page_names_them(site):
    # Given
    before = site.person("importer").text("/imports/query")
    # When
    response = submit(site)
    after = site.person("importer").text(response.location)
    # Then
    for command in ("doseqr serve query", "doseqr serve retrieve", "doseqr serve echo"):
        assert command in before
    assert response.status_code == 302
    assert "Queued, waiting for a worker." in after
    assert "doseqr serve query" in after
    assert site.broker.queue_state("query").ready == 1


def test_with_workers_the_page_shows_no_complaint(site):
    # Given
    site.listen_all()
    # When
    page = site.person("importer").text("/imports/query")
    # Then
    assert "doseqr serve" not in page


def test_an_unreachable_broker_is_reported_before_and_after(site):
    # Given
    site.broker.close()
    # When
    before = site.person("importer").text("/imports/query")
    response = submit(site)
    # Then
    assert "cannot be reached" in before
    assert response.status_code == 503
    assert "start RabbitMQ" in response.text
    assert 'value="2024-05-01"' in response.text


def test_a_refused_command_shows_its_field_and_problem(site):
    # Given
    event = Rejected(command_id="q1", field="data.criteria.date_from", problem="is after date_until")
    site.publisher.event(event, "command", "q1")
    wait_until(lambda: site.components.live.event_results.rejection("q1") is not None)
    # When
    page = site.person("importer").text("/imports/query?job=q1")
    # Then
    assert "not accepted. From: Is after “Until”." in page
    assert "data-ended" in page


def test_progress_shows_slices_and_studies(site):
    # Given
    site.listen_all()
    site.add(
        a_query(
            "q1",
            status="running",
            slices_total=8,
            slices_complete=3,
            slices_failed=1,
            studies_found=1234,
            studies_examined=40,
            studies_kept=30,
            note="pacs is busy; next try at 10:00",
        )
    )
    # When
    part = site.person("viewer").text("/jobs/q1/fragment")
    # Then
    assert "Slices done: 4 of 8, 1 without response" in part
    assert '<progress class="bar" id="progress-q1" max="1000" value="209" data-monotone="0">' in part
    assert "1\N{NARROW NO-BREAK SPACE}234" in part
    assert "Waiting: pacs is busy" in part
    assert 'data-every="3"' in part


def test_an_ended_query_shows_types_reasons_and_the_button(site):
    # Given
    site.listen_all()
    site.add(
        a_query("q1", studies_found=3, studies_kept=2),
        a_study("1.1", "q1"),
        a_study("1.2", "q1", type="MG", reason="images_no_report"),
        a_study("1.3", "q1", decision="drop", reason="known"),
    )
    # When
    importer = site.person("importer").text("/imports/query?job=q1")
    viewer = site.person("viewer").text("/jobs/q1")
    # Then
    assert 'name="types" value="MG"' in importer
    assert "The database has it already." in importer
    assert 'id="retrieve-q1"' in importer
    assert 'id="retrieve-q1"' not in viewer
    assert "data-ended" in importer


def test_a_retrieve_of_some_types_is_published(site):
    # Given
    site.listen_all()
    site.add(a_query("q1", studies_kept=2), a_study("1.1", "q1"), a_study("1.2", "q1", type="MG"))
    # When
    response = site.person("importer").post("/jobs/q1/retrieve", {"types": ["MG"], "back": "query"})
    retrieve_id, command = site.command()
    part = site.person("importer").text("/jobs/q1/fragment")
    # Then
    assert response.location == "/imports/query?job=q1#progress"
    assert isinstance(command, RunRetrieve)
    assert (command.query_id, command.types, command.requested_by) == ("q1", ["MG"], "importer")
    assert "Queued, waiting for a worker." in part
    assert f'data-follow="q1 {retrieve_id}"' in part


def test_all_types_ticked_means_all(site):
    # Given
    site.listen_all()
    site.add(a_query("q1", studies_kept=2), a_study("1.1", "q1"), a_study("1.2", "q1", type="MG"))
    # When
    site.person("importer").post("/jobs/q1/retrieve", {"types": ["MG", "CT"]})
    # Then
    assert site.command()[1].types == []


def test_no_ticked_type_publishes_nothing(site):
    # Given
    site.listen_all()
    site.add(a_query("q1", studies_kept=1), a_study("1.1", "q1"))
    # When
    response = site.person("importer").post("/jobs/q1/retrieve", follow_redirects=True)
    # Then
    assert "Tick at least one type" in response.text
    assert site.commands == []


def test_the_retrieve_is_followed_in_the_same_place(site):
    # Given
    site.listen_all()
    site.add(
        a_query("q1", studies_kept=1),
        a_study("1.1", "q1"),
        a_retrieve("r1", "q1", status="running", asked=10, arrived=4),
    )
    # When
    part = site.person("viewer").text("/jobs/q1/fragment")
    # Then
    assert "Arrived: 4 of 10 objects" in part
    assert 'data-follow="q1 r1"' in part
    assert 'data-every="3"' in part


def test_nodes_are_shown_as_their_results_arrive(site):
    # Given
    site.add(NodeCheck(node_id=2, ok=False, outcome="timed out", detail="", checked_at=NOW))
    response = NodeStatus(
        echo_id="e1", node_id=1, node="pacs", kind="remote", ok=True, rtt_ms=12.3, outcome="answers"
    )
    site.publisher.event(response, "echo", "e1")
    wait_until(lambda: bool(site.components.live.event_results.echo("e1").results))
    person = site.person("importer")
    # When
    during = person.text("/nodes/status?on=query&echo=e1")
    without = person.text("/nodes/status?on=query")
    # Then
    assert "(12.3 ms)" in during
    assert "Testing…" in during
    assert "1 of 2 nodes tested so far" in during
    assert "Timed out" in without


def test_a_page_has_its_nodes_tested_under_its_own_id(site):
    # Given
    site.listen_all()
    # When
    person = site.person("importer")
    response = person.post("/nodes/echo", {"echo": "e1"}, headers={"X-DoseQR": "script"})
    # Then
    assert response.status_code == 204
    assert site.command()[0] == "e1"
    # nobody ordered it
    with site.database.read() as session:
        assert "echo" not in session.scalars(select(AuditEntry.action)).all()


def test_the_form_starts_with_the_criteria_of_the_job(site):
    # Given
    criteria = {"types": ["NM"], "date_from": "2023-01-02", "keep_descriptions": ["bone", "lung"]}
    site.add(a_query("q1", criteria=criteria))
    # When
    page = site.person("importer").text("/imports/query?job=q1")
    # Then
    assert 'value="2023-01-02"' in page
    assert 'value="bone, lung"' in page


def test_an_event_reaches_the_pages_that_follow_its_job(site):
    # Given
    mine, other = site.components.live.open({"q1"}), site.components.live.open({"q2"})
    # When
    site.publisher.event(Accepted(job_id="q1", kind="query"), "query", "q1")
    # Then
    assert mine.wait(10.0) == ["q1"]
    assert other.wait(0.0) == []


def test_embedded_mode_is_announced_with_its_limits(site, test_settings):
    # Given
    from services.web.app import create_app

    settings = test_settings.model_copy(update={"amqp_url": "memory://"})
    # When
    page = create_app(settings, site.broker, site.database).test_client().get("/login").text
    # Then
    assert "Embedded mode" in page


def test_the_criteria_on_the_page_are_those_of_the_message(site):
    # Given
    site.listen_all()
    submit(site, time_from="", toshiba="y", station_at_study_level="y")
    # When
    criteria = site.command()[1].criteria
    # Then
    assert json.loads(json.dumps(criteria)) == criteria
    assert criteria["toshiba"] is criteria["station_at_study_level"] is True
    assert criteria["ignore_known"] is False
