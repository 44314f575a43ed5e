"""The main job against archives that are not ours, Orthanc and DCMTK's dcmqrscp, on real files.

The real dose reports lie outside of the project; where they are absent, the files that pydicom brings are
used beside generated studies, so that there is always something to keep. What an archive really sends is what
DCMTK's storescp gets of it, bit by bit.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pydicom
import pydicom.data
import pytest
from pydicom.errors import InvalidDicomError
from sqlalchemy import select

from shared.contract.messages import EchoCompleted, EchoNodes
from shared.database.models import Node, RetrieveCommitment, RetrieveObject
from tests.support.archives.content import files_of, studies
from tests.support.services.store import data_set_in

SAMPLES = Path(__file__).parents[4] / "shared" / "samples"
BUNDLED = Path(pydicom.data.__file__).parent / "test_files"
EVERYTHING = {"types": ["CT", "MG", "DX", "FL", "NM"]}

#: The real files break rules of the standard, and pydicom warns.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="session")
def real_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return real and generated files, one for each SOP Instance UID."""
    folder = tmp_path_factory.mktemp("generated")
    generated = []
    small = [study for study in studies(60) if sum(len(series.instances) for series in study.series) <= 6]
    for uid, content in files_of(small[:10]):
        generated.append(folder / f"{uid}.dcm")
        generated[-1].write_bytes(content)
    found: dict[str, Path] = {}
    for path in [*sorted(SAMPLES.glob("*.dcm")), *sorted(BUNDLED.glob("*.dcm")), *generated]:
        header = header_of(path)
        if (
            header.get("SOPInstanceUID")
            and header.get("SeriesInstanceUID")
            and header.get("StudyInstanceUID")
        ):
            found.setdefault(str(header.SOPInstanceUID), path)
    return list(found.values())


def header_of(path: Path) -> pydicom.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pydicom.dcmread(path, stop_before_pixels=True)
        except (InvalidDicomError, EOFError, ValueError, TypeError):
            return pydicom.Dataset()


def kept_of(query: dict[str, Any], files: Iterable[Path]) -> set[str]:
    """Return the SOP Instance UIDs that a query keeps, those of whole series looked up in the files."""
    series = [entry for study in query["studies"] for entry in study["series"] if entry["decision"] == "keep"]
    single = {
        instance["sop_instance_uid"]
        for entry in series
        for instance in entry["objects"]
        if instance["decision"] == "keep"
    }
    whole = {entry["series_instance_uid"] for entry in series if entry["whole"]}
    headers = map(header_of, files)
    return single | {
        str(header.SOPInstanceUID) for header in headers if header.get("SeriesInstanceUID") in whole
    }


def arrived_in(system) -> dict[str, bytes]:
    return {path.stem: data_set_in(path) for path in system.settings.objects_dir.glob("*/*/*.dcm")}


def do_the_main_job(system) -> tuple[dict[str, Any], dict[str, Any]]:
    """Echo, query and retrieve; return the JSON of query and retrieve."""
    system.start("echo", "store", "query", "retrieve")
    system.command(EchoNodes())
    assert all(result.ok for result in system.wait_for_event(EchoCompleted).results)
    query = system.finished_query(EVERYTHING)
    retrieve = system.finished_retrieve(query["id"])
    assert query["status"] == "completed"
    assert set(query["counts"]["by_type"]) >= {"CT", "DX", "MG", "NM"} or not SAMPLES.exists()
    return query, retrieve


@pytest.fixture
def orthanc_as_pacs(system, make_orthanc, make_reference, real_files):
    """Return an Orthanc with the files, made known as `pacs`, its files, and what it sends of them."""
    orthanc, reference = make_orthanc("ORTHANC"), make_reference()
    taken = orthanc.add(real_files)
    orthanc.send_to("DOSEQR", "127.0.0.1", system.settings.store_port)
    orthanc.send_to("REFERENCE", reference.host, reference.port)
    orthanc.send_all("REFERENCE")
    system.add_remote("pacs", orthanc.host, orthanc.port, orthanc.ae_title)
    return orthanc, taken, reference.data_sets()


def test_each_kept_object_of_an_orthanc_arrives_as_it_was_sent_and_nothing_else_does(system, orthanc_as_pacs):
    # Given
    _, files, sent = orthanc_as_pacs
    system.add_own_store()
    # When
    query, retrieve = do_the_main_job(system)
    # Then
    kept, arrived = kept_of(query, files), arrived_in(system)
    assert set(arrived) == kept
    assert arrived == {uid: sent[uid] for uid in kept}
    assert retrieve["status"] == "completed"
    assert retrieve["verification"] == "receipts"
    assert retrieve["counts"]["asked"] == retrieve["counts"]["arrived"] == len(kept)


def test_a_second_orthanc_as_store_node_gets_exactly_the_kept_objects(system, orthanc_as_pacs, make_orthanc):
    # Given
    pacs, files, sent = orthanc_as_pacs
    other = make_orthanc("ARCHIVE")
    pacs.send_to("ARCHIVE", other.host, other.port)
    system.add_store("doseqr", other.host, other.port, "ARCHIVE")
    # When
    query, retrieve = do_the_main_job(system)
    # Then
    kept = kept_of(query, files)
    assert other.sop_instance_uids() == kept
    assert retrieve["status"] == "completed"
    assert retrieve["verification"] == "find"
    assert retrieve["counts"]["arrived"] == len(kept)
    sizes = {uid: len(other.file_of(uid)) - len(sent[uid]) for uid in kept}
    assert all(0 < size < 1024 for size in sizes.values()), "more than a file header was added"


def test_a_second_orthanc_commits_to_what_it_got(system, orthanc_as_pacs, make_orthanc):
    # Given: Orthanc reports to the address at which it knows us
    pacs, _, _ = orthanc_as_pacs
    other = make_orthanc("ARCHIVE")
    pacs.send_to("ARCHIVE", other.host, other.port)
    other.send_to("DOSEQR", "127.0.0.1", system.settings.store_port)
    store = system.add_store("doseqr", other.host, other.port, "ARCHIVE")
    with system.database.write() as session:
        session.get_one(Node, store.id).verify_by = "commitment"
    # When
    _, retrieve = do_the_main_job(system)
    # Then
    kept = other.sop_instance_uids()
    assert (retrieve["status"], retrieve["verification"]) == ("completed", "commitment")
    assert retrieve["counts"]["asked"] == retrieve["counts"]["arrived"] == len(kept)
    with system.database.read() as session:
        transactions = session.scalars(select(RetrieveCommitment)).all()
        committed = set(
            session.scalars(select(RetrieveObject.sop_instance_uid).where(RetrieveObject.committed_in != ""))
        )
    assert {transaction.state for transaction in transactions} == {"answered"}
    assert sum(transaction.committed for transaction in transactions) == len(kept)
    assert committed == kept


def test_each_kept_object_that_a_dcmqrscp_can_send_arrives_and_the_others_are_named(
    system, make_dcmqrscp, make_reference, real_files
):
    # Given
    reference = make_reference()
    store = ("127.0.0.1", system.settings.store_port)
    pacs = make_dcmqrscp("QRSCP", {"DOSEQR": store, "REFERENCE": (reference.host, reference.port)})
    files = pacs.add(real_files)
    pacs.send_all("REFERENCE", {str(header_of(path).StudyInstanceUID) for path in files})
    sent = reference.data_sets()
    system.add_remote("pacs", pacs.host, pacs.port, pacs.ae_title)
    system.add_own_store()
    # When
    query, retrieve = do_the_main_job(system)
    # Then
    kept, arrived = kept_of(query, files), arrived_in(system)
    assert len(kept & set(sent)) > 10
    assert arrived == {uid: sent[uid] for uid in kept & set(sent)}
    # DCMTK 3.6.7 takes radiopharmaceutical dose reports and cannot send them.
    assert {entry["sop_instance_uid"] for entry in retrieve["missing"]} == kept - set(sent)
    assert retrieve["status"] == ("incomplete" if kept - set(sent) else "completed")
    assert retrieve["counts"]["asked"] == len(kept)
