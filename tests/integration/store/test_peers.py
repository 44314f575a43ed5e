"""Senders of other makes: DCMTK's storescu and dcmsend, and pynetdicom."""

import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pynetdicom.ae import ApplicationEntity
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import build_context

from services.store.scp.server import StoreScp, listening_socket
from shared.dicom.part10 import file_head
from shared.dicom.sop_classes import is_storage
from tests.support.peers.pynetdicom_guards import ResponseQueue
from tests.support.peers.storage_scu import EndedError, Scu
from tests.support.services.store import (
    BUNDLED,
    CT,
    CT_EXPLICIT,
    DicomObject,
    data_set_in,
    made_object,
    running_store,
)

FILES = ["CT_small.dcm", "JPEG2000.dcm", "SC_rgb_rle.dcm", "image_dfl.dcm"]


@pytest.fixture
def store(tmp_path):
    with running_store(tmp_path / "data") as running:
        yield running


def written(folder: Path, objects: list[DicomObject]) -> Path:
    folder.mkdir()
    for sent in objects:
        head = file_head(
            sop_class_uid=sent.identity.sop_class_uid,
            sop_instance_uid=sent.sop_instance_uid,
            transfer_syntax_uid=sent.transfer_syntax_uid,
        )
        (folder / f"{sent.sop_instance_uid}.dcm").write_bytes(head + sent.data_set)
    return folder


@pytest.mark.skipif(not shutil.which("storescu"), reason="DCMTK is not installed")
def test_storescu_sends_a_folder(store, tmp_path):
    # Given
    objects = [made_object(n) for n in range(1, 21)]
    folder = written(tmp_path / "out", objects)
    # When
    command = ["storescu", "-aec", "DOSEQR", "+sd", "127.0.0.1", str(store.port), str(folder)]
    subprocess.run(command, check=True, timeout=60)
    # Then
    assert set(store.rows()) == {sent.sop_instance_uid for sent in objects}
    assert all(data_set_in(store.objects_dir / sent.path) == sent.data_set for sent in objects)


@pytest.mark.skipif(not shutil.which("dcmsend"), reason="DCMTK is not installed")
def test_dcmsend_sends_compressed_and_deflated_files_as_they_are(store):
    # Given files in four transfer syntaxes
    files = [BUNDLED / name for name in FILES]
    # When
    for file in files:
        command = ["dcmsend", "--decompress-never", "127.0.0.1", str(store.port), str(file)]
        subprocess.run(command, check=True, timeout=60)
    # Then DCMTK writes anew what it has read (group lengths, undefined lengths); values and pixels stay
    for file in files:
        theirs = pydicom.dcmread(file)
        ours = pydicom.dcmread(store.objects_dir / store.row(theirs.SOPInstanceUID).path)
        assert ours.file_meta.TransferSyntaxUID == theirs.file_meta.TransferSyntaxUID
        assert ours.get("PixelData") == theirs.get("PixelData")
        assert ours.StudyInstanceUID == theirs.StudyInstanceUID


def test_pynetdicom_sends_with_its_own_negotiation(store):
    # Given a sender that also offers to be an SCP, as for C-GET
    ds = pydicom.dcmread(BUNDLED / "CT_small.dcm")
    ae = ApplicationEntity("PYNET")
    contexts = [build_context(CT, ds.file_meta.TransferSyntaxUID)]
    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid, role.scu_role, role.scp_role = CT, True, True
    assoc = ae.associate("127.0.0.1", store.port, contexts=contexts, ext_neg=[role])
    assoc.dimse.msg_queue = ResponseQueue(lambda: assoc.is_established)
    # When
    status = assoc.send_c_store(ds)
    assoc.release()
    # Then
    assert status.Status == 0x0000
    assert store.row(ds.SOPInstanceUID).calling_ae_title == "PYNET"


def scp(**options: Any) -> StoreScp:
    port, shared = options.pop("port", 0), options.pop("share_port", False)
    return StoreScp(
        options.pop("take"),
        ae_title="DOSEQR",
        listener=listening_socket("127.0.0.1", port, share_port=shared),
        stall_timeout_s=5.0,
        **options,
    )


def test_a_calling_ae_title_that_is_not_admitted_is_rejected():
    # Given
    def take(incoming):
        raise AssertionError("nothing is to arrive")

    server = scp(take=take, admit=lambda calling_ae_title: calling_ae_title == "FRIEND")
    server.start()
    # When / Then
    try:
        with Scu(server.port, [CT_EXPLICIT], calling_ae_title="FRIEND") as friend:
            assert friend.accepted
        # A-ASSOCIATE-RJ (type 3): permanent, by the service user, calling AE title not recognised
        with pytest.raises(EndedError, match="PDU type 3: 00010103"), Scu(server.port, [CT_EXPLICIT]):
            pass
    finally:
        server.stop(5.0)


def test_a_defect_in_our_code_gets_a_response_and_is_survived():
    # Given
    def take(incoming):
        raise RuntimeError("a defect")

    server = scp(take=take)
    server.start()
    # When
    try:
        with Scu(server.port, [CT_EXPLICIT]) as scu:
            made = made_object()
            statuses = [made.send(scu), made.send(scu)]
    finally:
        server.stop(5.0)
    # Then
    assert statuses == [0xC0FF, 0xC0FF]


def test_two_listeners_can_share_a_port_when_configured_to():
    # Given
    def take(incoming):
        raise AssertionError("nothing is to arrive")

    first = scp(take=take, share_port=True)
    first.start()
    second = scp(take=take, share_port=True, port=first.port)
    # When
    second.start()
    # Then
    first.stop(5.0)
    with Scu(second.port, [CT_EXPLICIT]) as scu:
        assert scu.accepted
    second.stop(5.0)


def test_a_response_under_way_is_sent_before_a_stop_ends_the_association():
    # Given an object that is being kept while the stop begins
    entered, go_on = threading.Event(), threading.Event()

    def take(incoming):
        from services.store.store_object import StoreResponse

        entered.set()
        assert go_on.wait(30)
        return StoreResponse(0x0000)

    server = scp(take=take)
    server.start()
    with Scu(server.port, [CT_EXPLICIT]) as scu:
        made = made_object()
        scu.begin_store(CT_EXPLICIT, CT, made.sop_instance_uid, made.data_set)
        assert entered.wait(30)
        # When
        stopping = threading.Thread(target=server.stop, args=(30.0,))
        stopping.start()
        go_on.set()
        # Then
        assert scu.receive_response()[0] == 0x0000
        stopping.join()


@pytest.mark.parametrize(
    ("sop_class_uid", "expected"),
    [
        ("1.2.840.10008.5.1.4.1.1.88.67", True),
        ("1.2.840.10008.5.1.4.1.1.5", True),  # retired
        ("1.2.840.10008.5.1.1.29", True),  # retired hardcopy
        ("1.2.840.10008.5.1.4.34.1", True),
        ("1.2.840.10008.5.1.4.34.7", True),
        ("1.2.840.10008.5.1.4.1.1.9999", True),  # to come
        ("1.3.12.2.1107.5.9.1", True),  # private
        ("1.2.840.10008.5.1.4.1.1.201.1", False),  # belongs to no study
        ("1.2.840.10008.5.1.4.1.2.2.1", False),
        ("1.2.840.10008.1.1", False),
        ("1.2.840.10008.1.20.1", False),
    ],
)
def test_storage_classes_are_distinguished_from_others(sop_class_uid, expected):
    # When / Then
    assert is_storage(sop_class_uid) is expected
