"""A job as files: CSV, JSON, and the record for signing off."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile

import pytest

from tests.support.jobs.rows import a_query, a_retrieve, a_study, a_task, an_expected


@pytest.fixture
def viewer(site):
    """A viewer of a query and its retrieve, both with something missing."""
    payload = {"code": "CT", "date_from": "2024-01-01", "date_until": "2024-01-31"}
    site.add(
        a_query("q1", status="incomplete", studies_found=3, slices_failed=1),
        a_study("1.1", "q1", description="=cmd()", accession_number="A1", modalities=["CT", "SR"]),
        a_study("1.2", "q1", decision="drop", reason="known"),
        a_study("1.3", "q1", state="missing", decision="", reason="study_not_answered", detail="timed out"),
        a_task("q1", payload=payload, error="timed_out"),
        a_retrieve("r1", "q1", asked=2, arrived=1),
        an_expected("1.1", "1.1.1", "1.1.1.1", "r1"),
        an_expected("1.1", "1.1.1", "1.1.1.2", "r1", state="missing", reason="not_arrived"),
    )
    return site.person("viewer")


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_studies_and_objects_are_exported_with_their_reasons(viewer):
    # When
    studies, objects = (rows_of(viewer.text(f"/jobs/{job}/export.csv")) for job in ("q1", "r1"))
    # Then
    assert [row["study_instance_uid"] for row in studies] == ["1.1", "1.2", "1.3"]
    assert studies[0]["description"] == "'=cmd()"
    assert studies[0]["modalities"] == "CT, SR"
    assert studies[1]["sentence"] == "The database has it already."
    assert [(row["state"], row["reason"]) for row in objects] == [("arrived", ""), ("missing", "not_arrived")]


def test_the_json_of_a_job_is_that_of_the_command(viewer):
    # When
    query, retrieve = (json.loads(viewer.text(f"/jobs/{job}/export.json")) for job in ("q1", "r1"))
    # Then
    assert [study["study_instance_uid"] for study in query["studies"]] == ["1.1", "1.2", "1.3"]
    assert retrieve["missing"][0]["sop_instance_uid"] == "1.1.1.2"


@pytest.mark.parametrize("job", ["q1", "r1"])
def test_the_record_holds_what_is_signed_off(viewer, job):
    # When
    response = viewer.get(f"/jobs/{job}/sign-off.zip")
    with zipfile.ZipFile(io.BytesIO(response.data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    summary = json.loads(files["summary.json"])
    # Then
    assert response.mimetype == "application/zip"
    assert summary["query"]["criteria"] == {"types": ["CT"]}
    assert summary["query"]["missing"][0]["window"]["date_from"] == "2024-01-01"
    assert [retrieve["id"] for retrieve in summary["retrieves"]] == ["r1"]
    assert {"doseqr", "python", "pynetdicom"} <= set(summary["versions"])
    assert len(rows_of(files["decisions.csv"].decode())) == 3
    assert [row["study_instance_uid"] for row in rows_of(files["missing.csv"].decode())] == ["1.3"]
    assert [row["sop_instance_uid"] for row in rows_of(files["failures.csv"].decode())] == ["1.1.1.2"]
    sums = [line.split("  ") for line in files["SHA256SUMS"].decode().splitlines()]
    assert {name: digest for digest, name in sums} == {
        name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != "SHA256SUMS"
    }


@pytest.mark.parametrize("file", ["export.csv", "export.json", "sign-off.zip", "ledger", "doses"])
def test_a_job_that_is_not_there_has_no_files(site, file):
    assert site.person("viewer").get(f"/jobs/nowhere/{file}").status_code == 404
