"""A query reads as the JSON that other programs rely on."""

from __future__ import annotations

import io
import json

import pytest
from sqlalchemy.orm import Session

from shared.errors import NotFoundError
from shared.reading.query_json import by_reason, query_json, write_query_json
from tests.support.jobs.rows import a_query, a_retrieve, a_series, a_study, a_task, an_object


def some_query(session: Session) -> None:
    session.add(
        a_query(
            status="incomplete",
            slices_total=3,
            slices_complete=2,
            slices_failed=1,
            studies_found=3,
            studies_examined=2,
            studies_kept=1,
        )
    )
    session.flush()
    session.add_all(
        [
            a_study("1.2.1"),
            a_series("1.2.1", "1.2.1.1", series_number=2, whole=False, reason="rdsr"),
            a_series("1.2.1", "1.2.1.2", series_number=1, decision="drop", reason="not_a_dose_series"),
            an_object("1.2.1", "1.2.1.1", "1.2.1.1.1"),
            an_object("1.2.1", "1.2.1.1", "1.2.1.1.2", decision="drop", reason="text_report"),
            a_study("1.2.2", decision="drop", reason="no_dose_object"),
            a_study("1.2.3", state="missing", decision="", reason="study_not_answered", type=None),
            a_task(payload={"date_from": "2024-05-01", "code": "CT"}, error="timed_out", detail="x"),
            a_task(kind="examine", payload={}),
            a_task(state="done", payload={}),
        ]
    )
    session.flush()


def test_a_query_has_the_keys_of_the_contract_in_their_order(session: Session) -> None:
    # Given
    some_query(session)
    # When
    read = query_json(session, "query-1")
    # Then
    contract = "id kind status remote store criteria rules_version counts slices missing"
    assert list(read)[:10] == contract.split()
    assert list(read)[-1] == "studies"
    assert read["kind"] == "query"
    assert (read["remote"], read["store"]) == ("pacs", "doseqr")
    assert read["slices"] == {"total": 3, "complete": 2, "failed": 1}
    assert read["counts"] | {"missing": 0, "objects": 0} == {
        "found": 3,
        "examined": 2,
        "kept": 1,
        "missing": 0,
        "objects": 0,
        "objects_at_least": False,
        "by_type": {"CT": 1},
        "by_reason": {"no_dose_object": 1, "rdsr": 1},
    }


@pytest.mark.parametrize(("announced", "at_least"), [(None, True), (0, True), (3, False)])
def test_objects_of_a_whole_series_without_number_are_at_least_as_counted(
    session: Session, announced: int | None, at_least: bool
) -> None:
    # Given: some archives return 0 where they do not know the number
    some_query(session)
    session.add(a_series("1.2.1", "1.2.1.3", whole=True, instance_count=announced))
    session.flush()
    # When
    read = query_json(session, "query-1")
    # Then
    assert read["counts"]["objects_at_least"] is at_least


def test_what_is_missing_is_listed_by_window_and_by_study(session: Session) -> None:
    # Given
    some_query(session)
    # When
    missing = query_json(session, "query-1")["missing"]
    # Then
    assert missing == [
        {
            "kind": "slice",
            "code": "CT",
            "window": {
                "date_from": "2024-05-01",
                "date_until": None,
                "time_from": None,
                "time_until": None,
            },
            "error": "timed_out",
            "detail": "x",
        },
        {"kind": "study", "study_instance_uid": "1.2.3", "reason": "study_not_answered", "detail": ""},
    ]


def test_studies_carry_their_series_and_single_objects(session: Session) -> None:
    # Given
    some_query(session)
    # When
    studies = query_json(session, "query-1")["studies"]
    # Then
    assert [s["study_instance_uid"] for s in studies] == ["1.2.1", "1.2.2", "1.2.3"]
    assert [s["decision"] for s in studies] == ["keep", "drop", None]
    kept = studies[0]["series"]
    assert [s["series_instance_uid"] for s in kept] == ["1.2.1.2", "1.2.1.1"]
    assert [(o["sop_instance_uid"], o["decision"], o["reason"]) for o in kept[1]["objects"]] == [
        ("1.2.1.1.1", "keep", "rdsr"),
        ("1.2.1.1.2", "drop", "text_report"),
    ]
    assert kept[0]["objects"] == []


def test_written_page_by_page_it_is_the_same(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given
    some_query(session)
    session.add_all(a_study(f"1.3.{number}") for number in range(7))
    session.flush()
    expected = query_json(session, "query-1")
    monkeypatch.setattr("shared.reading.query_json.PAGE", 2)
    out = io.StringIO()
    # When
    write_query_json(session, "query-1", out, {"retrieve": None})
    # Then
    assert json.loads(out.getvalue()) == expected | {"retrieve": None}
    assert list(json.loads(out.getvalue())) == [*expected, "retrieve"]


def test_reasons_can_be_counted_for_one_decision(session: Session) -> None:
    # Given
    some_query(session)
    # When / Then
    assert by_reason(session, "query-1", "drop") == {"no_dose_object": 1}


def test_a_query_names_its_retrieves(session: Session) -> None:
    # Given
    some_query(session)
    session.add(a_retrieve())
    session.flush()
    # When / Then
    assert query_json(session, "query-1")["retrieves"] == ["retrieve-1"]


def test_an_unknown_query_is_refused_before_a_word_is_written(session: Session) -> None:
    # Given
    out = io.StringIO()
    # When / Then
    with pytest.raises(NotFoundError):
        write_query_json(session, "nothing", out)
    assert not out.getvalue()
