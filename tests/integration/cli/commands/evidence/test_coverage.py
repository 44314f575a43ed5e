"""`doseqr coverage`: stations as lines, as JSON and as exit code."""

from __future__ import annotations

from shared.database.session import Database
from shared.nodes.nodes import find_node
from tests.support.jobs.rows import a_query, a_series, a_study
from tests.support.services.cli import Doseqr

APRIL = ("coverage", "--node", "pacs", "--from", "2024-04-01", "--until", "2024-04-30")


def decide(doseqr: Doseqr, reasons: list[str]) -> None:
    """Write a study a day, decided for these reasons."""
    with Database(doseqr.settings.database).write() as session:
        node = find_node(session, "pacs")
        session.add(a_query("q1", remote_id=node.id))
        session.flush()
        for number, reason in enumerate(reasons, 1):
            session.add(a_study(f"1.{number}", "q1", study_date=f"202404{number:02}", reason=reason))
            session.flush()
            series = a_series(f"1.{number}", f"1.{number}.1", "q1", modality="CT", station_name="CT1")
            session.add(series)


def test_stations_are_listed_and_an_alert_ends_with_code_1(doseqr: Doseqr) -> None:
    # Given
    doseqr.with_nodes()
    decide(doseqr, ["rdsr"] * 6 + ["no_dose_object"] * 5)
    # When
    printed, read = doseqr(*APRIL), doseqr(*APRIL, "--json")
    # Then
    assert (printed.code, read.code) == (1, 1)
    assert (
        "CT1\tCT\t11\t6\t0\t0\t0\t5\t2024-04-01\t2024-04-11\tno report since 2024-04-07 in 5 studies\t0"
        in printed.out
    )
    assert read.json["stations"][0]["alerts"][0]["kind"] == "stopped"


def test_without_an_alert_the_exit_code_is_0(doseqr: Doseqr) -> None:
    # Given
    doseqr.with_nodes()
    decide(doseqr, ["rdsr"] * 6)
    # Then
    assert doseqr(*APRIL).code == 0
    assert doseqr(*APRIL, "--from", "x").code == 2
