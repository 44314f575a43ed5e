"""C-GET from archives that are not ours: the same objects arrive, bit by bit, as by C-MOVE."""

from __future__ import annotations

from typing import Any

from shared.database.models import Node
from tests.integration.archives import test_strangers
from tests.integration.archives.test_strangers import arrived_in, do_the_main_job, header_of, kept_of

orthanc_as_pacs, real_files = test_strangers.orthanc_as_pacs, test_strangers.real_files

pytestmark = test_strangers.pytestmark


def fetch(system) -> None:
    """Let objects be fetched from the node `pacs`."""
    with system.database.write() as session:
        session.query(Node).filter_by(name="pacs").one().retrieve_by = "get"


def outcome(query: dict[str, Any], retrieve: dict[str, Any], files, sent) -> tuple[set[str], set[str]]:
    """Return what had to arrive, and what stands as missing."""
    return kept_of(query, files) & set(sent), {entry["sop_instance_uid"] for entry in retrieve["missing"]}


def test_each_kept_object_of_an_orthanc_is_fetched_as_it_would_have_been_sent(system, orthanc_as_pacs):
    # Given
    _, files, sent = orthanc_as_pacs
    system.add_own_store()
    fetch(system)
    # When
    query, retrieve = do_the_main_job(system)
    # Then
    kept, missing = outcome(query, retrieve, files, sent)
    arrived = arrived_in(system)
    assert missing == set()
    assert set(arrived) == kept
    assert [uid for uid in kept if arrived[uid] != sent[uid]] == []
    assert (retrieve["status"], retrieve["verification"]) == ("completed", "receipts")


def test_each_kept_object_that_a_dcmqrscp_can_send_is_fetched_and_the_others_are_named(
    system, make_dcmqrscp, make_reference, real_files
):
    # Given
    reference = make_reference()
    pacs = make_dcmqrscp("QRSCP", {"REFERENCE": (reference.host, reference.port)})
    files = pacs.add(real_files)
    pacs.send_all("REFERENCE", {str(header_of(path).StudyInstanceUID) for path in files})
    sent = reference.data_sets()
    system.add_remote("pacs", pacs.host, pacs.port, pacs.ae_title)
    system.add_own_store()
    fetch(system)
    # When
    query, retrieve = do_the_main_job(system)
    # Then
    kept, missing = outcome(query, retrieve, files, sent)
    arrived = arrived_in(system)
    assert set(arrived) == kept
    assert [uid for uid in kept if arrived[uid] != sent[uid]] == []
    assert missing == kept_of(query, files) - kept
    assert retrieve["status"] == ("incomplete" if missing else "completed")
