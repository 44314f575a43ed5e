"""The DICOMweb side of the scripted PACS, as a client that is no part of DoseQR finds it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from email import message_from_bytes
from email.policy import HTTP
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import urllib3
from pydicom import dcmread
from pydicom.dataset import Dataset

from simulator.archive.files import studies_in
from simulator.archive.model import objects_of
from simulator.content import build
from simulator.dicomweb.behaviour import WebBehaviour
from tests.support.peers.studies import ct_study, mg_study, objects

ROOT = Path(__file__).parents[3]
OBJECTS = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}


def get(url: str, **headers: str) -> urllib3.BaseHTTPResponse:
    return urllib3.request("GET", url, headers=headers, retries=False, timeout=20)


def matches(url: str) -> list[Any]:
    response = get(url)
    assert response.status in (200, 206)
    found: list[Any] = json.loads(response.data)
    return found


def parts(response: urllib3.BaseHTTPResponse) -> list[bytes]:
    """Return the parts of a multipart response, read by a parser for mail."""
    head = f"Content-Type: {response.headers['Content-Type']}\r\n\r\n".encode()
    message = message_from_bytes(head + response.data, policy=HTTP)
    payloads = [part.get_payload(decode=True) for part in message.iter_parts()]
    return [payload for payload in payloads if isinstance(payload, bytes)]


def test_searches_return_the_same_studies_at_each_level(dicomweb_server):
    # Given
    ct, mg = ct_study(images=2, description="Schädel"), mg_study()
    server = dicomweb_server([ct, mg])
    # When
    [found] = matches(f"{server.url}/studies?ModalitiesInStudy=CT&includefield=StudyDescription")
    below = matches(f"{server.url}/studies/{ct.study_instance_uid}/series")
    instances = matches(f"{server.url}/instances?00080060=MG&includefield=all")
    # Then
    assert Dataset.from_json(found).StudyDescription == "Schädel"
    assert {Dataset.from_json(entry).SeriesInstanceUID for entry in below} == {
        series.series_instance_uid for series in ct.series
    }
    kept = {i.sop_instance_uid for series in mg.series if series.modality == "MG" for i in series.instances}
    assert {Dataset.from_json(entry).SOPInstanceUID for entry in instances} == kept


def test_metadata_names_pixels_by_an_address_that_leads_to_them(dicomweb_server, tmp_path):
    # Given
    made, study = ct_study(images=1), ct_study(images=1)
    for match in objects_of(study):
        build(match).save_as(tmp_path / f"{match.uid}.dcm", enforce_file_format=True)
    server = dicomweb_server([made, *studies_in([tmp_path])])
    for known in (made, study):
        originals = {match.uid: build(match) for match in objects_of(known)}
        # When
        entries = matches(f"{server.url}/studies/{known.study_instance_uid}/metadata")
        files = parts(get(f"{server.url}/studies/{known.study_instance_uid}", **OBJECTS))
        # Then
        assert {dcmread(BytesIO(file)).SOPInstanceUID for file in files} == objects(known)
        assert len(entries) == len(originals)
        for entry in entries:
            pixels = entry.pop("7FE00010", None)
            original = originals[entry["00080018"]["Value"][0]]
            assert (pixels is not None) == ("PixelData" in original)
            if pixels is not None:
                assert parts(get(pixels["BulkDataURI"])) == [original.PixelData]
                del original.PixelData
            assert Dataset.from_json(entry) == original


#: A behaviour, what is requested, and what comes: status, number of matches, the header Warning.
HABITS = {
    "page maximum": (WebBehaviour(page_maximum=2), "/studies?limit=5", (200, 2, None)),
    "default limit": (WebBehaviour(default_limit=2), "/studies", (200, 2, None)),
    "default limit overruled": (WebBehaviour(default_limit=2), "/studies?limit=3", (200, 3, None)),
    "last page": (WebBehaviour(page_maximum=2, more="warning"), "/studies?offset=2", (200, 2, None)),
    "warning": (WebBehaviour(more="warning"), "/studies?limit=3", (200, 3, "299")),
    "206": (WebBehaviour(more="partial_content"), "/studies?limit=3", (206, 3, None)),
    "total maximum": (WebBehaviour(total_maximum=3), "/studies?limit=2&offset=2", (200, 1, None)),
    "offset ignored": (WebBehaviour(offset="ignored"), "/studies?offset=3", (200, 4, None)),
    "offset refused": (WebBehaviour(offset="refused"), "/studies?offset=3", (400, 0, None)),
    "limit refused": (WebBehaviour(limit_maximum=2), "/studies?limit=3", (400, 0, None)),
    "204": (WebBehaviour(empty="no_content"), "/studies?StudyDate=19000101", (204, 0, None)),
    "no body": (WebBehaviour(empty="no_body"), "/studies?StudyDate=19000101", (200, 0, None)),
    "key refused": (WebBehaviour(refused_keys={"StudyID"}), "/studies?StudyID=1", (400, 0, None)),
    "value refused": (WebBehaviour(refused_values={"StudyID"}), "/studies?StudyID=1", (400, 0, None)),
    "value not refused": (
        WebBehaviour(refused_values={"StudyID"}),
        "/studies?includefield=StudyID",
        (200, 4, None),
    ),
    "range refused": (
        WebBehaviour(refused_ranges={"StudyDate"}),
        "/studies?StudyDate=20240305-20240306",
        (400, 0, None),
    ),
    "range not refused": (
        WebBehaviour(refused_ranges={"StudyDate"}),
        "/studies?StudyDate=20240305",
        (200, 4, None),
    ),
    "key ignored": (WebBehaviour(not_matched={"StudyDate"}), "/studies?StudyDate=20240306", (200, 4, None)),
    "twice": (WebBehaviour(twice=True), "/studies", (200, 8, None)),
    "no number": (WebBehaviour(), "/studies?limit=x", (400, 0, None)),
    "other path": (WebBehaviour(), "/patients", (404, 0, None)),
    "unknown study": (WebBehaviour(), "/studies/1.2/metadata", (404, 0, None)),
}


@pytest.mark.parametrize("name", HABITS)
def test_each_habit_reaches_the_client_that_requests(dicomweb_server, name):
    # Given
    behaviour, target, expected = HABITS[name]
    server = dicomweb_server([ct_study(images=1) for _ in range(4)], behaviour)
    # When
    response = get(server.url + target)
    # Then
    found = json.loads(response.data) if response.data else []
    warning = response.headers.get("Warning")
    assert (response.status, len(found), warning and warning[:3]) == expected


def test_a_token_is_refused_after_its_requests(dicomweb_server):
    # Given
    server = dicomweb_server([ct_study()], WebBehaviour(token_requests=1))
    # When
    statuses = [get(f"{server.url}/studies", Authorization=f"Bearer {token}").status for token in "aabb"]
    # Then
    assert statuses == [200, 401, 200, 401]


def test_program_serves_dicomweb_beside_dimse_and_records_it(tmp_path):
    # Given
    script, log = tmp_path / "mine.toml", tmp_path / "requests.jsonl"
    script.write_text("[pacs]\nport = 0\n[web]\nport = 0\n[[studies]]\nkind = 'ct_rdsr'\n")
    command = [sys.executable, "-m", "simulator", str(script), "--log", str(log)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            _dimse, web = process.stdout.readline(), process.stdout.readline()
            # When
            found = matches(f"{web.removeprefix('DICOMweb at ').strip()}/studies?PatientName=S*")
            process.send_signal(signal.SIGTERM)
            code = process.wait(20)
        finally:
            process.kill()
    # Then
    assert (len(found), code) == (1, 0)
    [line] = log.read_text().splitlines()
    record = json.loads(line)
    assert (record["operation"], record["level"], record["keys"]) == ("qido", "STUDY", {"PatientName": ["…"]})
