"""`doseqr support-bundle` holds what a report needs, and nothing of a patient."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path

import pytest

from shared.database.session import Database
from tests.support.jobs.rows import a_find, a_query, a_series, a_study, a_task, an_object
from tests.support.services.cli import Doseqr

MARK = "ZZMARK"
UID = "1.2.826.0.1.98765"


@pytest.fixture
def marked(doseqr: Doseqr) -> Doseqr:
    """A query in whose rows every text of people is marked."""
    doseqr.with_nodes()
    database = Database(doseqr.settings.database)
    criteria = {
        "types": ["CT"],
        "exclude_descriptions": [MARK],
        "keep_stations": [MARK],
        "accession_numbers": [MARK],
        "study_instance_uids": [UID],
    }
    texts = {"requested_by": MARK, "detail": MARK, "note": MARK}
    with database.write() as session:
        session.add(a_query(status="failed", failure="timed_out", remote_id=2, criteria=criteria, **texts))
        session.flush()
        task = a_task(error="timed_out", detail=MARK, payload={"uids": [UID], "text": MARK}, worker=MARK)
        study = a_study(UID, description=MARK, accession_number=MARK, station_name=MARK, detail=MARK)
        find = a_find(1, keys={"AccessionNumber": MARK, "StudyInstanceUID": UID}, status_code=0xA700)
        session.add_all([task, study, find])
        session.flush()
        session.add(a_series(UID, UID, description=MARK, station_name=MARK))
        session.add(an_object(UID, UID, UID))
    database.close()
    return doseqr


def unpacked(file: Path) -> dict[str, str]:
    with zipfile.ZipFile(file) as bundle:
        return {name: bundle.read(name).decode() for name in bundle.namelist()}


def test_a_bundle_holds_no_patient_data_and_no_secret(
    marked: Doseqr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.setenv("DOSEQR_SESSION_KEY", MARK * 20)
    file = tmp_path / "bundle.zip"
    # When
    result = marked("support-bundle", "query-1", "--output", str(file))
    # Then
    parts = unpacked(file)
    assert result.code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not [name for name, text in parts.items() if MARK in text or UID in text]


def test_a_bundle_holds_states_errors_and_times(marked: Doseqr, tmp_path: Path) -> None:
    # Given
    file = tmp_path / "bundle.zip"
    # When
    marked("support-bundle", "query-1", "--output", str(file))
    # Then
    parts = {name: text for name, text in unpacked(file).items() if name.endswith(".json")}
    job = json.loads(parts["job.json"])
    assert set(parts) == {"about.json", "settings.json", "check.json", "job.json", "profile.json"}
    assert (job["kind"], job["status"], job["failure"]) == ("query", "failed", "timed_out")
    assert job["tasks"][0]["error"] == "timed_out"
    assert job["finds"][0]["status_code"] == 0xA700
    assert job["criteria"] == {"types": ["CT"]}


def test_a_file_that_is_there_is_not_replaced(doseqr: Doseqr, tmp_path: Path) -> None:
    # Given
    file = tmp_path / "bundle.zip"
    file.write_text("mine")
    # When
    result = doseqr("support-bundle", "--output", str(file))
    # Then
    assert result.code == 2
    assert file.read_text() == "mine"
