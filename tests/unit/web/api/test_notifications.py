"""Addresses of notifications by the API: each has its owner, and what is secret in them is never returned."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from shared.database.models import AuditEntry, NotificationAddress
from tests.support.servers.receivers import webhook
from tests.support.services.web_api import ApiClient, problem

SECRET = "jsons://user:hunter22@hooks.example.org/s3cr3t"
NEW = {"name": "chat", "address": SECRET, "kinds": ["job", "schedule"], "digest_at": "07:00"}


def add(api: ApiClient, path: str = "/notifications", **values: Any) -> Any:
    response = api.send("POST", path, {**NEW, **values}, scope="admin")
    assert response.status_code == 201, response.text
    return response


def test_an_address_is_added_listed_changed_and_removed(api):
    # When
    added = add(api)
    changed = api.send("PATCH", "/notifications/chat", {"kinds": ["store"], "paused": True})
    listed = api.get("/notifications", scope="read")
    removed = api.send("DELETE", "/notifications/chat")
    # Then
    assert added.headers["Location"].endswith(f"/notifications/{added.json['id']}")
    assert added.json["address"] == "jsons://hooks.example.org/…"
    assert (added.json["outcomes"], added.json["digest_at"]) == (["incomplete", "failed"], "07:00")
    assert (changed.json["kinds"], changed.json["paused"]) == (["store"], True)
    assert listed == [changed.json]
    assert removed.status_code == 204
    assert api.get("/notifications") == []


def test_the_secret_is_in_no_response_row_or_audit_entry(api):
    # When
    texts = [add(api).text, str(api.get("/notifications/chat"))]
    api.send("PATCH", "/notifications/chat", {"address": SECRET + "2"})
    # Then
    with api.site.database.read() as session:
        texts += [row.sealed for row in session.scalars(select(NotificationAddress))]
        texts += [str(entry.details) for entry in session.scalars(select(AuditEntry))]
    assert len(texts) == 5
    assert not any("hunter22" in text or "s3cr3t" in text for text in texts)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"address": ""}, "address"),
        ({"address": "dbus://s3cr3t"}, "address"),
        ({"address": "slack://a/b/c?template=s3cr3t"}, "address"),
        ({"address": "eve@example.org"}, "address"),
        ({"kinds": []}, "kinds"),
        ({"kinds": ["weather"]}, "kinds.0"),
        ({"outcomes": []}, "outcomes"),
        ({"digest_at": "25:00"}, "digest_at"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"more": 1}, "more"),
    ],
)
def test_a_wrong_value_is_refused_with_its_field(api, values, field):
    # When
    refused = problem(api.send("POST", "/notifications", {**NEW, **values}), 422, field)
    # Then
    assert "s3cr3t" not in str(refused)


def test_two_addresses_of_one_name_are_refused(api):
    # Given
    add(api)
    # When / Then
    problem(api.send("POST", "/notifications", NEW), 422, "name")


def test_addresses_of_the_installation_need_the_scope_admin(api):
    # Given
    shared = add(api, "/notifications?system=true").json
    # When
    refused = problem(api.send("GET", "/notifications?system=true", scope="import"), 403)
    # Then
    assert "scope admin" in refused["detail"]
    assert shared["system"] is True
    assert api.get("/notifications") == []
    problem(api.send("GET", f"/notifications/{shared['id']}"), 404)
    assert api.get("/notifications/chat?system=true") == shared


def test_a_test_returns_what_the_server_really_did(api):
    with webhook() as hook:
        add(api, address=hook.url)
        # When
        result: Any = api.send("POST", "/notifications/chat/test")
        again = api.send("POST", "/notifications/chat/test")
    # Then: by default this machine itself is out of bounds.
    assert result.json["sent"] is False
    assert "DOSEQR_NOTIFICATION_LOCAL_HOSTS" in result.json["detail"]
    problem(again, 409)
    assert api.get("/notifications/chat")["problem"] == result.json["detail"]
    assert api.get("/notifications/chat/deliveries") == []
