"""The page of lists from the RIS: an upload, its result, and the same as CSV."""

from __future__ import annotations

import io

import pytest

from tests.support.jobs.rows import a_query, a_study
from tests.support.xlsx import xlsx

ROWS = [["Accession number", "Date", "Room"], ["A1", "2024-04-02", "<R1>"], ["", "2024-04-02", "R2"]]
CSV = "\n".join(";".join(row) for row in ROWS).encode()


def upload(person, content: bytes, name: str = "list.csv", **fields: str):
    return person.post("/reconciliations", {"node": "1", "file": (io.BytesIO(content), name), **fields})


@pytest.fixture
def decided(site):
    site.add(
        a_query("q1"),
        a_study("1.2", "q1", accession_number="A1", decision="drop", reason="no_dose_object"),
    )
    return site


@pytest.mark.parametrize(("content", "name"), [(CSV, "list.csv"), (xlsx(ROWS), "list.xlsx")])
def test_an_uploaded_list_is_shown_line_by_line(decided, content, name):
    # When
    text = upload(decided.person("viewer"), content, name).text
    # Then
    assert "No dose object" in text
    assert "&lt;R1&gt;" in text
    assert 'href="/jobs/q1/studies/1.2"' in text
    assert "Line 3, accession number: neither accession number nor study instance UID" in text


def test_the_same_upload_is_sent_as_csv(decided):
    # When
    response = upload(decided.person("viewer"), CSV, **{"as": "csv"})
    # Then
    assert response.mimetype == "text/csv"
    assert response.text.splitlines()[1].startswith("2,no_dose_object,,A1,1.2,2024-04-02,<R1>")


@pytest.mark.parametrize(
    ("content", "name", "problem"),
    [(CSV, "", "Choose a file."), (b"Name\nDoe\n", "list.csv", "has no column named")],
)
def test_what_is_wrong_with_a_list_is_named(site, content, name, problem):
    # When
    response = upload(site.person("viewer"), content, name)
    # Then
    assert response.status_code == 422
    assert problem in response.text
