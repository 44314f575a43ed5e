"""`doseqr calendar`: which days are proven, as lines, as JSON and as exit code."""

from __future__ import annotations

import datetime as dt

from shared.database.session import Database
from shared.nodes.nodes import find_node
from tests.support.jobs.rows import a_query, a_study
from tests.support.services.cli import Doseqr

APRIL = ("calendar", "--node", "pacs", "--type", "CT", "--month", "2024-04")


def search(doseqr: Doseqr, first: dt.date, last: dt.date) -> None:
    """Write a complete query of these days with a study on the first."""
    criteria = {"types": ["CT"], "date_from": first.isoformat(), "date_until": last.isoformat()}
    with Database(doseqr.settings.database).write() as session:
        node = find_node(session, "pacs")
        columns = {"remote_id": node.id, "days_from": first, "days_until": last}
        session.add(a_query("q1", criteria=criteria, **columns))
        session.flush()
        session.add(a_study("1.2", "q1", study_date=f"{first:%Y%m%d}"))


def test_a_month_is_a_line_of_signs_for_each_type(doseqr: Doseqr) -> None:
    # Given
    doseqr.with_nodes()
    search(doseqr, dt.date(2024, 4, 2), dt.date(2024, 4, 3))
    # When
    printed, read = doseqr(*APRIL), doseqr(*APRIL, "--json")
    # Then
    assert (printed.code, read.code) == (1, 1)
    assert f"CT\t?#0{'?' * 27}\t1\t0\t" in printed.out
    assert [day["state"] for day in read.json["types"][0]["days"][:3]] == ["not_asked", "complete", "empty"]


def test_a_month_without_a_hole_ends_with_code_0(doseqr: Doseqr) -> None:
    # Given
    doseqr.with_nodes()
    search(doseqr, dt.date(2024, 4, 1), dt.date(2024, 4, 30))
    # Then
    assert doseqr(*APRIL).code == 0


def test_a_wrong_option_is_named(doseqr: Doseqr) -> None:
    # Given
    doseqr.with_nodes()
    # When
    results = [doseqr("calendar", "--node", "pacs", *wrong) for wrong in (("--type", "US"), ("--month", "x"))]
    # Then
    assert [result.code for result in results] == [2, 2]
    assert "type" in results[0].err
    assert "month" in results[1].err
