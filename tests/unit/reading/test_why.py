"""Why a study is here or is not can be found out."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from shared.errors import InvalidInputError
from shared.reading.jobs import find_job
from shared.reading.why import why
from tests.support.jobs.rows import (
    a_find,
    a_query,
    a_retrieve,
    a_series,
    a_study,
    an_expected,
    an_object,
)


@pytest.fixture
def decided_query(session: Session) -> Session:
    session.add(a_query(slices_total=2, slices_complete=1))
    session.flush()
    session.add(a_retrieve())
    session.flush()
    session.add_all(
        [
            a_study("1.2", decision="drop", reason="known", task_id=7, modalities=["CT", "SR"]),
            a_series("1.2", "1.2.1", decision="drop", reason="known", whole=False),
            an_object("1.2", "1.2.1", "1.2.1.1", decision="drop", reason="known"),
            a_find(7, keys={"study_instance_uids": ["1.2", "1.3"]}),
            a_find(7, keys={"study_instance_uid": "1.3"}),
            a_find(7, level="IMAGE", keys={"date_from": "2024-05-01"}),
            a_find(8),
            an_expected("1.2", "1.2.1", "1.2.1.1", state="missing", reason="not_arrived"),
        ]
    )
    session.flush()
    return session


def test_a_study_is_explained_down_to_its_objects(decided_query: Session) -> None:
    # When
    explanation = why(decided_query, find_job(decided_query, "query-1"), "1.2")
    # Then
    assert explanation["reason"] == "known"
    assert explanation["sentence"] == "The database has it already."
    assert explanation["answered"] is not None
    assert explanation["answered"]["modalities"] == ["CT", "SR"]
    assert explanation["series"][0]["objects"][0]["sentence"] == "The database has it already."


def test_it_rests_on_the_finds_that_cover_the_study(decided_query: Session) -> None:
    # When
    explanation = why(decided_query, find_job(decided_query, "query-1"), "1.2")
    # Then
    assert [find["level"] for find in explanation["finds"]] == ["SERIES", "IMAGE"]
    assert [(a["retrieve"], a["state"]) for a in explanation["arrivals"]] == [("retrieve-1", "missing")]


def test_a_retrieve_returns_the_decisions_of_its_query(decided_query: Session) -> None:
    # When
    explanation = why(decided_query, find_job(decided_query, "retrieve-1"), "1.2")
    # Then
    assert (explanation["job"], explanation["query"], explanation["reason"]) == (
        "retrieve-1",
        "query-1",
        "known",
    )


def test_a_study_that_the_pacs_did_not_return_is_shown_as_such(decided_query: Session) -> None:
    # When
    explanation = why(decided_query, find_job(decided_query, "query-1"), "1.9")
    # Then
    assert explanation["decision"] is None
    assert explanation["reason"] == "not_returned"
    assert "1 of 2 windows are not fully returned" in explanation["sentence"]


def test_a_malformed_uid_is_refused(decided_query: Session) -> None:
    # When / Then
    with pytest.raises(InvalidInputError) as refused:
        why(decided_query, find_job(decided_query, "query-1"), "1..2")
    assert refused.value.field == "study"
