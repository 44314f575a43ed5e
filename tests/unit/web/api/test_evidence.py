"""What the ledger proves, by HTTP."""

from __future__ import annotations

import datetime as dt
import io

import pytest

from tests.support.jobs.rows import a_query, a_series, a_study
from tests.support.services.web_api import problem


@pytest.fixture
def searched(api):
    criteria = {"types": ["CT"], "date_from": "2024-04-02", "date_until": "2024-04-02"}
    days = {"days_from": dt.date(2024, 4, 2), "days_until": dt.date(2024, 4, 2)}
    api.site.add(a_query("q1", criteria=criteria, **days))
    return api


def test_a_month_is_returned_by_type_and_day(searched):
    # When
    shown = searched.get("/calendar?node=pacs&month=2024-04&type=CT&type=mg", scope="read")
    # Then
    assert (shown["node"], shown["month"]) == ("pacs", "2024-04")
    assert [of_type["type"] for of_type in shown["types"]] == ["CT", "MG"]
    assert [day["state"] for day in shown["types"][0]["days"][:3]] == ["not_asked", "empty", "not_asked"]


@pytest.mark.parametrize(
    ("query", "field"),
    [("", "node"), ("?node=none", "node"), ("?node=pacs&month=x", "month"), ("?node=pacs&type=US", "type")],
)
def test_a_wrong_calendar_names_the_field(searched, query, field):
    problem(searched.send("GET", f"/calendar{query}"), 422, field)


def test_coverage_and_the_studies_behind_it_agree(searched):
    # Given
    searched.site.add(a_study("1.2", "q1", study_date="20240402"))
    searched.site.add(a_series("1.2", "1.2.1", "q1", modality="CT", station_name="CT1"))
    days = "from=2024-04-01&until=2024-04-30"
    # When
    shown = searched.get(f"/coverage?node=pacs&{days}", scope="read")
    studies = searched.get(f"/coverage/studies?node=pacs&{days}&station=CT1&source=report", scope="read")
    # Then
    (station,) = shown["stations"]
    assert (station["station"], station["sources"]["report"]) == ("CT1", 1)
    assert [study["study_instance_uid"] for study in studies] == ["1.2"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?node=pacs&from=x", "from"),
        ("?node=pacs&from=2024-05-02&until=2024-05-01", "from"),
        ("?node=pacs&type=US", "type"),
    ],
)
def test_a_wrong_coverage_names_the_field(searched, query, field):
    problem(searched.send("GET", f"/coverage{query}"), 422, field)


def test_a_comparison_begins_queries_and_waits_for_them(api):
    # Given
    body = {"node": "pacs", "types": ["CT"], "date_from": "2024-04-02", "date_until": "2024-04-02"}
    # When
    response = api.send("POST", "/comparisons", body, scope="import", headers={"Idempotency-Key": "k"})
    again = api.send("POST", "/comparisons", body, scope="import", headers={"Idempotency-Key": "k"})
    # Then
    assert (response.status_code, response.json["status"]) == (202, "waiting")
    assert again.json == response.json
    job_id, command = api.site.command()
    assert (job_id, command.requested_by) == (response.json["left"]["query"], "admin")
    shown = api.get(response.headers["Location"])
    assert (shown["right"]["kind"], shown["right"]["query"]) == ("store", None)
    assert [entry["id"] for entry in api.get("/comparisons")] == [shown["id"]]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "node"),
        ({"node": "pacs"}, "date_from"),
        ({"node": "pacs", "date_from": "x"}, "date_from"),
        ({"node": "pacs", "date_from": "2024-04-02", "other": "pacs"}, "other"),
        ({"queries": ["none"]}, "queries"),
        ({"queries": ["a", "b", "c"]}, "queries"),
        ({"node": "pacs", "date_from": "2024-04-02", "types": ["US"]}, "types.0"),
    ],
)
def test_a_wrong_comparison_names_the_field(api, body, field):
    problem(api.send("POST", "/comparisons", body), 422, field)
    assert api.site.commands == []


def test_an_unknown_comparison_is_a_problem(api):
    problem(api.send("GET", "/comparisons/none"), 404)


def test_a_list_is_reconciled_as_lines_and_as_a_file(searched):
    # Given
    line = {"accession_number": "B1", "date": "2024-04-02", "modality": "CT"}
    file = "Zugangsnummer;Datum;Modalität\r\nB1;02.04.2024;CT\r\n".encode("cp1252")
    # When
    by_lines = searched.send("POST", "/reconciliations", {"node": "pacs", "lines": [line]}, scope="read")
    form = {"node": "pacs", "file": (io.BytesIO(file), "list.csv")}
    by_file = searched.send("POST", "/reconciliations", scope="read", data=form)
    # Then
    assert (by_lines.status_code, by_file.status_code) == (200, 200), by_file.text
    assert by_lines.json["lines"][0]["state"] == by_file.json["lines"][0]["state"] == "not_in_pacs"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"lines": []}, "node"),
        ({"node": "pacs"}, "lines"),
        ({"node": "none", "lines": [{}]}, "node"),
        ({"node": "pacs", "lines": [{"name": "Doe"}]}, "lines.0.name"),
    ],
)
def test_a_wrong_list_names_the_field(searched, body, field):
    problem(searched.send("POST", "/reconciliations", body), 422, field)


def test_a_list_may_be_larger_than_any_other_body(searched):
    # Given: more than the 1 MiB of other bodies
    body = {"node": "none", "lines": [{"accession_number": "A1"}] * 60_000}
    # When / Then
    problem(searched.send("POST", "/reconciliations", body), 422, "node")
    problem(searched.send("POST", "/queries", body), 413)


def test_a_file_that_is_no_list_is_a_problem(searched):
    form = {"node": "pacs", "file": (io.BytesIO(b"PK\x03\x04 no archive"), "list.xlsx")}
    problem(searched.send("POST", "/reconciliations", data=form), 422, "file")
