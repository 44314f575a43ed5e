"""What a peer wrote reaches a terminal only as visible characters."""

from __future__ import annotations

import re
from io import StringIO

import pytest

from services.cli.client.session import opened_database
from services.cli.output.console import table
from tests.support.jobs.rows import a_query, a_study
from tests.support.services.cli import Doseqr


def test_control_characters_of_a_pacs_never_reach_the_terminal(doseqr: Doseqr) -> None:
    # Given: a PACS that writes escape sequences wherever it may write text
    hostile = "RED\x1b[31m\x07\x9b2J\r\nfake line\u202e"
    doseqr.with_nodes()
    with opened_database(doseqr.settings) as database, database.write() as session:
        query = a_query("query-1", remote_id=2, store_id=3, status="incomplete", detail=hostile, note=hostile)
        session.add(query)
        session.flush()
        session.add(a_study("1.2", "query-1", description=hostile, accession_number=hostile))
        query.requested_by = hostile
    for command in (("show", "query-1"), ("jobs",), ("why", "query-1", "1.2"), ("profile", "pacs")):
        # When
        result = doseqr(*command)
        # Then
        assert result.code == 0, result.err
        shown = result.out + result.err
        assert not {
            character for character in shown if character not in "\n\t" and not character.isprintable()
        }
        assert "\nfake line" not in shown


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_table_fits_the_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    # Given
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(width))
    row = ["4f1c2f6e" * 4, "1.2.840.113619." + "7" * 49, "a description of several words", 17]
    # When
    table(("id", "study_instance_uid", "description", "objects"), [row] * 2)
    # Then
    shown = re.sub(r"\x1b\[\d*m", "", terminal.getvalue())
    assert max(map(len, shown.splitlines())) <= width
    # Cells are folded, not cut.
    assert shown.count("7") == 2 * 50
