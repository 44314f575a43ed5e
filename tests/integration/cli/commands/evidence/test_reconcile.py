"""`doseqr reconcile`: a file, its totals, and an exit code."""

from __future__ import annotations

from pathlib import Path

from shared.database.session import Database
from shared.nodes.nodes import find_node
from tests.support.jobs.rows import a_query, a_study
from tests.support.services.cli import Doseqr


def decide(doseqr: Doseqr) -> None:
    with Database(doseqr.settings.database).write() as session:
        session.add(a_query("q1", remote_id=find_node(session, "pacs").id))
        session.flush()
        dropped = {"decision": "drop", "reason": "no_dose_object"}
        session.add(a_study("1.2", "q1", accession_number="A1", **dropped))


def test_a_list_is_summed_up_and_written_as_csv(doseqr: Doseqr, tmp_path: Path) -> None:
    # Given
    doseqr.with_nodes()
    decide(doseqr)
    file = tmp_path / "list.csv"
    file.write_text("Zugangsnummer;Raum\nA1;R1\nA2;R1\n", encoding="utf-8")
    # When
    printed, csv, read = (
        doseqr("reconcile", str(file), "--node", "pacs", *options)
        for options in ((), ("--csv",), ("--json",))
    )
    # Then
    assert (printed.code, csv.code, read.code) == (1, 1, 1)
    assert "room R1\t0\t0\t1\t1\t0" in printed.out
    assert csv.out.splitlines()[1].startswith("2,no_dose_object,,A1,1.2")
    assert read.json["totals"]["not_asked"] == 1


def test_a_list_with_nothing_open_ends_with_code_0(doseqr: Doseqr, tmp_path: Path) -> None:
    # Given
    doseqr.with_nodes()
    decide(doseqr)
    file = tmp_path / "list.csv"
    file.write_text("Accession number\nA1\n", encoding="utf-8")
    # Then
    assert doseqr("reconcile", str(file), "--node", "pacs").code == 0
    assert doseqr("reconcile", str(tmp_path / "none.csv"), "--node", "pacs").code == 2
