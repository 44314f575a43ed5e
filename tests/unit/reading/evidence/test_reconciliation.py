"""Lines of a list against the rows of the ledger."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from sqlalchemy.orm import Session

from shared.database.models import Node, StoredObject
from shared.evidence.results import ReconciliationResult
from shared.evidence.ris_list import read_lines
from shared.reading.evidence.reconciliation import csv_of, reconcile
from shared.settings import Settings
from tests.support.jobs.rows import a_query, a_retrieve, a_series, a_study, an_expected, an_object

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
TYPES = ["CT", "MG", "FL", "DX", "NM"]
REQUESTED = {"requested_at": NOW, "today": NOW.date()}


def fill(session: Session, *rows: Any) -> None:
    for row in rows:
        session.add(row)
        session.flush()


def of_day(job_id: str = "q1", types: list[str] = TYPES) -> Any:
    """Return a complete query of the third of November."""
    day = dt.date(2026, 11, 3)
    criteria = {"types": types, "date_from": "2026-11-03", "date_until": "2026-11-03"}
    return a_query(job_id, criteria=criteria, days_from=day, days_until=day, **REQUESTED)


def kept(uid: str, **columns: Any) -> list[Any]:
    """Return a study of which a report is kept."""
    values = {"accession_number": f"A{uid}", "study_date": "20261103"} | columns
    return [
        a_study(uid, "q1", **values),
        a_series(uid, f"{uid}.1", "q1", instance_count=1),
        an_object(uid, f"{uid}.1", f"{uid}.1.1", "q1"),
    ]


def stored(uid: str, number: int = 1, **columns: Any) -> StoredObject:
    return StoredObject(
        sop_instance_uid=f"{uid}.1.{number}",
        series_instance_uid=f"{uid}.1",
        study_instance_uid=uid,
        source="store",
        received_at=NOW,
        last_received_at=NOW,
        **columns,
    )


def reconciled(session: Session, settings: Settings, *lines: dict[str, str]) -> ReconciliationResult:
    columns = {"kind": "remote", "host": "h", "port": 104, "ae_title": "P", "hours": "", "time_zone": ""}
    node = Node(id=1, name="pacs", created_at=NOW, **columns)
    zoned = settings.model_copy(update={"time_zone": "UTC"})
    return reconcile(session, node, read_lines(lines), zoned, NOW)


def states(shown: ReconciliationResult) -> list[tuple[str, str]]:
    return [(line["state"], line["detail"]) for line in shown["lines"]]


def test_a_kept_study_has_dose_once_all_of_it_arrived(session: Session, test_settings: Settings) -> None:
    # Given
    fill(session, of_day(), *kept("1"), *kept("2"), *kept("3"), stored("1", content="headers"))
    fill(session, a_retrieve("r1", "q1"), an_expected("2", "2.1", "2.1.1", "r1"))
    # When
    lines = [{"accession_number": f"A{number}"} for number in (1, 2, 3)]
    shown = reconciled(session, test_settings, *lines)
    # Then
    assert states(shown) == [("has_dose", ""), ("has_dose", ""), ("not_retrieved", "")]
    assert ([line["headers"] for line in shown["lines"]], shown["header_lines"]) == ([1, 0, 0], 1)


def test_an_object_of_two_series_arrives_once(session: Session, test_settings: Settings) -> None:
    # Given an object that the PACS lists in a second series, too
    fill(session, of_day(), *kept("1"), a_series("1", "1.2", "q1", instance_count=1))
    fill(session, an_object("1", "1.2", "1.1.1", "q1"), stored("1"))
    # Then
    assert states(reconciled(session, test_settings, {"accession_number": "A1"})) == [("has_dose", "")]


def test_a_series_kept_whole_needs_all_of_its_objects(session: Session, test_settings: Settings) -> None:
    # Given
    study = a_study("1", "q1", accession_number="A1", study_date="20261103")
    fill(session, of_day(), study, a_series("1", "1.1", "q1", instance_count=2), stored("1"))
    # Then
    assert states(reconciled(session, test_settings, {"accession_number": "A1"}))[0][0] == "not_retrieved"
    fill(session, stored("1", 2))
    assert states(reconciled(session, test_settings, {"accession_number": "A1"}))[0][0] == "has_dose"


@pytest.mark.parametrize(
    ("columns", "state", "detail"),
    [
        ({"decision": "drop", "reason": "known"}, "has_dose", ""),
        ({"decision": "drop", "reason": "no_dose_object"}, "no_dose_object", ""),
        ({"decision": "drop", "reason": "not_requested_type", "type": None}, "not_asked", "other_type"),
        ({"decision": "drop", "reason": "excluded_description"}, "not_asked", "not_settled"),
        ({"decision": "", "reason": "study_not_answered", "state": "missing"}, "not_asked", "not_settled"),
    ],
)
def test_what_was_decided_is_the_state_of_the_line(
    session: Session, test_settings: Settings, columns: dict[str, Any], state: str, detail: str
) -> None:
    # Given
    fill(session, of_day(), a_study("1.2.3", "q1", study_date="20261103", **columns))
    # Then
    assert states(reconciled(session, test_settings, {"study_instance_uid": "1.2.3"})) == [(state, detail)]


def test_only_a_complete_day_of_all_types_proves_an_absence(
    session: Session, test_settings: Settings
) -> None:
    # Given
    fill(session, of_day(), *kept("1"), of_day("q2", ["CT"]))
    lines = [
        {"accession_number": "B1", "day": "2026-11-03"},
        {"accession_number": "B1", "day": "2026-11-04"},
        {"accession_number": "B1"},
        {"study_instance_uid": "1.9", "day": "2026-11-03"},
        {"accession_number": "B1", "day": "2026-11-03", "modality": "MR"},
    ]
    # Then
    assert states(reconciled(session, test_settings, *lines)) == [
        ("not_in_pacs", "day_complete"),
        ("not_asked", "day_not_complete"),
        ("not_asked", "day_not_complete"),
        ("not_in_pacs", "day_complete"),
        ("not_asked", "day_not_complete"),
    ]


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_days_of_no_archive_are_not_proven(session: Session, test_settings: Settings, day: str) -> None:
    fill(session, of_day())
    shown = reconciled(session, test_settings, {"accession_number": "B1", "day": day})
    assert states(shown) == [("not_asked", "day_not_complete")]


def test_the_modality_limits_what_has_to_be_proven(session: Session, test_settings: Settings) -> None:
    # Given
    fill(session, of_day(types=["CT"]), *kept("1"))
    line = {"accession_number": "B1", "day": "2026-11-03"}
    # Then
    shown = reconciled(session, test_settings, line, line | {"modality": "CT"}, line | {"modality": "CR"})
    assert [state for state, _ in states(shown)] == ["not_asked", "not_in_pacs", "not_asked"]


def test_a_node_that_returns_no_accession_numbers_proves_no_absence(
    session: Session, test_settings: Settings
) -> None:
    # Given
    fill(session, of_day(), *kept("1", accession_number=None))
    line = {"accession_number": "B1", "day": "2026-11-03"}
    # Then
    assert states(reconciled(session, test_settings, line)) == [("not_asked", "no_accession_numbers")]


def test_what_a_complete_query_named_and_did_not_find_is_not_there(
    session: Session, test_settings: Settings
) -> None:
    # Given
    named = {"types": ["CT"], "accession_numbers": ["B1"]}
    fill(session, a_query("q1", criteria=named, **REQUESTED))
    # Then
    shown = reconciled(session, test_settings, {"accession_number": "B1"}, {"accession_number": "B2"})
    assert states(shown) == [("not_in_pacs", "asked_by_number"), ("not_asked", "day_not_complete")]


def test_totals_and_csv_hold_every_line(session: Session, test_settings: Settings) -> None:
    # Given
    fill(session, of_day(), *kept("1"))
    lines = [{"accession_number": "A1", "day": "2026-11-03", "room": "=R1"}] * 700 + [{}]
    # When
    shown = reconciled(session, test_settings, *lines)
    # Then
    assert shown["totals"]["not_retrieved"] == 700
    assert shown["by_room"]["=R1"]["not_retrieved"] == 700
    assert shown["by_week"]["2026-11-02"]["not_retrieved"] == 700
    assert (shown["number_of_errors"], shown["errors"][0]["line"]) == (1, 701)
    text = list(csv_of(shown))
    assert len(text) == 702
    assert text[1] == "1,not_retrieved,,A1,1,2026-11-03,'=R1,,CT,q1,0\r\n"
    assert text[-1].startswith("701,error,")
