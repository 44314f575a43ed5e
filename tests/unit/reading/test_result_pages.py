"""Pages of a result: complete, in order, and of bounded size."""

from __future__ import annotations

import pytest

from shared.contract.json_types import JsonDocument
from shared.database.models import Query, Retrieve
from shared.errors import InvalidInputError
from shared.reading import result_pages
from shared.reading.result_pages import job_state, result_page
from tests.support.jobs.rows import a_query, a_retrieve, a_series, a_study, an_expected, an_object


@pytest.fixture
def filled(session):
    """A query of three studies, of which one is missing, and a retrieve of four objects."""
    session.add(a_query("query-1", status="incomplete"))
    session.flush()
    for number in range(3):
        session.add(a_study(f"1.{number}", "query-1", state="missing" if number == 2 else "decided"))
        session.add(a_series(f"1.{number}", f"1.{number}.1", "query-1"))
        session.add(an_object(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1", "query-1"))
    session.add(a_retrieve("retrieve-1", "query-1"))
    session.flush()
    for number in range(4):
        session.add(an_expected("1.0", "1.0.1", f"1.0.1.{number}", job_id="retrieve-1"))
    session.flush()
    return session


def pages(session, job: Query | Retrieve, limit: int) -> list[result_pages.ResultPage]:
    read = [result_page(session, job, "", limit)]
    while read[-1].next:
        assert len(read) < 20
        read.append(result_page(session, job, read[-1].next, limit))
    return read


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_hold_each_study_and_what_is_missing_once(filled, limit):
    # When
    read = pages(filled, filled.get_one(Query, "query-1"), limit)
    # Then
    found = [study["study_instance_uid"] for page in read for study in page.studies]
    assert found == ["1.0", "1.1", "1.2"]
    missing = [entry["study_instance_uid"] for page in read for entry in page.missing]
    assert missing == ["1.2"]


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_pages_of_a_retrieve_hold_each_object_once(filled, limit):
    # When
    read = pages(filled, filled.get_one(Retrieve, "retrieve-1"), limit)
    # Then
    found = [expected["sop_instance_uid"] for page in read for expected in page.objects]
    assert found == [f"1.0.1.{number}" for number in range(4)]


def test_a_page_ends_where_it_would_be_too_large(filled, monkeypatch):
    # Given
    monkeypatch.setattr(result_pages, "PAGE_BYTES", 10)
    # When
    read = pages(filled, filled.get_one(Query, "query-1"), 100)
    # Then
    assert [len(page.studies) for page in read] == [1, 1, 1, 0]


def test_objects_of_a_study_that_is_too_large_are_counted(filled, monkeypatch):
    # Given
    monkeypatch.setattr(result_pages, "STUDY_BYTES", 10)
    # When
    (study, *_) = result_page(filled, filled.get_one(Query, "query-1"), "", 1).studies
    # Then
    assert [(series["objects"], series["objects_left_out"]) for series in study["series"]] == [([], 1)]


@pytest.mark.parametrize(
    ("job", "after"),
    [
        ("query-1", "nonsense"),
        ("query-1", "study 1.x"),
        ("query-1", "missing -1"),
        ("query-1", "missing 99999999999999999999"),
        ("query-1", "object 1 2 3"),
        ("retrieve-1", "study 1.2"),
        ("retrieve-1", "object 1 2"),
        ("retrieve-1", "object a b c"),
    ],
)
def test_what_is_no_next_of_a_page_is_refused(filled, job, after):
    found = filled.get(Query, job) or filled.get_one(Retrieve, job)
    with pytest.raises(InvalidInputError) as refused:
        result_page(filled, found, after, 10, "data.after")
    assert refused.value.field == "data.after"


def test_the_state_of_a_job_has_lists_of_bounded_length(filled, monkeypatch):
    # Given
    monkeypatch.setattr(result_pages, "STATE_ENTRIES", 0)
    # When
    state: JsonDocument = job_state(filled, filled.get_one(Query, "query-1"))
    # Then
    assert (state["status"], state["missing"]) == ("incomplete", [])
    assert state["left_out"]["missing"] == 1
    assert "studies" not in state
