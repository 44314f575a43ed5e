"""A list is uploaded beside the form of a query; a long one has a page of its own."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

from shared.contract.criteria_fields import MAX_IDENTIFIERS
from shared.contract.messages import RunQuery, RunRetrieve
from shared.database.models import LongListPart
from tests.support.jobs.rows import a_query
from tests.support.services.web import Person, Site, a_node


@pytest.fixture
def person(site: Site) -> Person:
    a_node(site.database, "remote", "pacs")
    a_node(site.database, "store", "archive")
    site.listen_all()
    return site.person("importer")


def sent(person: Person, content: str, address: str = "/imports/query", **fields: Any) -> Any:
    file = (BytesIO(content.encode()), "ris.csv")
    data = {"remote": "1", "store": "2", "types": ["CT"], "by": "number", "list_file": file} | fields
    return person.post(address, data, content_type="multipart/form-data")


def numbers(count: int) -> str:
    return "accession number\n" + "".join(f"A{number}\n" for number in range(count))


def test_a_short_list_is_one_query(site, person):
    # When
    response = sent(person, "Name;Accession number\nDoe;A1\nRoe;A2\nDoe;A1\n", ignore_known="y")
    # Then
    assert response.status_code == 302
    _, command = site.command()
    assert isinstance(command, RunQuery)
    assert command.criteria["accession_numbers"] == ["A1", "A2"]


def test_wrong_lines_are_named_and_may_be_left_out(site, person):
    # Given
    content = "Study UID\n1.2.3\n1..4\n"
    # When
    refused = sent(person, content)
    # Then
    assert refused.status_code == 422
    assert "Line 3: " in refused.text
    assert site.commands == []
    # When
    taken = sent(person, content, list_leave_out="y")
    # Then
    assert taken.status_code == 302
    assert site.command()[1].criteria["study_instance_uids"] == ["1.2.3"]


def test_what_is_in_a_file_is_shown_before_it_is_sent(site, person):
    # When
    shown = sent(person, "Nr;Case\n17;A1\n18;A2\n", "/imports/query/list")
    chosen = sent(person, "Nr;Case\n17;A1\n18;A2\n", "/imports/query/list", list_column="B")
    long = sent(person, numbers(MAX_IDENTIFIERS * 2 + 1), "/imports/query/list")
    # Then
    assert "Choose the column" in shown.text
    assert '<option value="B">B: Case</option>' in shown.text
    assert "2 accession numbers" in chosen.text
    assert "That becomes 3 queries" in long.text
    assert sent(site.person("viewer"), "A1", "/imports/query/list").status_code == 403


@pytest.mark.parametrize(
    ("content", "fields", "problem"),
    [
        ("", {}, "holds no line"),
        ("PK\x03\x04 nothing", {}, "no XLSX file"),
        ("A1\n", {"accession_numbers": "A2"}, "Give either the file or a list above"),
        ("A*\n", {"list_leave_out": "y"}, "No line of it can be used"),
    ],
)
def test_what_is_no_list_is_reported_at_its_field(site, person, content, fields, problem):
    response = sent(person, content, **fields)
    assert response.status_code == 422
    assert problem in response.text
    assert site.commands == []


def test_a_long_list_becomes_queries_one_after_another(site, person):
    # When
    response = sent(person, numbers(MAX_IDENTIFIERS + 1), retrieve="y")
    # Then
    address = response.headers["Location"]
    with site.database.read() as session:
        parts = session.query(LongListPart).order_by(LongListPart.number).all()
    assert [len(part.identifiers) for part in parts] == [MAX_IDENTIFIERS, 1]
    assert site.commands == []
    page = person.text(address)
    assert "0 of 2 parts ended" in page
    assert "ris.csv" in person.text("/imports/lists")
    assert site.person("viewer").get(address).status_code == 403


def test_what_a_list_kept_is_retrieved_once(site, person):
    # Given
    address = sent(person, numbers(MAX_IDENTIFIERS + 1)).headers["Location"]
    list_id = address.rpartition("/")[2]
    site.add(a_query(f"{list_id}-1", studies_kept=3), a_query(f"{list_id}-2", studies_kept=0))
    # When
    person.post(f"{address}/retrieve")
    # Then
    assert site.command()[1] == RunRetrieve(query_id=f"{list_id}-1", requested_by="importer")


def test_a_list_is_cancelled(site, person):
    # Given
    address = sent(person, numbers(MAX_IDENTIFIERS + 1)).headers["Location"]
    # When
    person.post(f"{address}/cancel")
    # Then
    assert "The list is cancelled." in person.text(address)
    assert person.post("/imports/lists/nothing/cancel").status_code == 404
    assert person.get("/imports/lists/nothing").status_code == 404
