"""Long lists of studies over HTTP: uploaded, followed, cancelled, retrieved."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from shared.contract.messages import RunRetrieve
from shared.database.models import LongListPart
from tests.support.jobs.rows import a_query
from tests.support.services.web import a_node
from tests.support.services.web_api import ApiClient, problem

CRITERIA = {"types": ["CT"]}
BODY = {"remote": "pacs", "store": "archive", "criteria": CRITERIA}


@pytest.fixture
def client(api: ApiClient) -> ApiClient:
    a_node(api.site.database, "remote", "pacs")
    a_node(api.site.database, "store", "archive")
    return api


def upload(client: ApiClient, content: bytes, **fields: str) -> Any:
    form = {**BODY, "criteria": json.dumps(CRITERIA), **fields, "file": (io.BytesIO(content), "ris.csv")}
    return client.send("POST", "/study-lists", scope="import", data=form)


def test_an_uploaded_list_becomes_parts_without_names(client):
    # Given
    rows = "".join(f"Doe {number};A{number}\r\n" for number in range(2_001))
    # When
    response = upload(client, f"Name;Accession number\r\n{rows}".encode(), retrieve="true")
    # Then
    assert response.status_code == 202, response.text
    body = response.json
    assert (body["name"], body["field"], body["identifiers"]) == ("ris.csv", "accession_numbers", 2_001)
    assert (body["parts"], body["retrieve"], body["status"]) == (3, True, "queued")
    assert client.get(response.headers["Location"])["queries"][2]["number"] == 3
    assert [entry["id"] for entry in client.get("/study-lists")] == [body["id"]]
    with client.site.database.read() as session:
        stored = json.dumps([part.identifiers for part in session.query(LongListPart)])
    assert "Doe" not in stored


def test_wrong_lines_are_named_by_number_and_may_be_left_out(client):
    # Given
    content = b"study uid\n1.2.3\n1..4\n\n1.2.x\n"
    # When
    refused, taken = upload(client, content), upload(client, content, leave_out_errors="true")
    # Then
    errors = problem(refused, 422, "file")["errors"]
    assert [error["field"] for error in errors] == ["line 3", "line 5"]
    assert (taken.status_code, taken.json["left_out"], taken.json["identifiers"]) == (202, 2, 1)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lines": []}, "lines"),
        ({"lines": ["17;A1", "18;A2"]}, "column"),
        ({"lines": ["A1"], "column": "C"}, "file"),
        ({"lines": ["A1"], "criteria": {"types": ["XX"]}}, "criteria.types.0"),
        ({"lines": ["A1"], "criteria": {"types": ["CT"], "date_from": "2024-03-01"}}, "criteria.date_from"),
        (
            {"lines": ["A1"], "criteria": {**CRITERIA, "accession_numbers": ["A"]}},
            "criteria.accession_numbers",
        ),
        ({"lines": ["A1"], "remote": "nowhere"}, "remote"),
    ],
)
def test_what_cannot_be_a_list_names_its_field(client, change, field):
    # When
    response = client.send("POST", "/study-lists", {**BODY, **change})
    # Then
    assert problem(response, 422)["field"].startswith(field.partition(".")[0])
    assert client.get("/study-lists") == []


@pytest.mark.parametrize(
    "criteria", ["", "no JSON", "[1]", '{"types": ["CT"], "x": "\\u0000"}', "[" * 10_000]
)
def test_criteria_of_a_form_must_be_a_json_object(client, criteria):
    problem(upload(client, b"A1\n", criteria=criteria), 422)


def test_the_same_upload_with_its_key_begins_one_list(client):
    # Given
    send = {"json": {**BODY, "lines": ["A1", "A2"]}, "headers": {"Idempotency-Key": "march"}}
    # When
    first, second = (client.send("POST", "/study-lists", **send) for _ in range(2))
    # Then
    assert first.json == second.json
    assert len(client.get("/study-lists")) == 1


def test_a_list_is_cancelled_and_what_it_kept_is_retrieved_once(client):
    # Given
    created = client.send("POST", "/study-lists", {**BODY, "lines": [f"A{n}" for n in range(1_001)]}).json
    list_id = created["id"]
    client.site.add(a_query(f"{list_id}-1", studies_kept=3), a_query(f"{list_id}-2", studies_kept=0))
    # When
    retrieved = client.send("POST", f"/study-lists/{list_id}/retrieve", scope="import")
    cancelled = client.send("POST", f"/study-lists/{list_id}/cancel", scope="import")
    # Then
    assert retrieved.status_code == 202
    command_id, command = client.site.command()
    assert command == RunRetrieve(query_id=f"{list_id}-1", requested_by="admin")
    assert [job["id"] for job in retrieved.json] == [command_id]
    assert cancelled.status_code == 200
    problem(client.send("GET", "/study-lists/nowhere"), 404)
    problem(client.send("POST", "/study-lists/nowhere/cancel"), 404)
