"""Coverage by station from the decisions of all queries."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from sqlalchemy.orm import Session

from services.query.ledger.tally.ended_queries import add_up, due_queries
from shared.database.models import Node, Query, ReportSummary, StoredObject
from shared.errors import InvalidInputError
from shared.evidence.results import StationResult
from shared.reading.evidence.coverage import (
    StationFilter,
    StudyDays,
    coverage_json,
    parse_period,
    station_studies,
)
from tests.support.jobs.rows import NOW, a_query, a_series, a_study

PACS = Node(id=1, kind="remote", name="pacs", host="h", port=104, ae_title="P", created_at=NOW)
PERIOD = StudyDays(dt.date(2026, 10, 26), dt.date(2026, 11, 8))


def fill(session: Session, *rows: Any) -> None:
    for row in rows:
        session.add(row)
        session.flush()


def examined(
    uid: str, station: str | None, job_id: str = "q1", day: str = "20261103", **columns: Any
) -> list[Any]:
    """Return a CT study with its report series of a workstation."""
    study = a_study(uid, job_id, study_date=day, **columns)
    ct = a_series(uid, f"{uid}.1", job_id, modality="CT", station_name=station, decision="drop")
    return [study, ct, a_series(uid, f"{uid}.2", job_id, modality="SR", station_name="WORKSTATION")]


def a_search(job_id: str, hour: int = 9) -> Query:
    return a_query(job_id, requested_at=NOW.replace(hour=hour), criteria={"types": ["CT"]})


def shown(session: Session) -> dict[str, StationResult]:
    found = coverage_json(session, PACS, ["CT"], PERIOD, 5, NOW)
    return {station["station"]: station for station in found["stations"]}


def test_the_station_is_that_of_the_series_of_the_type(session: Session) -> None:
    # Given
    fill(session, a_search("q1"), *examined("1.1", " CT1 "), *examined("1.2", None), *examined("1.3", " "))
    # When
    found = shown(session)
    # Then
    assert {name: station["studies"] for name, station in found.items()} == {"CT1": 1, "": 2}


def test_the_station_of_the_study_counts_where_series_have_none(session: Session) -> None:
    fill(session, a_search("q1"), *examined("1.1", None, station_name="CT1"))
    assert set(shown(session)) == {"CT1"}


def test_sources_and_weeks_follow_from_the_reasons(session: Session) -> None:
    # Given
    none = {"decision": "drop", "reason": "no_dose_object"}
    fill(
        session,
        a_search("q1"),
        *examined("1.1", "CT1", day="20261027"),
        *examined("1.2", "CT1", reason="esr"),
        *examined("1.3", "CT1", reason="philips_dose_info"),
        *examined("1.4", "CT1", **none),
        *examined("1.5", "CT1", decision="drop", reason="unknown_sr_option_off"),
    )
    # When
    station = shown(session)["CT1"]
    # Then
    ones = {"report": 1, "enhanced_sr": 1, "unknown_sr": 1, "images": 1, "none": 1}
    assert station["sources"] == ones
    weeks = {week["week"]: week["studies"] for week in station["weeks"]}
    assert weeks == {"2026-10-26": 1, "2026-11-02": 4}
    assert (station["first_day"], station["last_day"]) == ("2026-10-27", "2026-11-03")


def test_a_study_that_is_known_now_keeps_what_it_held(session: Session) -> None:
    # Given
    known = {"decision": "drop", "reason": "known"}
    fill(session, a_search("q1"), *examined("1.1", "CT1"))
    fill(session, a_search("q2", hour=11), *examined("1.1", None, "q2", **known))
    # Then
    assert shown(session)["CT1"]["sources"]["report"] == 1


def test_what_was_never_decided_as_new_is_read_from_the_store(session: Session) -> None:
    # Given
    known = {"decision": "drop", "reason": "known"}
    fill(session, a_search("q1"), *examined("1.1", "CT1", **known), *examined("1.2", "CT1", **known))
    report = {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.88.67", "source": "store"}
    times = {"received_at": NOW, "last_received_at": NOW}
    uids = {"series_instance_uid": "1.1.2", "study_instance_uid": "1.1"}
    fill(session, StoredObject(sop_instance_uid="1.1.2.1", **uids, **report, **times))
    summary = {"kind": "ct", "events": 1, "figures": [], "software_versions": "VA40A, 1.2"}
    fill(session, ReportSummary(sop_instance_uid="1.1.2.1", summary=summary, read_at=NOW))
    # When
    station = shown(session)["CT1"]
    # Then
    assert (station["sources"]["report"], station["sources"]["images"]) == (1, 1)
    assert station["software_versions"] == ["VA40A, 1.2"]


@pytest.mark.parametrize("tallied", [False, True])
def test_studies_of_which_headers_are_stored_are_marked(session: Session, tallied: bool) -> None:
    # Given
    fill(session, a_search("q1"), *examined("1.1", "CT1"), *examined("1.2", "CT1"), *examined("1.3", "CT2"))
    while tallied and (due := due_queries(session)):
        add_up(session, due)
    times = {"received_at": NOW, "last_received_at": NOW, "source": "store"}
    for uid, content in (("1.1.2.1", "whole"), ("1.1.2.2", "headers"), ("1.1.2.3", "headers")):
        uids = {"series_instance_uid": "1.1.2", "study_instance_uid": "1.1"}
        fill(session, StoredObject(sop_instance_uid=uid, content=content, **uids, **times))
    # When
    marked = {name: station["header_studies"] for name, station in shown(session).items()}
    studies, _ = station_studies(session, PACS, PERIOD, StationFilter())
    # Then
    assert marked == {"CT1": 1, "CT2": 0}
    numbers = {
        study["study_instance_uid"]: (study["stored_whole"], study["stored_headers"]) for study in studies
    }
    assert numbers == {"1.1": (1, 2), "1.2": (0, 0), "1.3": (0, 0)}


def test_what_is_not_settled_is_counted_apart(session: Session) -> None:
    # Given
    fill(
        session,
        a_search("q1"),
        a_study("1.1", "q1", study_date="20261103", state="missing", decision="", type=None),
        a_study("1.2", "q1", study_date="20261103", decision="drop", reason="excluded_description"),
    )
    # When
    found = coverage_json(session, PACS, ["CT"], PERIOD, 5, NOW)
    # Then
    assert (found["stations"], found["not_settled"]) == ([], 2)


def test_each_number_has_its_studies_behind_it(session: Session) -> None:
    # Given
    fill(
        session,
        a_search("q1"),
        *examined("1.1", "CT1"),
        *examined("1.2", None),
        *examined("1.3", "CT1", reason="esr"),
    )
    # When
    reports, _ = station_studies(session, PACS, PERIOD, StationFilter("CT1", "CT", "report"))
    unknown, _ = station_studies(session, PACS, PERIOD, StationFilter(station=""))
    # Then
    assert [(study["study_instance_uid"], study["job_id"]) for study in reports] == [("1.1", "q1")]
    assert [study["study_instance_uid"] for study in unknown] == ["1.2"]


@pytest.mark.parametrize(("first", "last"), [("2026-11-02", "2026-11-01"), ("2024-01-01", "2026-11-01")])
def test_days_that_are_none_or_too_many_are_refused(first: str, last: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_period(dt.date.fromisoformat(first), dt.date.fromisoformat(last), NOW.date())
    assert refused.value.field == "from"


def test_days_before_any_archive_are_refused_by_name() -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_period(None, dt.date(1, 1, 3), NOW.date())
    assert refused.value.field == "until"


def test_without_dates_thirteen_weeks_up_to_today_are_meant() -> None:
    # When
    period = parse_period(None, None, dt.date(2026, 11, 26))
    # Then
    assert period == StudyDays(dt.date(2026, 8, 31), dt.date(2026, 11, 26))
