"""Everything that goes wrong below the prefix is told as problem details."""

from __future__ import annotations

import json

import pytest

from shared.errors import BrokerAwayError, DatabaseAwayError
from tests.support.services.web_api import ApiClient, problem

QUERY = {"remote": "pacs", "store": "archive", "criteria": {"types": ["CT"], "date_from": "2024-05-01"}}


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/jobs/", "/nodes/1/2/3", "/jobs//events"])
def test_an_unknown_address_is_a_problem(api, path):
    problem(api.send("GET", f"/api/v1{path}"), 404)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/nodes", {"GET", "HEAD", "POST"}),
        ("POST", "/jobs", {"GET", "HEAD"}),
        ("OPTIONS", "/nodes/1", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("GET", "/queries", {"POST"}),
    ],
)
def test_a_wrong_method_names_the_right_ones(api, method, path, allow):
    # When
    response = api.send(method, path)
    # Then
    problem(response, 405)
    assert set(response.headers["Allow"].split(", ")) == allow


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"a=b", "application/x-www-form-urlencoded", 415),
        (b"{}", "", 415),
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"remote": "Z\xfcrich"}', "application/json", 400),
        (json.dumps(QUERY).encode("utf-16"), "application/json", 400),
        (json.dumps(QUERY).encode("utf-16-le"), "application/json; charset=utf-16", 400),
        (json.dumps(QUERY).encode("utf-16-be"), "application/json", 400),
        (json.dumps(QUERY).encode("utf-32"), "application/json", 400),
        (b'{"remote": NaN}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"[]", "application/json", 422),
        (b'"text"', "application/json", 422),
        (b'{"remote": "a\\u0000b"}', "application/json", 422),
        (b'{"remote": "\\ud800"}', "application/json", 422),
        (b'{"a":' * 50 + b"1" + b"}" * 50, "application/json", 422),
        (b'{"x": "' + b"x" * 2_000_000 + b'"}', "application/json", 413),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(api, body, content_type, status):
    problem(api.send("POST", "/queries", data=body, content_type=content_type), status)
    assert api.site.commands == []


def test_an_encoding_that_is_not_that_of_json_is_named(api):
    # When
    data = json.dumps(QUERY).encode("utf-16")
    body = problem(api.send("POST", "/queries", data=data, content_type="application/json"), 400)
    # Then
    assert "not in UTF-8" in body["detail"]


def test_a_byte_order_mark_before_json_is_ignored(api):
    # When
    data = json.dumps(QUERY).encode("utf-8-sig")
    response = api.send("POST", "/queries", data=data, content_type="application/json")
    # Then
    assert response.status_code == 202


def test_every_field_at_fault_is_named(api):
    # When
    body = problem(api.send("POST", "/queries", {"remote": 1.5, "criteria": 7, "unknown": True}), 422)
    # Then
    fields = {error["field"].partition(".")[0] for error in body["errors"]}
    assert fields == {"remote", "store", "criteria", "unknown"}


def test_a_body_where_none_is_taken_is_refused(api):
    problem(api.send("DELETE", "/nodes/pacs", {"sure": True}), 422)
    assert api.send("GET", "/nodes/pacs").status_code == 200


def test_an_unknown_parameter_is_refused(api):
    problem(api.send("GET", "/nodes?kindd=remote"), 422, "kindd")
    problem(api.send("GET", "/nodes/pacs?x=1"), 422, "x")


def test_a_broker_that_is_away_is_reported_with_when_to_come_back(api):
    # Given
    api.site.broker.close()
    # When
    response = api.send("POST", "/queries", QUERY)
    # Then
    problem(response, 503)
    assert int(response.headers["Retry-After"]) > 0


def test_a_command_that_is_not_confirmed_is_reported(api, monkeypatch):
    # Given
    def away(*_args, **_options):
        raise BrokerAwayError("not confirmed")

    monkeypatch.setattr(type(api.site.components.publisher), "command", away)
    # When
    response = api.send("POST", "/queries", QUERY)
    # Then
    assert "nothing was begun" in problem(response, 503)["detail"]
    assert response.headers["Retry-After"]


def test_a_missing_worker_is_named_with_its_command(site):
    # Given
    api = ApiClient(site)
    site.listen("echo", "retrieve", "retrieve-tasks", "store")
    # When
    body = problem(api.send("POST", "/queries", QUERY), 503)
    # Then
    assert "No query worker listens" in body["detail"]
    assert body["advice"] == "Start one: doseqr serve query"


def test_a_database_that_is_away_is_reported(api, monkeypatch):
    # Given
    def away(self):
        raise DatabaseAwayError("database: OperationalError")

    monkeypatch.setattr(type(api.site.database), "read", away)
    # When
    response = api.send("GET", "/nodes")
    # Then
    problem(response, 503)
    assert response.headers["Retry-After"]


def test_a_defect_is_a_problem_without_its_text(api, monkeypatch):
    # Given
    def fail(*_args):
        raise ZeroDivisionError("patient data")

    monkeypatch.setattr("services.web.api.routes.nodes.list_nodes", fail)
    client = api.site.app.test_client()
    # When
    response = client.get("/api/v1/nodes", headers={"Authorization": f"Bearer {api.tokens['read']}"})
    # Then
    assert "patient" not in response.text
    problem(response, 500)


def test_pages_keep_their_own_errors(site):
    # When
    response = site.person("admin").get("/jobs/nothing")
    # Then
    assert response.status_code == 404
    assert response.mimetype == "text/html"


@pytest.mark.parametrize(
    ("accepted", "status"),
    [
        ("application/json", 200),
        ("application/*", 200),
        ("text/html, */*;q=0.1", 200),
        ("", 200),
        ("text/html", 406),
        ("application/json;q=0, text/html", 406),
    ],
)
def test_what_accept_excludes_is_refused_as_a_problem(api, accepted, status):
    # When
    response = api.send("GET", "/nodes", headers={"Accept": accepted})
    # Then
    if status == 406:
        problem(response, status)
    assert response.status_code == status
