"""Queries and retrieves are ordered by the same commands as on the page."""

from __future__ import annotations

import pytest

from services.web.api import commands
from shared.contract.messages import Rejected, RunQuery, RunRetrieve
from shared.tracing.current import current_causation
from shared.tracing.trace_context import Causation
from tests.support.jobs.rows import a_query
from tests.support.services.web_api import problem
from tests.support.waiting import wait_until

CRITERIA = {"types": ["CT"], "date_from": "2024-05-01", "date_until": "2024-05-02"}
QUERY = {"remote": "pacs", "store": "archive", "criteria": CRITERIA}


def test_a_query_is_ordered_in_the_name_of_the_owner(api):
    # When
    response = api.send("POST", "/queries", {**QUERY, "retrieve": True}, scope="import")
    # Then
    command_id, command = api.site.command()
    assert response.status_code == 202
    assert response.json == {"id": command_id, "kind": "query", "status": "queued"}
    assert response.headers["Location"] == f"/api/v1/jobs/{command_id}"
    assert isinstance(command, RunQuery)
    assert (command.remote, command.store, command.requested_by) == (1, 2, "admin")
    assert command.retrieve
    assert command.criteria["types"] == ["CT"]
    assert command.criteria["date_from"] == "2024-05-01"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"remote": "nobody"}, "remote"),
        ({"remote": "archive"}, "remote"),
        ({"remote": 99999999999999999999}, "remote"),
        ({"remote": None}, "remote"),
        ({"store": "pacs"}, "store"),
        ({"priority": "first"}, "priority"),
        ({"retrieve": "perhaps"}, "retrieve"),
        ({"requested_by": "somebody else"}, "requested_by"),
        ({"criteria": {}}, "criteria.types"),
        ({"criteria": {"types": ["XX"]}}, "criteria.types.0"),
        ({"criteria": CRITERIA | {"date_from": "2024-05-03"}}, "criteria.date_from"),
        ({"criteria": CRITERIA | {"date_from": "01.05.2024"}}, "criteria.date_from"),
        ({"criteria": CRITERIA | {"date_until": "2024-02-30"}}, "criteria.date_until"),
        ({"criteria": CRITERIA | {"time_from": "0800"}}, "criteria.time_from"),
        ({"criteria": CRITERIA | {"time_until": "25:00"}}, "criteria.time_until"),
        ({"criteria": CRITERIA | {"include_sr_only": 1}}, "criteria.include_sr_only"),
        ({"criteria": CRITERIA | {"exclude_descriptions": ["x" * 201]}}, "criteria.exclude_descriptions.0"),
        ({"criteria": CRITERIA | {"keep_descriptions": [1]}}, "criteria.keep_descriptions"),
        ({"criteria": CRITERIA | {"exclude_stations": 7}}, "criteria.exclude_stations"),
        ({"criteria": CRITERIA | {"keep_stations": ["a\x01"]}}, "criteria.keep_stations.0"),
        ({"criteria": CRITERIA | {"station_at_study_level": "yes"}}, "criteria.station_at_study_level"),
        ({"criteria": CRITERIA | {"ignore_known": None}}, "criteria.ignore_known"),
        ({"criteria": CRITERIA | {"empty_sr": 0}}, "criteria.empty_sr"),
        ({"criteria": CRITERIA | {"toshiba": "no"}}, "criteria.toshiba"),
        ({"criteria": CRITERIA | {"accession_numbers": ["1"]}}, "criteria.accession_numbers"),
        ({"criteria": {"types": ["CT"], "accession_numbers": ["a*"]}}, "criteria.accession_numbers.0"),
        ({"criteria": {"types": ["CT"], "study_instance_uids": ["1.x"]}}, "criteria.study_instance_uids.0"),
        ({"criteria": {"types": ["CT"], "date_from": "9999-01-01"}}, "criteria.date_from"),
        ({"criteria": CRITERIA | {"unknown": 1}}, "criteria.unknown"),
    ],
)
def test_a_wrong_value_is_refused_by_its_field(api, values, field):
    # When
    response = api.send("POST", "/queries", QUERY | values)
    # Then
    body = problem(response, 422)
    assert body["field"].startswith(field), body
    assert api.site.commands == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"criteria": None}, "criteria: must be an object"),
        ({"criteria": []}, "criteria: must be an object"),
        ({"retrieve": "soon"}, "retrieve: must be true or false"),
        ({"retrieve": None}, "retrieve: must be true or false"),
    ],
)
def test_a_wrong_type_is_named_in_words_of_json(api, values, words):
    # When
    response = api.send("POST", "/queries", QUERY | values)
    # Then
    assert problem(response, 422)["detail"] == words


def test_a_refusal_of_the_worker_is_reported(api, monkeypatch):
    # Given
    monkeypatch.setattr(commands, "TAKEN_WITHIN_S", 10.0)
    live = api.site.components.live
    publish = type(api.site.components.publisher).command

    def refused(self, command, *, command_id=None, routing_key=""):
        body = Rejected(command_id=command_id, field="data.criteria.types", problem="must be something else")
        api.site.publisher.event(body, "command", command_id)
        wait_until(lambda: live.event_results.rejection(command_id) is not None)
        return publish(self, command, command_id=command_id, routing_key=routing_key)

    monkeypatch.setattr(type(api.site.components.publisher), "command", refused)
    # When
    response = api.send("POST", "/queries", QUERY)
    # Then
    body = problem(response, 422, "criteria.types")
    assert "must be something else" in body["detail"]


def test_a_query_that_was_taken_comes_with_its_status(api, monkeypatch):
    # Given
    monkeypatch.setattr(commands, "TAKEN_WITHIN_S", 10.0)
    publish = type(api.site.components.publisher).command

    def taken(self, command, *, command_id=None, routing_key=""):
        api.site.add(a_query(command_id, status="running"))
        return publish(self, command, command_id=command_id, routing_key=routing_key)

    monkeypatch.setattr(type(api.site.components.publisher), "command", taken)
    # When
    response = api.send("POST", "/queries", QUERY)
    # Then
    assert response.json["status"] == "running"


def test_a_retrieve_of_an_ended_query_is_ordered(api):
    # Given
    api.site.add(a_query("q1", studies_kept=2))
    # When
    response = api.send("POST", "/queries/q1/retrieve", {"types": ["CT"]}, scope="import")
    # Then
    command_id, command = api.site.command()
    assert response.status_code == 202
    assert response.json == {"id": command_id, "kind": "retrieve", "status": "queued"}
    assert isinstance(command, RunRetrieve)
    assert (command.query_id, command.types, command.requested_by) == ("q1", ["CT"], "admin")


def test_a_retrieve_needs_no_body(api):
    # Given
    api.site.add(a_query("q1", studies_kept=2))
    # Then
    assert api.send("POST", "/queries/q1/retrieve").status_code == 202
    assert api.site.command()[1].types == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"types": "CT"}, "types"),
        ({"types": ["x" * 9]}, "types.0"),
        ({"study_instance_uids": ["1.x"]}, "study_instance_uids.0"),
        ({"priority": 1}, "priority"),
        ({"query_id": "q2"}, "query_id"),
        ({"requested_by": "x"}, "requested_by"),
    ],
)
def test_a_wrong_choice_is_refused_by_its_field(api, body, field):
    # Given
    api.site.add(a_query("q1", studies_kept=2))
    # Then
    problem(api.send("POST", "/queries/q1/retrieve", body), 422, field)


def test_what_is_no_ended_query_is_not_retrieved(api):
    # Given
    api.site.add(a_query("q1", status="running"))
    # Then
    problem(api.send("POST", "/queries/q1/retrieve"), 409)
    problem(api.send("POST", "/queries/q2/retrieve"), 404)
    problem(api.send("POST", "/queries/a.b/retrieve"), 404)
    assert api.site.commands == []


def test_a_query_is_in_the_trace_of_its_request(api, monkeypatch):
    # Given
    published: list[Causation | None] = []
    publish = type(api.site.components.publisher).command

    def noted(self, command, **about):
        published.append(current_causation())
        return publish(self, command, **about)

    monkeypatch.setattr(type(api.site.components.publisher), "command", noted)
    headers = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "a=1"}
    # When
    api.send("POST", "/queries", QUERY, headers=headers)
    api.send("POST", "/queries", QUERY, headers={"traceparent": "x" * 5000})
    # Then
    first, second = published
    assert first is not None
    assert (first.context.traceparent, first.context.state) == (headers["traceparent"], "a=1")
    assert second is None
