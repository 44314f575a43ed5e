"""The calendar of a node from the rows of its queries."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from sqlalchemy.orm import Session

from shared.database.models import Node, Query
from shared.errors import InvalidInputError
from shared.evidence.results import CalendarDayResult
from shared.reading.evidence.calendar import calendar_json, parse_month
from shared.settings import Settings
from tests.support.jobs.rows import a_query, a_series, a_study, a_task

MONTH = dt.date(2026, 11, 1)
NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
DAY = "2026-11-03"


def a_node(**columns: Any) -> Node:
    defaults = {"kind": "remote", "host": "h", "port": 104, "ae_title": "P", "hours": "", "time_zone": ""}
    return Node(id=1, name="pacs", created_at=NOW, **(defaults | columns))


def a_search(job_id: str, first: str = DAY, last: str = DAY, **columns: Any) -> Query:
    criteria = {"types": columns.pop("types", ["CT"]), "date_from": first, "date_until": last}
    criteria |= columns.pop("criteria", {})
    defaults: dict[str, Any] = {
        "requested_at": dt.datetime(2026, 11, 10, 9, tzinfo=dt.UTC),
        "today": dt.date(2026, 11, 10),
        "days_from": dt.date.fromisoformat(first) if first else None,
        "days_until": dt.date.fromisoformat(last) if last else None,
    }
    return a_query(job_id, criteria=criteria, **(defaults | columns))


def of_day(uid: str, job_id: str, **columns: Any) -> Any:
    return a_study(uid, job_id, **({"study_date": "20261103", "modalities": ["CT"]} | columns))


def fill(session: Session, *rows: Any) -> None:
    for row in rows:
        session.add(row)
        session.flush()


def the_day(session: Session, settings: Settings, type_name: str = "CT", **columns: Any) -> CalendarDayResult:
    zoned = settings.model_copy(update={"time_zone": "UTC"})
    shown = calendar_json(session, a_node(**columns), [type_name], MONTH, zoned, NOW)
    return next(day for day in shown["types"][0]["days"] if day["day"] == DAY)


def test_a_month_has_its_days_and_each_state(session: Session, test_settings: Settings) -> None:
    # Given
    fill(session, a_search("q1", "2026-11-02", "2026-11-04"), of_day("1.2", "q1"))
    # When
    shown = calendar_json(
        session, a_node(), ["CT", "MG"], MONTH, test_settings.model_copy(update={"time_zone": "UTC"}), NOW
    )
    # Then
    ct, mg = shown["types"]
    assert [day["state"] for day in ct["days"][:5]] == [
        "not_asked",
        "empty",
        "complete",
        "empty",
        "not_asked",
    ]
    assert {day["state"] for day in mg["days"]} == {"not_asked", "not_due"}
    assert (len(ct["days"]), ct["days"][19]["state"]) == (30, "not_due")
    assert (ct["complete_until"], ct["last_complete"]) == ("2026-11-04", "2026-11-04")
    assert ct["lag_s"] == (NOW - dt.datetime(2026, 11, 5, tzinfo=dt.UTC)).total_seconds()


@pytest.mark.parametrize(
    "criteria",
    [
        {"accession_numbers": ["A1"], "date_from": None, "date_until": None},
        {"study_instance_uids": ["1.2"], "date_from": None, "date_until": None},
        {"time_from": "08:00", "time_until": "12:00"},
    ],
)
def test_a_query_of_some_studies_proves_no_day(
    session: Session, test_settings: Settings, criteria: dict[str, Any]
) -> None:
    fill(session, a_search("q1", criteria=criteria))
    assert the_day(session, test_settings)["state"] == "not_asked"


def test_windows_of_two_queries_make_a_day_complete(session: Session, test_settings: Settings) -> None:
    # Given
    morning = {"date_from": DAY, "date_until": DAY, "time_from": "00:00", "time_until": "11:59"}
    evening = {"date_from": DAY, "date_until": DAY, "time_from": "12:00", "time_until": "23:59"}
    fill(
        session,
        a_search("q1", status="incomplete"),
        a_task("q1", payload=morning),
        a_search("q2", status="incomplete"),
        a_task("q2", payload=evening),
    )
    # Then
    assert the_day(session, test_settings)["state"] == "empty"


def test_a_failed_window_leaves_a_hole(session: Session, test_settings: Settings) -> None:
    fill(session, a_search("q1", status="incomplete"), a_task("q1", payload={"date_from": DAY}))
    assert the_day(session, test_settings)["state"] == "holes"


def test_a_study_that_one_query_missed_is_settled_by_another(
    session: Session, test_settings: Settings
) -> None:
    # Given
    missing = {"state": "missing", "decision": "", "reason": "study_not_answered", "type": None}
    fill(session, a_search("q1", status="incomplete"), of_day("1.2", "q1", **missing))
    assert the_day(session, test_settings) | {"median": 0} == {
        "day": DAY, "state": "holes", "studies": 0, "unsettled": 1, "median": 0, "thin": False,
        "running": False,
    }  # fmt: skip
    # When
    named = {"study_instance_uids": ["1.2"], "date_from": None, "date_until": None}
    fill(session, a_search("q2", criteria=named), of_day("1.2", "q2"))
    # Then
    assert the_day(session, test_settings)["state"] == "complete"


def test_what_another_type_settled_is_still_a_hole_of_this_one(
    session: Session, test_settings: Settings
) -> None:
    # Given
    both = {"modalities": ["CT", "MG"]}
    missing = {"state": "missing", "decision": "", "reason": "study_not_answered", "type": None}
    fill(session, a_search("q1"), of_day("1.2", "q1", **both))
    fill(session, a_search("q2", types=["MG"]), of_day("1.2", "q2", **both, **missing))
    # Then
    assert the_day(session, test_settings, "CT")["state"] == "complete"
    assert the_day(session, test_settings, "MG")["state"] == "holes"


@pytest.mark.parametrize("reason", ["excluded_description", "not_in_keep_description", "excluded_station"])
def test_a_study_that_a_filter_left_out_is_a_hole(
    session: Session, test_settings: Settings, reason: str
) -> None:
    # Given
    fill(session, a_search("q1"), of_day("1.2", "q1", decision="drop", reason=reason))
    assert the_day(session, test_settings)["state"] == "holes"
    # When: a query without the filter
    fill(session, a_search("q2"), of_day("1.2", "q2"))
    # Then
    assert the_day(session, test_settings)["state"] == "complete"


def test_a_series_that_the_station_filter_left_out_is_a_hole(
    session: Session, test_settings: Settings
) -> None:
    # Given
    filtered = a_search("q1", criteria={"exclude_stations": ["MOBILE"]})
    fill(session, filtered, of_day("1.2", "q1"), a_series("1.2", "1.2.1", "q1"))
    assert the_day(session, test_settings)["state"] == "complete"
    # When
    fill(session, a_series("1.2", "1.2.2", "q1", decision="drop", reason="excluded_station"))
    # Then
    assert the_day(session, test_settings)["state"] == "holes"


def test_a_lost_study_of_unknown_date_proves_no_day(session: Session, test_settings: Settings) -> None:
    fill(session, a_search("q1"), of_day("1.2", "q1", study_date=None, state="missing", decision=""))
    assert the_day(session, test_settings)["state"] == "holes"


def test_known_studies_are_counted_once_however_often_found(
    session: Session, test_settings: Settings
) -> None:
    # Given
    known = {"decision": "drop", "reason": "known"}
    for number in range(3):
        fill(session, a_search(f"q{number}"), of_day("1.2", f"q{number}", **known))
    # Then
    assert the_day(session, test_settings)["studies"] == 1


def test_a_node_closed_since_the_day_was_due_is_closed(session: Session, test_settings: Settings) -> None:
    # Given: it was due at 02:00 today, and the node opens at 18:00
    now = dt.datetime(2026, 11, 4, 12, tzinfo=dt.UTC)
    zoned = test_settings.model_copy(update={"time_zone": "UTC"})
    node = a_node(hours="18:00-22:00", time_zone="UTC")
    # When
    shown = calendar_json(session, node, ["CT"], MONTH, zoned, now)
    # Then
    assert [day["state"] for day in shown["types"][0]["days"][:4]] == ["not_asked"] * 2 + [
        "closed",
        "not_due",
    ]


def test_another_node_proves_nothing(session: Session, test_settings: Settings) -> None:
    fill(session, a_search("q1", remote_id=7))
    assert the_day(session, test_settings)["state"] == "not_asked"


def test_queries_of_an_older_version_count_as_well(session: Session, test_settings: Settings) -> None:
    fill(session, a_search("q1", days_from=None, days_until=None))
    assert the_day(session, test_settings)["state"] == "empty"


@pytest.mark.parametrize("text", ["2026", "2026-13", "x", "0001-01"])
def test_a_wrong_month_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_month(text, MONTH)
    assert refused.value.field == "month"
