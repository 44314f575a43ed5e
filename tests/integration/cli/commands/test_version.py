"""`doseqr version` and `doseqr --version`."""

from __future__ import annotations

from tests.support.services.cli import Doseqr


def test_versions_are_printed(doseqr: Doseqr) -> None:
    # When
    as_json, as_text, short = doseqr("version", "--json"), doseqr("version"), doseqr("--version")
    # Then
    assert set(as_json.json) == {"doseqr", "python", "pynetdicom", "pydicom", "sqlalchemy", "pika"}
    assert all(number in as_text.out for number in as_json.json.values())
    assert short.out == f"doseqr {as_json.json['doseqr']}\n"
