"""A C-GET against peers that send other objects than were requested, or large ones."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity

from services.retrieve.planning.c_move_outcome import reason_of
from services.retrieve.transfer import object_spool
from services.store.scp import server
from services.store.store_object import StoreResponse
from shared.contract.reasons import Reason
from shared.dicom.association.c_move import MoveLevel, move_identifier
from shared.dicom.errors import NoSpaceError
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.relay.c_get import Fetched, open_get_association
from shared.dicom.sop_classes import STUDY_ROOT_GET
from shared.disk.free_space import FreeSpace
from tests.support.peers.byte_get_pacs import (
    CT_CONTEXT,
    acceptance_with,
    command_pdu,
    data_pdu,
    data_set,
    final,
    p_data_tf,
    pdv,
    store_command,
)
from tests.support.peers.byte_pacs import respond_with
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
    for started in servers:
        started.shutdown()


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


class Nowhere:
    """Takes the bytes of an object and keeps none."""

    def write(self, _data: Any) -> None: ...

    def data_set(self) -> memoryview:
        return memoryview(b"")

    def discard(self) -> None: ...


@pytest.fixture
def store_of_nothing() -> Iterator[Peer]:
    """Return a store that responds with success and keeps nothing, in memory or on disk."""
    scp = server.StoreScp(
        lambda _request: StoreResponse(0x0000),
        listener=server.listening_socket("127.0.0.1", 0),
        ae_title="STORE",
        stall_timeout_s=30.0,
        open_temp_file=lambda _announced: Nowhere(),  # type: ignore[arg-type, return-value]
    )
    scp.start()
    yield Peer("127.0.0.1", scp.port, "STORE", "DOSEQR")
    scp.stop(5.0)


FETCHING = """
import resource, sys
from pathlib import Path
from services.retrieve.transfer.object_spool import ObjectSpool
from shared.dicom.relay.c_get import open_get_association
from shared.dicom.association.c_move import move_identifier
from shared.dicom.peer import Peer, Timeouts
from tests.support.peers.byte_get_pacs import CT, REQUESTED, SERIES, STUDY
quick = Timeouts(2.0, 60.0)
pacs, store = (Peer("127.0.0.1", int(port), "PEER", "DOSEQR") for port in sys.argv[1:3])
association = open_get_association(pacs, [CT], quick)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
identifier = move_identifier("IMAGE", [STUDY], [SERIES], [REQUESTED])
fetched = association.c_get(identifier, store, quick, open_file=ObjectSpool(Path(sys.argv[3]), 0).open)
association.release()
print(*fetched.stored, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_an_object_of_500_megabytes_takes_no_memory(strange_pacs, store_of_nothing, tmp_path):
    # Given
    begin, size_bytes = data_set(size_bytes=0)[:-8], 500 << 20
    pixels = struct.pack("<HHL", 0x7FE0, 0x0010, size_bytes)

    def send(connection: socket.socket) -> None:
        fragment = p_data_tf(pdv(CT_CONTEXT, 0, bytes(1 << 16)))
        connection.sendall(command_pdu(store_command()) + p_data_tf(pdv(CT_CONTEXT, 0, begin + pixels)))
        for _ in range(size_bytes >> 16):
            connection.sendall(fragment)
        connection.sendall(p_data_tf(pdv(CT_CONTEXT, 2, b"")) + final())

    pacs = strange_pacs(send, accept=acceptance_with())
    # When
    command = [sys.executable, "-c", FETCHING, str(pacs.port), str(store_of_nothing.port), str(tmp_path)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    # Then
    uid, more_kib = printed.split()
    assert uid == REQUESTED
    assert int(more_kib) < 32 << 10
    assert list(tmp_path.iterdir()) == []


def test_an_object_for_which_there_is_no_space_is_refused(strange_pacs, store, tmp_path, monkeypatch):
    # Given a disk of which only the reserve is free, and an object that does not stay in memory
    monkeypatch.setattr(object_spool, "MEMORY_BYTES", 1 << 10)
    stream = command_pdu(store_command()) + data_pdu(data_set(size_bytes=4 << 10)) + final(0xB000)
    pacs = strange_pacs(respond_with(stream), accept=acceptance_with())
    monkeypatch.setattr(object_spool, "free_space", lambda *_: FreeSpace(1 << 20, 2 << 20, read_only=False))
    association = open_get_association(pacs.peer, [CT], QUICK)
    identifier = move_identifier("IMAGE", [STUDY], [SERIES], [REQUESTED])
    spool = object_spool.ObjectSpool(tmp_path, 2 << 20)
    # When
    result = association.c_get(
        identifier, Peer("127.0.0.1", store.port, "STORE", "DOSEQR"), QUICK, open_file=spool.open
    )
    association.release()
    # Then
    assert isinstance(result.result.error, NoSpaceError)
    assert "the disk of the data folder is full: 1 MiB free" in str(result.result.error)
    assert reason_of(result.result.error) is Reason.DISK_FULL
    assert store.uids == set()
