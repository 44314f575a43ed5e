"""A C-GET against peers that send other objects than were requested, or endless ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity

from shared.dicom.association import c_get
from shared.dicom.association.c_get import Fetched, open_get_association
from shared.dicom.association.c_move import MoveLevel, move_identifier
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.sop_classes import STUDY_ROOT_GET
from tests.support.peers.storage_scp import StoreScp

CT, IMPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2"
STUDY, SERIES, REQUESTED = "1.2.1", "1.2.1.1", "1.2.1.1.1"
QUICK = Timeouts(connect_s=2.0, response_s=5.0)


def an_object(
    sop_instance_uid: str, *, study: str = STUDY, series: str = SERIES, size_bytes: int = 0
) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID = CT
    ds.SOPInstanceUID = sop_instance_uid
    ds.StudyInstanceUID = study
    ds.SeriesInstanceUID = series
    ds.Rows = 1
    ds.add_new(0x7FE00010, "OW", bytes(size_bytes))
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return ds


@pytest.fixture
def store() -> Iterator[StoreScp]:
    scp = StoreScp().start()
    yield scp
    scp.stop()


@pytest.fixture
def pacs_with() -> Iterator[Callable[..., Peer]]:
    """Return a PACS that responds to every C-GET with these objects."""
    servers = []

    def start(*objects: Dataset) -> Peer:
        ae = ApplicationEntity(ae_title="PACS")
        ae.maximum_pdu_size = 0
        ae.add_supported_context(STUDY_ROOT_GET)
        ae.add_supported_context(CT, IMPLICIT, scu_role=True, scp_role=True)

        def send(_event: evt.Event) -> Iterator[Any]:
            yield len(objects)
            for ds in objects:
                yield 0xFF00, ds

        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_GET, send)])
        assert server is not None
        servers.append(server)
        return Peer("127.0.0.1", server.server_address[1], "PACS", "DOSEQR")

    yield start
    for server in servers:
        server.shutdown()


def fetched(pacs: Peer, store: StoreScp, *sop_instance_uids: str) -> Fetched:
    level: MoveLevel = "IMAGE" if sop_instance_uids else "SERIES"
    identifier = move_identifier(level, [STUDY], [SERIES], sop_instance_uids)
    association = open_get_association(pacs, [CT], QUICK)
    result = association.c_get(identifier, Peer(*store.address, "STORE", "DOSEQR"), QUICK)
    association.release()
    return result


def test_only_the_requested_objects_are_handed_on(pacs_with, store):
    # Given
    pacs = pacs_with(an_object(REQUESTED), an_object("1.2.9.9", study="1.2.9"))
    # When
    result = fetched(pacs, store, REQUESTED)
    # Then
    assert result.stored == store.uids == {REQUESTED}


def test_objects_of_another_study_are_refused_where_a_series_was_requested(pacs_with, store):
    # Given
    foreign = [an_object(f"1.2.9.{number}", study="1.2.9", series="1.2.9.1") for number in range(3)]
    # When
    result = fetched(pacs_with(an_object(REQUESTED), *foreign), store)
    # Then
    assert result.stored == store.uids == {REQUESTED}
    assert result.result.sub_operations.failed == 3


def test_an_object_whose_study_the_archive_changed_is_taken_with_its_series(pacs_with, store):
    # When
    result = fetched(pacs_with(an_object(REQUESTED, study="1.2.77")), store)
    # Then
    assert result.stored == {REQUESTED}


def test_a_peer_that_sends_many_unrequested_objects_is_left(pacs_with, store, monkeypatch):
    # Given
    monkeypatch.setattr(c_get, "MAX_UNREQUESTED", 5)
    foreign = [an_object(f"1.2.9.{number}") for number in range(50)]
    # When
    result = fetched(pacs_with(*foreign), store, REQUESTED)
    # Then
    assert store.uids == set()
    assert result.result.status_code is None
    assert "not requested" in str(result.result.error)


def test_an_object_that_is_too_large_ends_the_association(pacs_with, store, monkeypatch):
    # Given
    monkeypatch.setattr(c_get, "MAX_OBJECT_BYTES", 1 << 20)
    # When
    result = fetched(pacs_with(an_object(REQUESTED, size_bytes=4 << 20)), store, REQUESTED)
    # Then
    assert isinstance(result.result.error, PeerError)
    assert result.result.error.outcome is Outcome.BAD_RESPONSE
    assert "more than 1 MiB" in str(result.result.error)
    assert store.uids == set()
