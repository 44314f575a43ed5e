"""The scripted PACS as other software sees it (DCMTK), and as a program."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import dcmread

from simulator.archive.model import objects_of
from simulator.content import RECIPES, build
from tests.support.peers import studies as factories
from tests.support.peers.query_retrieve_scu import Scu

ROOT = Path(__file__).parents[3]


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} of DCMTK is not installed")
    return path


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
        errors="replace",
    )


def test_dcmtk_gets_an_echo(scripted_pacs):
    pacs = scripted_pacs()

    assert run(tool("echoscu"), pacs.host, str(pacs.port)).returncode == 0


def test_dcmtk_finds_what_matches(scripted_pacs, tmp_path):
    # Given
    study = factories.ct_study(description="Schädel, nativ")
    pacs = scripted_pacs([study, factories.mr_study()])
    keys = ["QueryRetrieveLevel=STUDY", "StudyInstanceUID", "ModalitiesInStudy=CT", "StudyDescription"]

    # When
    arguments = [part for key in keys for part in ("-k", key)]
    done = run(tool("findscu"), "-S", "-X", "-od", tmp_path, pacs.host, str(pacs.port), *arguments)

    # Then
    assert done.returncode == 0
    [read] = [dcmread(path) for path in tmp_path.iterdir()]
    assert (read.StudyInstanceUID, read.StudyDescription) == (study.study_instance_uid, "Schädel, nativ")


def test_dcmtk_moves_into_its_own_store(scripted_pacs, tmp_path):
    # Given
    study = factories.ct_study(images=3)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pacs = scripted_pacs([study], destinations={"MOVESCU": ("127.0.0.1", port)})

    # When
    done = run(
        tool("movescu"),
        "-S",
        "+P",
        str(port),
        "-od",
        tmp_path,
        pacs.host,
        str(pacs.port),
        "-k",
        "QueryRetrieveLevel=STUDY",
        "-k",
        f"StudyInstanceUID={study.study_instance_uid}",
    )

    # Then
    assert done.returncode == 0
    assert {dcmread(path).SOPInstanceUID for path in tmp_path.iterdir()} == factories.objects(study)


@pytest.mark.parametrize("content", RECIPES)
def test_dcmtk_can_dump_every_object(tmp_path, content):
    # Given
    study = factories.study(factories.series("ct_image"), factories.series(content))
    match = list(objects_of(study))[-1]
    path = tmp_path / "object.dcm"
    build(match).save_as(path, enforce_file_format=True)

    # When
    done = run(tool("dcmdump"), path)

    # Then
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "content",
    ["rdsr_ct", "rdsr_fl", "rdsr_dx", "rdsr_mg", "esr_ct", "esr_fl", "esr_other", "text_sr", "key_objects"],
)
def test_dcmtk_accepts_the_report(tmp_path, content):
    # Given
    study = factories.study(factories.series("ct_image"), factories.series(content))
    match = list(objects_of(study))[-1]
    path = tmp_path / "report.dcm"
    build(match).save_as(path, enforce_file_format=True)

    # When
    done = run(tool("dsrdump"), path)

    # Then
    assert done.returncode == 0
    assert "E:" not in done.stderr


def test_program_prints_when_it_listens_and_ends_on_sigterm():
    # Given
    command = [sys.executable, "-m", "simulator", "simulator/demo.toml", "--port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        port = int(line.split(":")[1].split()[0])
        with socket.create_connection(("127.0.0.1", port)):
            pass

        # When
        process.send_signal(signal.SIGTERM)
        _out, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()

    # Then
    assert line.startswith("listening on 127.0.0.1:")
    assert "DEMO_PACS (422 studies)" in line
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize(
    ("text", "code", "problem"), [("[pacs]\nport = 'x'", 2, "pacs.port"), ("[pacs", 2, "no TOML")]
)
def test_program_names_what_is_wrong_with_its_file(tmp_path, text, code, problem):
    path = tmp_path / "mine.toml"
    path.write_text(text)

    done = subprocess.run(
        [sys.executable, "-m", "simulator", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == code
    assert problem in done.stderr


def test_program_reports_that_its_port_is_taken(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[pacs]\n")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        done = subprocess.run(
            [sys.executable, "-m", "simulator", str(path), "--port", port],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert done.returncode == 5
    assert "cannot listen" in done.stderr


def test_sample_files_can_be_a_pacs(scripted_pacs, store_scp):
    # Given
    from simulator.archive.files import studies_in

    samples = ROOT.parent / "shared" / "samples"
    if not samples.is_dir():
        pytest.skip("the sample files are not there")
    studies = studies_in([samples])
    pacs = scripted_pacs(studies, destinations={"STORE": store_scp.address})

    # When
    report = next(study for study in studies if "SR" in study.modalities_in_study)
    with Scu(pacs) as scu:
        found, _final = scu.find("STUDY", StudyInstanceUID=None)
        status = scu.move("STUDY", StudyInstanceUID=report.study_instance_uid)[-1].Status

    # Then
    assert len(found) == len(studies) > 10
    assert status == 0
    assert store_scp.uids == factories.objects(report)
