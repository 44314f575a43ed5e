"""Why a study is here or is not has an answer."""

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
def told(session: Session) -> Session:
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


def test_a_study_is_explained_down_to_its_objects(told: Session) -> None:
    # When
    answer = why(told, find_job(told, "query-1"), "1.2")
    # Then
    assert answer["reason"] == "known"
    assert answer["sentence"] == "The database has it already."
    assert answer["answered"] is not None
    assert answer["answered"]["modalities"] == ["CT", "SR"]
    assert answer["series"][0]["objects"][0]["sentence"] == "The database has it already."


def test_it_rests_on_the_answers_that_speak_of_the_study(told: Session) -> None:
    # When
    answer = why(told, find_job(told, "query-1"), "1.2")
    # Then
    assert [find["level"] for find in answer["finds"]] == ["SERIES", "IMAGE"]
    assert [(a["retrieve"], a["state"]) for a in answer["arrivals"]] == [("retrieve-1", "missing")]


def test_a_retrieve_answers_with_the_decisions_of_its_query(told: Session) -> None:
    # When
    answer = why(told, find_job(told, "retrieve-1"), "1.2")
    # Then
    assert (answer["job"], answer["query"], answer["reason"]) == ("retrieve-1", "query-1", "known")


def test_a_study_that_the_pacs_did_not_return_is_told_so(told: Session) -> None:
    # When
    answer = why(told, find_job(told, "query-1"), "1.9")
    # Then
    assert answer["decision"] is None
    assert answer["reason"] == "not_returned"
    assert "1 of 2 windows are not fully answered" in answer["sentence"]


def test_a_malformed_uid_is_refused(told: Session) -> None:
    # When / Then
    with pytest.raises(InvalidInputError) as refused:
        why(told, find_job(told, "query-1"), "1..2")
    assert refused.value.field == "study"
