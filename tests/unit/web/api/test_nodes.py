"""Nodes by the API: the same rules as on the page and the command line."""

from __future__ import annotations

import pytest

from services.web.api.routes import nodes
from shared.contract.messages import EchoCompleted, EchoNodes, NodeStatus
from shared.nodes.nodes import ensure_own_store
from tests.support.jobs.rows import NOW, a_query
from tests.support.services.web_api import ApiClient, problem

NEW = {"kind": "remote", "name": "new", "host": "10.0.0.1", "port": 104, "ae_title": "NEW"}


def test_nodes_are_listed_by_id_and_kind(api):
    assert [node["name"] for node in api.get("/nodes")] == ["pacs", "archive"]
    assert [node["name"] for node in api.get("/nodes?kind=store")] == ["archive"]
    problem(api.send("GET", "/nodes?kind=other"), 422, "kind")


def test_a_node_is_found_by_id_and_name(api):
    assert api.get("/nodes/1") == api.get("/nodes/pacs")
    assert "known: pacs, archive" in problem(api.send("GET", "/nodes/7"), 404)["detail"]


@pytest.mark.parametrize("node", ["99999999999", "-1", "%00", "a%00b", "x" * 1000, "%F0%9F%97%9D", "\u0661"])
def test_what_is_no_node_is_not_found(api, node):
    problem(api.send("GET", f"/nodes/{node}"), 404)


def test_a_node_is_added_once(api):
    # When
    added = api.send("POST", "/nodes", NEW)
    again = api.send("POST", "/nodes", NEW)
    # Then
    assert (added.status_code, again.status_code) == (201, 201)
    assert added.headers["Location"] == "/api/v1/nodes/3"
    assert added.json == again.json == api.get("/nodes/new")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"kind": "other"}, "kind"),
        ({"name": ""}, "name"),
        ({"name": "7"}, "name"),
        ({"name": "pacs"}, "name"),
        ({"host": "a b"}, "host"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"port": "many"}, "port"),
        ({"ae_title": "x" * 17}, "ae_title"),
        ({"ae_title": "a\\b"}, "ae_title"),
        ({"calling_ae_title": "x" * 17}, "calling_ae_title"),
        ({"max_associations": 0}, "max_associations"),
        ({"requests_per_minute": 6001}, "requests_per_minute"),
        ({"hours": "25:00-26:00"}, "hours"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"retrieve_by": "fax"}, "retrieve_by"),
        ({"verify_by": "luck"}, "verify_by"),
        ({"tls": "maybe"}, "tls"),
        ({"tls_ca": "/etc/ssl/ca.pem"}, "tls_ca"),
        ({"tls_certificate": ".."}, "tls_certificate"),
        ({"tls_key": "a b"}, "tls_key"),
        ({"id": 3}, "id"),
    ],
)
def test_a_wrong_value_is_refused_by_its_field(api, values, field):
    # When
    added = api.send("POST", "/nodes", NEW | values)
    changed = api.send("PATCH", "/nodes/archive" if field == "name" else "/nodes/pacs", values)
    # Then
    problem(added, 422, field)
    problem(changed, 422, field)
    assert len(api.get("/nodes")) == 2


def test_only_given_fields_of_a_node_change(api):
    # Given
    before = api.get("/nodes/pacs")
    # When
    changed = api.send("PATCH", "/nodes/pacs", {"port": 11112, "hours": "18:00-06:00"})
    # Then
    assert changed.status_code == 200
    assert changed.json == before | {"port": 11112, "hours": "18:00-06:00"}
    assert api.get("/nodes/pacs") == changed.json


def test_a_store_node_changes_too(api):
    # When
    changed = api.send("PATCH", "/nodes/archive", {"verify_by": "commitment"})
    # Then
    assert changed.json["verify_by"] == "commitment"
    problem(api.send("PATCH", "/nodes/archive", {"hours": "18:00-06:00"}), 422)


def test_a_removed_node_is_gone(api):
    # When
    removed = api.send("DELETE", "/nodes/pacs")
    # Then
    assert (removed.status_code, removed.data) == (204, b"")
    problem(api.send("GET", "/nodes/pacs"), 404)
    problem(api.send("DELETE", "/nodes/1"), 404)


def test_the_own_store_is_not_removed(api):
    # Given
    with api.site.database.write() as session:
        ensure_own_store(session, api.site.components.settings, NOW)
    # When
    body = problem(api.send("DELETE", "/nodes/doseqr"), 409)
    # Then
    assert "own store" in body["detail"]
    assert api.send("GET", "/nodes/doseqr").status_code == 200


def test_a_change_is_in_the_audit_trail_with_its_token(api):
    # When
    api.send("PATCH", "/nodes/pacs", {"port": 11112})
    # Then
    entry = api.get("/audit")["items"][0]
    assert (entry["action"], entry["user"], entry["token"]) == ("node edited", "admin", "admin token")
    assert entry["details"] == {"node_id": 1, "fields": ["port"]}


def test_what_is_known_of_a_remote_node_is_shown(api):
    # When
    profile = api.get("/nodes/pacs/profile")
    # Then
    assert (profile["node"], profile["measured_at"]) == ("pacs", None)
    assert profile["fields"]
    assert "not a remote node" in problem(api.send("GET", "/nodes/archive/profile"), 404)["detail"]


@pytest.fixture
def echo_worker(site, monkeypatch):
    """The API with an echo worker that responds as the test wants."""
    outcome = {"ok": True, "outcome": "answers", "detail": "", "rtt_ms": 1.5}

    def handle(delivery):
        site._taken(delivery)
        echo_id, command = site.commands[-1]
        if isinstance(command, EchoNodes) and outcome:
            status = NodeStatus(
                echo_id=echo_id, node_id=command.nodes[0], node="pacs", kind="remote", **outcome
            )
            site.publisher.event(EchoCompleted(echo_id=echo_id, results=[status]), "echo", echo_id)

    site.broker.consume("echo", handle, workers=1)
    return ApiClient(site), outcome


def test_an_echo_returns_how_the_node_responded(echo_worker):
    # Given
    api, _ = echo_worker
    # When
    response = api.send("POST", "/nodes/pacs/echo", scope="import")
    # Then
    assert response.status_code == 200
    assert response.json == {
        "node": "pacs",
        "kind": "remote",
        "ok": True,
        "rtt_ms": 1.5,
        "outcome": "answers",
        "detail": "",
    }
    assert api.site.components.live.open_streams == 0


def test_an_echo_without_a_response_ends_in_time(echo_worker, monkeypatch):
    # Given
    api, outcome = echo_worker
    outcome.clear()
    monkeypatch.setattr(nodes, "ECHO_LONGEST_S", 0.1)
    # When
    response = api.send("POST", "/nodes/pacs/echo")
    # Then
    problem(response, 504)
    assert api.site.components.live.open_streams == 0


def test_a_paused_node_is_listed_so_and_can_be_edited(api):
    # Given
    before = api.get("/nodes/pacs")
    # When
    paused = api.send("POST", "/nodes/pacs/pause").json
    again = api.send("POST", "/nodes/pacs/pause").json
    changed = api.send("PATCH", "/nodes/pacs", {"port": 11112}).json
    # Then
    assert (paused["paused"], paused["paused_by"]) == (True, "admin")
    assert again == paused
    assert changed == paused | {"port": 11112}
    assert api.send("POST", "/nodes/pacs/resume").json == before | {"port": 11112}
    problem(api.send("POST", "/nodes/nothing/pause"), 404)


def test_jobs_of_a_paused_node_name_what_they_wait_for(api):
    # Given
    api.site.add(a_query("q1", status="running"))
    # When
    api.send("POST", "/nodes/pacs/pause")
    # Then
    job = api.get("/jobs/q1?studies=false")
    assert job["note"].startswith("the node pacs is paused by admin since 20")
    assert job["paused"] is False
