"""What administrators see and do: audit, system, dead letters."""

from __future__ import annotations

import pytest

from shared.broker.topology import QUEUES
from tests.contract.test_broker_contract import bury
from tests.support.servers.rabbitmq import Inbox, a_message
from tests.support.services.web_api import ApiClient, problem
from tests.support.waiting import wait_until


@pytest.fixture
def operated(site):
    """The API without workers, so that a test may dead-letter what it wants."""
    return ApiClient(site)


BODY = b'{"id": "m1", "type": "doseqr.command.echo.v1", "data": {"nodes": ["gone"]}}'


def test_the_audit_trail_is_read_page_by_page(api):
    # Given
    for port in range(1, 6):
        api.send("PATCH", "/nodes/pacs", {"port": port})
    # When
    first = api.get("/audit?limit=3")
    second = api.get(first["next"])
    # Then
    entries = [*first["items"], *second["items"]]
    assert len(entries) == 5
    assert [entry["id"] for entry in entries] == sorted((entry["id"] for entry in entries), reverse=True)


@pytest.mark.parametrize(
    ("choice", "count"),
    [
        ("action=node+edited", 1),
        ("action=query", 0),
        ("user=admin", 1),
        ("user=ada", 0),
        ("token=admin+token", 1),
        ("from=2000-01-01T00:00:00Z", 1),
        ("from=2999-01-01T00:00:00Z", 0),
        ("until=2000-01-01T00:00:00Z", 0),
    ],
)
def test_the_audit_trail_is_chosen_by_what_and_who(api, choice, count):
    # Given
    api.send("PATCH", "/nodes/pacs", {"port": 11112})
    # Then
    assert len(api.get(f"/audit?{choice}")["items"]) == count


@pytest.mark.parametrize("choice", ["from=now", "until=x", "after=WyJhIl0=", "limit=-1", "after=W3RydWVd"])
def test_a_wrong_choice_of_the_audit_is_refused(api, choice):
    problem(api.send("GET", f"/audit?{choice}"), 422, choice.partition("=")[0])


def test_the_system_shows_how_it_stands(api):
    # When
    system = api.get("/system", scope="read")
    # Then
    assert system["broker"] == "ok"
    assert {queue["name"] for queue in system["queues"]} == {spec.name for spec in QUEUES} | {"dead-letters"}
    assert system["services_without_workers"] == []
    assert (system["dead_letters"], system["database"]) == (0, "sqlite")


def test_the_system_responds_while_the_broker_is_away(api):
    # Given
    api.site.broker.close()
    # When
    system = api.get("/system")
    # Then
    assert (system["broker"], system["queues"], system["dead_letters"]) == ("away", None, None)


def test_services_without_workers_are_named(operated):
    assert operated.get("/system")["services_without_workers"] == ["echo", "query", "retrieve", "store"]


def test_dead_letters_are_listed_and_explained(operated):
    # Given
    bury(operated.site.broker, a_message("m1", body=BODY))
    # When
    listed = operated.get("/dead-letters")
    # Then
    [entry] = listed["items"]
    assert listed["total"] == 1
    assert (entry["message_id"], entry["type"]) == ("m1", "doseqr.command.echo.v1")
    assert (entry["routing_key"], entry["reason"], entry["replayable"]) == ("echo", "no such node: 7", True)
    explained = operated.get(f"/dead-letters/{entry['id']}")
    assert explained["message"]["data"] == {"nodes": ["gone"]}
    assert "replay it" in explained["advice"]


def test_a_dead_letter_that_is_no_json_is_listed_too(operated):
    # Given
    bury(operated.site.broker, a_message("m1", body=b"\xff\x00"))
    # When
    [entry] = operated.get("/dead-letters")["items"]
    # Then
    assert (entry["message_id"], entry["type"], entry["size_bytes"]) == ("", "", 2)
    assert operated.get(f"/dead-letters/{entry['id']}")["message"] is None


def test_a_replayed_dead_letter_comes_back_to_its_queue(operated):
    # Given
    bury(operated.site.broker, a_message("m1", body=BODY))
    [entry] = operated.get("/dead-letters")["items"]
    # When
    response = operated.send("POST", f"/dead-letters/{entry['id']}/replay")
    # Then
    assert response.status_code == 204
    inbox = Inbox(lambda delivery: delivery.ack())
    operated.site.broker.consume("echo", inbox, workers=1)
    inbox.wait_for(1)
    assert inbox.ids == ["m1"]
    assert operated.get("/dead-letters") == {"items": [], "total": 0}
    audited = operated.get("/audit")["items"][0]
    assert (audited["action"], audited["details"]) == ("dead letter replayed", {"dead_letter": entry["id"]})


def test_a_replay_is_repeated_by_its_key_without_a_second_one(operated):
    # Given
    bury(operated.site.broker, a_message("m1", body=BODY))
    [entry] = operated.get("/dead-letters")["items"]
    path, key = f"/dead-letters/{entry['id']}/replay", {"Idempotency-Key": "k"}
    # When
    statuses = [operated.send("POST", path, headers=key).status_code for _ in range(2)]
    # Then
    assert statuses == [204, 204]
    wait_until(lambda: operated.site.broker.queue_state("echo").ready == 1)


def test_a_dropped_dead_letter_is_gone(operated):
    # Given
    bury(operated.site.broker, a_message("m1", body=BODY))
    [entry] = operated.get("/dead-letters")["items"]
    # When
    response = operated.send("DELETE", f"/dead-letters/{entry['id']}")
    # Then
    assert response.status_code == 204
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/replay")):
        problem(operated.send(method, f"/dead-letters/{entry['id']}{path}"), 404)


def test_dead_letters_of_a_broker_that_is_away_are_a_503(operated):
    # Given
    operated.site.broker.close()
    # Then
    problem(operated.send("GET", "/dead-letters"), 503)
    problem(operated.send("DELETE", "/dead-letters/x"), 503)
    problem(operated.send("GET", "/dead-letters?limit=501"), 422, "limit")
