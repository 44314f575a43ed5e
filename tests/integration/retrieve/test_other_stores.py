"""A store node that is not ours: it is asked what it has, or the PACS is taken at its word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AllStoragePresentationContexts, evt
from pynetdicom.ae import ApplicationEntity

from shared.contract.messages import ObjectReference, RegisterObjects
from shared.dicom.sop_classes import STUDY_ROOT_FIND
from tests.support.pacs import StoreScp, objects, series, study
from tests.support.retrieves import Retrieves, asked


class AnsweringStore:
    """A store that keeps UIDs and answers image-level queries about them."""

    def __init__(self) -> None:
        self.held: dict[str, set[str]] = {}
        self.finds = 0
        self._ae = ApplicationEntity(ae_title="ARCHIVE")
        self._ae.supported_contexts = AllStoragePresentationContexts
        self._ae.add_supported_context(STUDY_ROOT_FIND)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store), (evt.EVT_C_FIND, self._find)]
        server: Any = self._ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port = int(server.server_address[1])

    def _store(self, event: evt.Event) -> int:
        ds = event.dataset
        self.held.setdefault(str(ds.SeriesInstanceUID), set()).add(str(ds.SOPInstanceUID))
        return 0x0000

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        self.finds += 1
        for uid in sorted(self.held.get(str(event.identifier.SeriesInstanceUID), ())):
            match = Dataset()
            match.QueryRetrieveLevel = "IMAGE"
            match.SOPInstanceUID = uid
            yield 0xFF00, match

    def stop(self) -> None:
        self._ae.shutdown()


@pytest.fixture
def archive():
    """A running store that answers queries."""
    store = AnsweringStore()
    yield store
    store.stop()


@pytest.fixture
def one():
    """A study of two series, with seven objects."""
    return study(series("ct_image", 5), series("ct_image", 2))


def test_a_store_that_answers_is_asked_what_arrived(
    retrieves: Retrieves, scripted_pacs, archive: AnsweringStore, one
):
    # Given
    lost = min(objects(one))
    pacs = scripted_pacs([one], never_arrive=[lost])
    retrieves.connect(pacs, retrieves.system.add_store("archive", "127.0.0.1", archive.port, "ARCHIVE"))
    retrieves.kept([one])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("incomplete", 6)
    assert [row["sop_instance_uid"] for row in retrieve["missing"]] == [lost]
    assert retrieve["verification"] == "find"
    assert archive.finds > 0


def test_a_series_without_names_is_named_by_the_store(
    retrieves: Retrieves, scripted_pacs, archive: AnsweringStore
):
    # Given
    one = study(series("rdsr_ct", 2))
    pacs = scripted_pacs([one], image_level_empty_for=["SR"])
    retrieves.connect(pacs, retrieves.system.add_store("archive", "127.0.0.1", archive.port, "ARCHIVE"))
    retrieves.kept([one], named=False)
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("completed", 2)
    assert set(retrieves.objects(retrieve["id"])) == objects(one)


def test_a_store_that_does_not_answer_leaves_the_word_of_the_pacs(
    retrieves: Retrieves, scripted_pacs, store_scp: StoreScp, one
):
    # Given
    pacs = scripted_pacs([one])
    retrieves.connect(pacs, retrieves.system.add_store("store", "127.0.0.1", store_scp.port, "STORE"))
    retrieves.kept([one])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("completed", 7)
    assert retrieve["verification"] == "reported"
    assert store_scp.uids == objects(one)


def test_what_the_pacs_says_it_failed_to_send_did_not_arrive(
    retrieves: Retrieves, scripted_pacs, store_scp: StoreScp, one
):
    # Given
    failing = min(objects(one))
    pacs = scripted_pacs([one], fail=[failing], move_failed_list=False)
    retrieves.connect(pacs, retrieves.system.add_store("store", "127.0.0.1", store_scp.port, "STORE"))
    retrieves.kept([one])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("incomplete", 6)
    assert [row["sop_instance_uid"] for row in retrieve["missing"]] == [failing]
    assert retrieve["verification"] == "reported"


def test_the_word_of_the_pacs_for_a_series_without_names(
    retrieves: Retrieves, scripted_pacs, store_scp: StoreScp
):
    # Given
    one = study(series("rdsr_ct", 2))
    pacs = scripted_pacs([one], image_level_empty_for=["SR"])
    retrieves.connect(pacs, retrieves.system.add_store("store", "127.0.0.1", store_scp.port, "STORE"))
    retrieves.kept([one], named=False)
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["asked"], retrieve["counts"]["arrived"]) == (
        "completed",
        2,
        2,
    )


def test_objects_that_another_store_registers_are_receipts(
    retrieves: Retrieves, scripted_pacs, store_scp: StoreScp, one
):
    # Given: another store that tells of each object at once
    system = retrieves.system
    pacs = scripted_pacs([one])
    retrieves.connect(pacs, system.add_store("store", "127.0.0.1", store_scp.port, "STORE"))
    system.start("store")
    retrieves.kept([one])
    references = {
        instance.sop_instance_uid: ObjectReference(
            study_instance_uid=one.study_instance_uid,
            series_instance_uid=member.series_instance_uid,
            sop_instance_uid=instance.sop_instance_uid,
        )
        for member in one.series
        for instance in member.instances
    }

    def told(uid: str) -> int:
        system.command(RegisterObjects(objects=[references[uid]]))
        return 0x0000

    store_scp.answer = told
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("completed", 7)
    assert retrieve["verification"] in ("receipts", "reported")
    assert len(asked(pacs)) == 1
