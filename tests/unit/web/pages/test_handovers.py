"""How the hand-over of a retrieve stands, on its page, and ordering it anew."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contract.messages import RetryHandover
from shared.database.models import HandoverBatch
from shared.reading.retrieve_json import retrieve_json
from tests.support.jobs.rows import NOW, a_query, a_retrieve


def a_batch(batch_id: str, state: str, **columns: Any) -> HandoverBatch:
    values = {"job_id": "r1", "objects": 3, "created_at": NOW, "last_added_at": NOW, "due_at": NOW} | columns
    return HandoverBatch(id=batch_id, state=state, **values)


@pytest.fixture
def retrieved(site):
    site.add(a_query("q1"), a_retrieve("r1", "q1"))
    return site


def refused() -> HandoverBatch:
    return a_batch(
        "b2",
        "failed",
        attempts=7,
        tried_at=NOW,
        reason="exit_code",
        detail="The program ended with exit code 3.",
    )


def test_a_retrieve_without_a_hand_over_mentions_none(retrieved):
    # When
    page = retrieved.person("viewer").text("/jobs/r1")
    # Then
    assert "Hand-over" not in page


def test_what_was_taken_and_what_was_given_up_stands_on_the_page_and_in_json(retrieved):
    # Given
    retrieved.add(a_batch("b1", "done", attempts=1), refused())
    # When
    page = retrieved.person("importer").text("/jobs/r1")
    with retrieved.database.read() as session:
        shown = retrieve_json(session, "r1")["handover"]
    # Then
    assert "The program ended with exit code 3." in page
    assert "Hand over again" in page
    assert shown is not None
    assert shown["status"] == "failed"
    assert shown["counts"] == {"taken": 3, "waiting": 0, "failed": 3}
    assert (shown["reason"], shown["detail"]) == ("exit_code", "The program ended with exit code 3.")
    assert [(batch["batch"], batch["attempts"], batch["status"]) for batch in shown["batches"]] == [
        ("b2", 7, "failed")
    ]


def test_a_waiting_batch_shows_when_it_is_tried_next(retrieved):
    # Given
    retrieved.add(
        a_batch("b1", "waiting", attempts=1, reason="timed_out", detail="The importer did not respond.")
    )
    # When
    page = retrieved.person("importer").text("/jobs/r1")
    # Then
    assert "next try" in page
    assert "Hand over again" not in page


def test_what_was_given_up_is_handed_over_anew_by_message(retrieved):
    # Given
    retrieved.listen("store")
    retrieved.add(refused())
    # When
    response = retrieved.person("importer").post("/jobs/r1/handover", follow_redirects=True)
    # Then
    assert retrieved.command()[1] == RetryHandover(job_id="r1", requested_by="importer")
    assert "The objects are handed over to the importer again" in response.text


def test_a_viewer_sees_it_and_cannot_request_it(retrieved):
    # Given
    retrieved.add(refused())
    person = retrieved.person("viewer")
    # When, Then
    assert "Hand over again" not in person.text("/jobs/r1")
    assert person.post("/jobs/r1/handover").status_code == 403


def test_only_a_retrieve_is_handed_over(retrieved):
    assert retrieved.person("importer").post("/jobs/q1/handover").status_code == 404
