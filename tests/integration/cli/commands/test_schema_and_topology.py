"""`doseqr schema` and `doseqr topology` print what stands in the code."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tests.support.services.cli import Doseqr

DOCS = Path(__file__).parents[4] / "docs"


@pytest.mark.parametrize("name", ["asyncapi", "openapi"])
def test_a_document_is_printed_as_it_is_published(doseqr: Doseqr, name: str) -> None:
    assert doseqr("schema", name).json == json.loads((DOCS / f"{name}.json").read_text())


def test_schemas_are_printed_alone_and_together(doseqr: Doseqr) -> None:
    # When
    every, single = doseqr("schema"), doseqr("schema", "doseqr.command.query.v1")
    # Then
    assert single.json == every.json["doseqr.command.query.v1"]
    assert set(every.json) == {path.stem for path in (DOCS / "schemas").glob("*.json")}
    assert "store_port" in doseqr("schema", "settings").json["properties"]


def test_an_unknown_schema_is_a_wrong_usage(doseqr: Doseqr) -> None:
    # When
    result = doseqr("schema", "nothing")
    # Then
    assert result.code == 2
    assert "doseqr.event.progress.v1" in result.err


def test_passwords_of_the_topology_are_made_once_and_never_printed(doseqr: Doseqr, tmp_path: Path) -> None:
    # Given
    folder = tmp_path / "broker"
    # When
    first = doseqr("topology", "--json", "--passwords", str(folder))
    made = {file.name: file.read_text() for file in folder.iterdir()}
    second = doseqr("topology", "--json", "--passwords", str(folder))
    # Then
    assert {user["name"] for user in first.json["users"]} == set(made)
    assert {file.name: file.read_text() for file in folder.iterdir()} == made
    assert not any(password.strip() in first.out + first.err + second.out for password in made.values())
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def test_the_topology_is_a_table_for_people(doseqr: Doseqr) -> None:
    # When
    result = doseqr("topology")
    # Then
    assert "doseqr.query-tasks" in result.out
    assert "doseqr-store" in result.out
