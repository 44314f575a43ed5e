"""The same POST twice with one Idempotency-Key does the work once and gets the same response."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from services.web.api import idempotency
from shared.database.models import ApiRequest
from tests.support.jobs.rows import a_query
from tests.support.services.web_api import ApiClient, problem

QUERY = {"remote": "pacs", "store": "archive", "criteria": {"types": ["CT"], "date_from": "2024-05-01"}}
KEY = {"Idempotency-Key": "7f3c"}


def requests(api: ApiClient) -> list[ApiRequest]:
    with api.site.database.read() as session:
        return list(session.scalars(select(ApiRequest)))


def test_a_repeated_request_gets_the_same_response(api):
    # When
    first = api.send("POST", "/queries", QUERY, headers=KEY)
    second = api.send("POST", "/queries", QUERY, headers=KEY)
    # Then
    assert first.status_code == second.status_code == 202
    assert first.json == second.json
    assert first.headers["Location"] == second.headers["Location"]
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    api.site.command()
    assert len(api.site.commands) == 1


def test_another_body_under_the_same_key_is_refused(api):
    # Given
    api.send("POST", "/queries", QUERY, headers=KEY)
    # Then
    problem(api.send("POST", "/queries", {**QUERY, "retrieve": True}, headers=KEY), 422, "Idempotency-Key")
    problem(api.send("POST", "/jobs/q1/cancel", headers=KEY), 422, "Idempotency-Key")


def test_each_token_has_its_own_keys(api):
    # When
    first = api.send("POST", "/queries", QUERY, headers=KEY, scope="import")
    second = api.send("POST", "/queries", QUERY, headers=KEY, scope="admin")
    # Then
    assert first.json["id"] != second.json["id"]


def test_without_a_key_the_work_is_done_each_time(api):
    first, second = (api.send("POST", "/queries", QUERY).json["id"] for _ in range(2))
    assert first != second
    assert requests(api) == []


def test_a_request_that_failed_may_be_corrected(api):
    # Given
    api.site.add(a_query("q1", status="running"))
    problem(api.send("POST", "/queries/q1/retrieve", headers=KEY), 409)
    # When
    with api.site.database.write() as session:
        session.execute(update(type(a_query())).values(status="completed"))
    # Then
    assert api.send("POST", "/queries/q1/retrieve", headers=KEY).status_code == 202


def test_a_request_in_progress_is_not_begun_twice(api):
    # Given
    api.send("POST", "/queries", QUERY, headers=KEY)
    with api.site.database.write() as session:
        session.execute(update(ApiRequest).values(status_code=None))
    # When
    response = api.send("POST", "/queries", QUERY, headers=KEY)
    # Then
    problem(response, 409, "Idempotency-Key")
    assert response.headers["Retry-After"] == "1"


def test_a_request_that_died_is_made_again_with_the_same_id(api):
    # Given
    first = api.send("POST", "/queries", QUERY, headers=KEY)
    with api.site.database.write() as session:
        died = api.site.components.clock() - idempotency.IN_PROGRESS
        session.execute(update(ApiRequest).values(status_code=None, created_at=died))
    # When
    second = api.send("POST", "/queries", QUERY, headers=KEY)
    # Then
    assert second.status_code == 202
    assert second.json["id"] == first.json["id"]


def test_a_response_is_kept_for_a_day(api):
    # Given
    node = {"kind": "store", "name": "n", "host": "h", "port": 1, "ae_title": "N"}
    api.send("POST", "/nodes", node, headers=KEY)
    with api.site.database.write() as session:
        old = api.site.components.clock() - idempotency.KEPT - timedelta(seconds=1)
        session.execute(update(ApiRequest).values(created_at=old))
    # When
    response = api.send("POST", "/queries", QUERY, headers=KEY)
    # Then
    assert response.status_code == 202
    assert len(requests(api)) == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "ä", "x" * 256])
def test_a_malformed_key_is_refused(api, key):
    problem(api.send("POST", "/queries", QUERY, headers={"Idempotency-Key": key}), 422, "Idempotency-Key")
    assert api.site.commands == []
