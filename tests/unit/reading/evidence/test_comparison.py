"""Comparisons read from rows of queries: what waits, what is not complete, what was not looked into."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.orm import Session

from shared.database.models import Comparison, StoredObject
from shared.evidence.results import ComparisonResult
from shared.reading.evidence.comparison import comparison_json, read_comparison
from tests.support.jobs.rows import NOW, a_query, a_series, a_study, an_object


def fill(session: Session, *rows: Any) -> None:
    for row in rows:
        session.add(row)
        session.flush()


def compared(session: Session, right: str | None = "q2") -> ComparisonResult:
    row = Comparison(
        id="c1", left_query="q1", right_query=right, left_name="a", right_name="b", requested_at=NOW
    )
    return comparison_json(read_comparison(session, row))


def test_a_comparison_waits_until_both_queries_have_ended(session: Session) -> None:
    # Given
    fill(session, a_query("q1"))
    # Then
    assert (compared(session)["status"], compared(session)["right"]["status"]) == ("waiting", "queued")
    # When
    fill(session, a_query("q2", status="running"))
    # Then
    assert compared(session)["status"] == "waiting"


@pytest.mark.parametrize("status", ["incomplete", "failed", "cancelled"])
def test_a_side_that_is_not_complete_is_never_equal(session: Session, status: str) -> None:
    # Given
    fill(session, a_query("q1"), a_query("q2", status=status, slices_failed=2, studies_missing=1))
    for job_id in ("q1", "q2"):
        fill(session, a_study("1.1", job_id))
    # When
    shown = compared(session)
    # Then
    assert (shown["status"], shown["differences"]) == ("incomplete", [])
    assert (shown["left"]["complete"], shown["right"]["complete"]) == (True, False)
    assert shown["right"]["missing"] == 3


def test_what_an_incomplete_side_lacks_is_not_certain(session: Session) -> None:
    # Given
    fill(session, a_query("q1"), a_query("q2", status="incomplete"), a_study("1.1", "q1"))
    # When
    (difference,) = compared(session)["differences"]
    # Then
    assert (difference["only_in"], difference["certain"]) == ("left", False)


def stored(study: str, series: str, uid: str, **columns: Any) -> StoredObject:
    return StoredObject(
        sop_instance_uid=uid,
        series_instance_uid=series,
        study_instance_uid=study,
        source="store",
        received_at=NOW,
        last_received_at=NOW,
        **columns,
    )


def test_a_study_known_as_it_is_does_not_differ_from_the_store(session: Session) -> None:
    # Given
    known = {"decision": "drop", "reason": "known", "note": "unchanged_since"}
    fill(session, a_query("q1"), a_study("1.1", "q1", **known), stored("1.1", "1.1.1", "1.1.1.1"))
    fill(session, stored("1.1", "1.1.1", "1.1.1.2", content="headers"))
    # When
    shown = compared(session, None)
    # Then
    assert shown["status"] == "nothing_differs"
    assert (shown["left"]["headers"], shown["right"]["headers"]) == (0, 1)


def test_images_that_were_dropped_are_no_difference_where_they_are_stored(session: Session) -> None:
    # Given
    dropped = {"decision": "drop", "reason": "superseded_by_report", "whole": False}
    fill(
        session,
        a_query("q1"),
        a_study("1.1", "q1"),
        a_series("1.1", "1.1.1", "q1", whole=False),
        an_object("1.1", "1.1.1", "1.1.1.1", "q1"),
        an_object("1.1", "1.1.1", "1.1.1.2", "q1", decision="drop", reason="text_report"),
        a_series("1.1", "1.1.2", "q1", modality="CT", **dropped),
        stored("1.1", "1.1.1", "1.1.1.1"),
        stored("1.1", "1.1.1", "1.1.1.2"),
        stored("1.1", "1.1.2", "1.1.2.1"),
    )
    # Then
    assert compared(session, None)["status"] == "nothing_differs"
    # When: an object that the node does not have
    fill(session, stored("1.1", "1.1.1", "1.1.1.3"))
    # Then
    (difference,) = compared(session, None)["differences"]
    assert (difference["only_in"], difference["sop_instance_uid"]) == ("right", "1.1.1.3")


def test_a_study_of_an_earlier_query_that_the_node_lost_is_named(session: Session) -> None:
    # Given
    days = {"types": ["CT"], "date_from": "2026-11-03", "date_until": "2026-11-03"}
    fill(
        session,
        a_query("q0"),
        a_study("1.1", "q0", study_date="20261103"),
        a_query("q1", criteria=days),
        stored("1.1", "1.1.1", "1.1.1.1"),
    )
    # When
    shown = compared(session, None)
    # Then
    (difference,) = shown["differences"]
    assert (difference["only_in"], difference["kind"], difference["objects"]) == ("right", "study", 1)
    assert shown["status"] == "different"
