"""Jobs by the API: lists, results, and what may be done with one."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.contract.messages import AskAgain, CancelJob, PauseJob, RaiseJob, ResumeJob
from shared.database.models.pause import Pause
from shared.reading.query_json import query_json
from shared.reading.retrieve_json import retrieve_json
from tests.support.jobs.rows import (
    NOW,
    a_find,
    a_query,
    a_retrieve,
    a_series,
    a_study,
    a_task,
    an_expected,
    an_object,
)
from tests.support.services.web_api import ApiClient, problem
from tests.support.waiting import wait_until


@pytest.fixture
def filled(api):
    """A completed query of three studies, and a retrieve of two of them that misses an object."""
    api.site.add(
        a_query("q1", studies_found=3, studies_kept=2, requested_by="ada"),
        a_study("1.1", "q1"),
        a_study("1.2", "q1", type="MG"),
        a_study("1.3", "q1", decision="drop", reason="no_dose_object"),
        a_series("1.1", "1.1.1", "q1"),
        an_object("1.1", "1.1.1", "1.1.1.1", "q1"),
        an_object("1.1", "1.1.1", "1.1.1.2", "q1", decision="drop"),
        a_retrieve("r1", "q1", status="incomplete", requested_at=NOW + timedelta(minutes=1)),
        an_expected("1.1", "1.1.1", "1.1.1.1", "r1", arrived_at=NOW),
        an_expected("1.2", "1.2.1", "1.2.1.1", "r1", state="missing", reason="not_sent"),
    )
    return api


def followed(api: ApiClient, path: str) -> list[dict[str, Any]]:
    """Return the items of all pages."""
    items: list[dict[str, Any]] = []
    pages = 0
    while path:
        found = api.get(path)
        items += found["items"]
        path, pages = found["next"], pages + 1
        assert pages < 50
    return items


def test_jobs_are_listed_the_newest_first(filled):
    assert [job["id"] for job in filled.get("/jobs")["items"]] == ["r1", "q1"]


@pytest.mark.parametrize(
    ("choice", "ids"),
    [
        ("kind=query", ["q1"]),
        ("kind=retrieve", ["r1"]),
        ("status=incomplete", ["r1"]),
        ("status=incomplete&status=completed", ["r1", "q1"]),
        ("status=running", []),
        ("node=pacs", ["r1", "q1"]),
        ("node=1", ["r1", "q1"]),
        ("requested_by=ada", ["q1"]),
        ("from=2024-05-01T12:00:30Z", ["r1"]),
        ("until=2024-05-01T14:00:00%2B02:00", ["q1"]),
        ("from=2024-05-01T12:00:00Z&until=2024-05-01T12:00:00Z", ["q1"]),
    ],
)
def test_jobs_are_chosen_by_what_they_are(filled, choice, ids):
    assert [job["id"] for job in filled.get(f"/jobs?{choice}")["items"]] == ids


@pytest.mark.parametrize(
    ("choice", "field"),
    [
        ("kind=echo", "kind"),
        ("kind=query&kind=retrieve", "kind"),
        ("status=done", "status.0"),
        ("node=nobody", "node"),
        ("node=%00", None),
        ("requested_by=" + "x" * 129, "requested_by"),
        ("from=yesterday", "from"),
        ("from=2024-05-01T12:00:00", "from"),
        ("from=0001-01-01T00:00:00%2B23:59", "from"),
        ("until=9999-12-31T23:59:59-23:59", "until"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=many", "limit"),
        ("after=xyz", "after"),
        ("after=%FF", "after"),
        ("after=W10=", "after"),
        ("after=WzEsIDJd", "after"),
        ("after=WyJub3ciLCAicTEiXQ==", "after"),
        ("page=2", "page"),
    ],
)
def test_a_wrong_choice_is_refused_by_its_parameter(filled, choice, field):
    problem(filled.send("GET", f"/jobs?{choice}"), 422, field)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("q1/studies?type=ct", "'CT', 'MG', 'FL', 'DX', 'NM' or 'SR'"),
        ("q1/studies?reason=zz", "rdsr, rrdsr, esr"),
        ("q1/studies?decision=zz", "'keep' or 'drop'"),
        ("r1/objects?state=zz", "'arrived'"),
        ("r1/objects?state=keep", "expected, asked, arrived, failed, missing"),
        ("q1/objects?state=arrived", "keep, drop"),
    ],
)
def test_a_choice_that_nothing_ever_has_is_refused_with_the_allowed_ones(filled, path, allowed):
    name = path.partition("?")[2].partition("=")[0]
    assert allowed in problem(filled.send("GET", f"/jobs/{path}"), 422, name)["detail"]


def test_pages_follow_each_other_without_gaps(api):
    # Given
    for number in range(25):
        when = NOW + timedelta(seconds=number // 3)
        api.site.add(a_query(f"q{number:02}", requested_at=when))
        api.site.add(a_retrieve(f"r{number:02}", f"q{number:02}", requested_at=when))
    # When
    jobs = followed(api, "/jobs?limit=7")
    # Then
    assert [job["id"] for job in jobs] == [job["id"] for job in api.get("/jobs?limit=1000")["items"]]
    assert len({job["id"] for job in jobs}) == 50


def test_the_next_page_is_linked_with_its_choice(filled):
    # When
    response = filled.send("GET", "/jobs?limit=1&status=completed&status=incomplete")
    # Then
    following = response.json["next"]
    assert response.headers["Link"] == f'<{following}>; rel="next"'
    assert following.startswith("/api/v1/jobs?limit=1&status=completed&status=incomplete&after=")
    assert [job["id"] for job in filled.get(following)["items"]] == ["q1"]


def test_a_query_is_the_json_of_the_command_line(filled):
    # Given
    with filled.site.database.read() as session:
        expected = json.loads(json.dumps(query_json(session, "q1")))
    # Then
    assert filled.get("/jobs/q1") == expected
    del expected["studies"]
    assert filled.get("/jobs/q1?studies=false") == expected


def test_a_retrieve_is_the_json_of_the_command_line(filled):
    # Given
    with filled.site.database.read() as session:
        expected = json.loads(json.dumps(retrieve_json(session, "r1")))
    # When
    body = filled.get("/jobs/r1")
    # Then
    assert body == expected
    assert list(body) == list(expected)
    assert [row["sop_instance_uid"] for row in body["missing"]] == ["1.2.1.1"]


def test_windows_that_are_missing_fit_the_document(api):
    # Given
    api.site.add(
        a_query("q1", status="incomplete"),
        a_task("q1", payload={"code": "CT", "date_from": "2024-05-01", "date_until": "2024-05-02"}),
        a_study("1.1", "q1", state="missing", decision="", reason="not_examined", detail="0xC001"),
    )
    # Then
    assert [row["kind"] for row in api.get("/jobs/q1")["missing"]] == ["slice", "study"]


@pytest.mark.parametrize("path", ["", "/studies", "/objects", "/events", "/studies/1.1/why"])
@pytest.mark.parametrize("job", ["q2", "a.b", "x" * 65, "%F0%9F%97%9D"])
def test_an_unknown_job_is_not_found(filled, job, path):
    problem(filled.send("GET", f"/jobs/{job}{path}"), 404)


def test_studies_come_with_their_series(filled):
    # When
    studies = followed(filled, "/jobs/q1/studies?limit=2")
    # Then
    assert studies == filled.get("/jobs/q1")["studies"]
    assert studies[0]["series"][0]["objects"][0]["sop_instance_uid"] == "1.1.1.1"


@pytest.mark.parametrize(
    ("choice", "uids"),
    [
        ("decision=keep", ["1.1", "1.2"]),
        ("decision=drop", ["1.3"]),
        ("type=MG", ["1.2"]),
        ("reason=no_dose_object", ["1.3"]),
        ("decision=keep&type=CT&limit=1", ["1.1"]),
    ],
)
def test_studies_are_chosen_by_their_decision(filled, choice, uids):
    found = filled.get(f"/jobs/q1/studies?{choice}")["items"]
    assert [study["study_instance_uid"] for study in found] == uids


def test_studies_of_a_retrieve_are_those_it_expects(filled):
    found = filled.get("/jobs/r1/studies")["items"]
    assert [study["study_instance_uid"] for study in found] == ["1.1", "1.2"]


def test_objects_of_a_retrieve_show_whether_they_arrived(filled):
    # When
    objects = followed(filled, "/jobs/r1/objects?limit=1")
    # Then
    assert [(row["sop_instance_uid"], row["state"], row["reason"]) for row in objects] == [
        ("1.1.1.1", "arrived", None),
        ("1.2.1.1", "missing", "not_sent"),
    ]
    assert objects[0]["arrived_at"] == "2024-05-01T12:00:00Z"
    missing = filled.get("/jobs/r1/objects?state=missing")["items"]
    assert [row["sop_instance_uid"] for row in missing] == ["1.2.1.1"]


def test_objects_of_a_query_are_those_decided_alone(filled):
    # When
    objects = filled.get("/jobs/q1/objects")["items"]
    # Then
    assert [(row["sop_instance_uid"], row["decision"]) for row in objects] == [
        ("1.1.1.1", "keep"),
        ("1.1.1.2", "drop"),
    ]
    kept = filled.get("/jobs/q1/objects?state=keep")["items"]
    assert [row["sop_instance_uid"] for row in kept] == ["1.1.1.1"]


def test_a_study_is_explained(filled):
    assert filled.get("/jobs/q1/studies/1.3/why")["reason"] == "no_dose_object"
    assert filled.get("/jobs/r1/studies/1.1/why")["arrivals"][0]["state"] == "arrived"
    assert filled.get("/jobs/q1/studies/9.9/why")["state"] == "not_returned"
    problem(filled.send("GET", "/jobs/q1/studies/1.x/why"), 422, "study")


def test_a_running_job_is_cancelled(api):
    # Given
    api.site.add(a_query("q1", status="running"))
    # When
    response = api.send("POST", "/jobs/q1/cancel", scope="import")
    # Then
    assert response.status_code == 202
    assert response.json == {"id": "q1", "kind": "query", "status": "running"}
    assert api.site.command()[1] == CancelJob(job_id="q1", requested_by="admin")


@pytest.mark.parametrize("action", ["cancel", "pause", "resume", "raise"])
def test_an_ended_job_cannot_be_changed(filled, action):
    problem(filled.send("POST", f"/jobs/q1/{action}"), 409)
    problem(filled.send("POST", f"/jobs/q2/{action}"), 404)
    assert filled.site.commands == []


@pytest.mark.parametrize(
    ("action", "command"), [("pause", PauseJob), ("resume", ResumeJob), ("raise", RaiseJob)]
)
def test_a_running_job_is_paused_resumed_and_raised(api, action, command):
    # Given
    api.site.add(a_query("q1", status="running"))
    # When
    response = api.send("POST", f"/jobs/q1/{action}", scope="import")
    # Then
    assert (response.status_code, response.json["status"]) == (202, "running")
    assert api.site.command()[1] == command(job_id="q1", requested_by="admin")


@pytest.mark.parametrize("action", ["cancel", "pause", "resume", "raise"])
def test_an_order_reaches_a_query_that_nobody_has_taken(api, action):
    # Given
    criteria = {"types": ["CT"], "date_from": "2024-05-01", "date_until": "2024-05-01"}
    query = api.send("POST", "/queries", {"remote": "pacs", "store": "archive", "criteria": criteria}).json
    # When
    response = api.send("POST", f"/jobs/{query['id']}/{action}", scope="import")
    # Then
    assert (response.status_code, response.json) == (202, query)
    wait_until(lambda: len(api.site.commands) >= 2)
    assert api.site.commands[1][1].job_id == query["id"]


def test_a_paused_job_names_by_whom_and_since_when(api):
    # Given
    pause = Pause("physicist", datetime(2026, 11, 26, 12, tzinfo=UTC), "pause-1")
    api.site.add(a_query("q1", status="running", paused=pause.to_json(), gives_up_at=pause.at))
    # When
    job = api.get("/jobs/q1?studies=false")
    # Then
    assert (job["paused"], job["paused_by"], job["paused_at"]) == (True, "physicist", "2026-11-26T12:00:00Z")
    assert job["note"] == "paused by physicist since 2026-11-26T12:00:00Z"
    assert job["gives_up_at"] is None


def test_what_a_query_misses_is_requested_under_its_id(api):
    # Given
    api.site.add(a_query("q1", status="incomplete"))
    # When
    response = api.send("POST", "/jobs/q1/again", scope="import")
    # Then
    assert response.json["id"] == "q1"
    assert response.headers["Location"] == "/api/v1/jobs/q1"
    assert api.site.command()[1] == AskAgain(job_id="q1", requested_by="admin")


def test_what_a_retrieve_misses_is_a_new_retrieve(filled):
    # When
    response = filled.send("POST", "/jobs/r1/again")
    # Then
    command_id, command = filled.site.command()
    assert response.json == {"id": command_id, "kind": "retrieve", "status": "queued"}
    assert command.job_id == "r1"


def test_a_job_that_misses_nothing_is_not_repeated(filled):
    # Given
    filled.site.add(a_query("q2", status="running"))
    # Then
    problem(filled.send("POST", "/jobs/q1/again"), 409)
    problem(filled.send("POST", "/jobs/q2/again"), 409)
    problem(filled.send("POST", "/jobs/q3/again"), 404)


def test_a_trace_has_its_jobs_and_pages_of_tasks(filled):
    # Given
    filled.site.add(a_task("q1", id=1), a_task("q1", id=2), a_find(1, "q1"))
    # When
    first = filled.get("/jobs/q1/trace?limit=1")
    second = filled.get(first["next"])
    # Then
    assert [job["id"] for job in first["jobs"]] == ["q1", "r1"]
    assert first["jobs"][1]["objects"] == {"arrived": 1, "missing": 1}
    assert [task["id"] for task in (*first["tasks"], *second["tasks"])] == [1, 2]
    assert first["tasks"][0]["requests"][0]["operation"] == "C-FIND"
    assert filled.get(second["next"])["next"] is None


@pytest.mark.parametrize("number", [-1, 2**31, 10**30])
def test_a_page_of_tasks_that_no_page_named_is_refused(filled, number):
    cursor = base64.urlsafe_b64encode(json.dumps([number]).encode()).decode()
    problem(filled.send("GET", f"/jobs/q1/trace?after={cursor}"), 422)
