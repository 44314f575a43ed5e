"""Real associations: what is sent is what lies on disk, and what is wrong is refused without harm."""

import hashlib
import threading
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

from tests.support.peers.storage_scu import EndedError
from tests.support.services.store import (
    BUNDLED,
    CT,
    CT_EXPLICIT,
    ECHO,
    EXPLICIT,
    MR,
    SAMPLES,
    DicomObject,
    RunningStore,
    data_set_in,
    made_object,
    objects_in,
    running_store,
)
from tests.support.waiting import wait_until

PRIVATE_CLASS, PRIVATE_SYNTAX = "1.3.6.1.4.1.99999.1.1", "1.3.6.1.4.1.99999.2.1"


@pytest.fixture
def store(tmp_path):
    with running_store(tmp_path / "data") as running:
        yield running


def assert_all_arrived(store: RunningStore, objects: list[DicomObject]) -> None:
    rows = store.rows()
    firsts: dict[str, DicomObject] = {}
    for sent in objects:
        firsts.setdefault(sent.sop_instance_uid, sent)
        if sent.data_set != firsts[sent.sop_instance_uid].data_set:
            # The same object in another encoding
            sha256 = hashlib.sha256(sent.data_set).hexdigest()
            aside = store.objects_dir / ".conflicts" / sent.sop_instance_uid / f"{sha256}.dcm"
            assert data_set_in(aside) == sent.data_set, sent.name
    for first in firsts.values():
        file = store.objects_dir / first.path
        assert data_set_in(file) == first.data_set, first.name
        row = rows[first.sop_instance_uid]
        assert row.path == first.path
        assert row.sha256 == hashlib.sha256(first.data_set).hexdigest()
        assert row.size_bytes == file.stat().st_size
        assert row.transfer_syntax_uid == first.transfer_syntax_uid
        assert row.calling_ae_title == "TEST"


def test_every_bundled_file_arrives_byte_by_byte(store):
    # Given objects in many transfer syntaxes
    objects = [sent for sent in objects_in(BUNDLED) if not sent.name.endswith("_truncated.dcm")]
    assert len({sent.transfer_syntax_uid for sent in objects}) > 8
    # When
    statuses = store.send(*objects)
    # Then
    assert set(statuses) == {0x0000}
    assert_all_arrived(store, objects)


def test_an_object_that_is_cut_off_is_refused_and_not_recorded(store):
    # Given
    cut = [sent for sent in objects_in(BUNDLED) if sent.name.endswith("_truncated.dcm")]
    large = made_object(2, size_bytes=3 << 20)
    cut.append(replace(large, data_set=large.data_set[:-1]))
    # When
    with store.scu(*(sent.context for sent in cut)) as scu:
        responses = [
            scu.store(sent.context, sent.identity.sop_class_uid, sent.sop_instance_uid, sent.data_set)
            for sent in cut
        ]
    # Then
    assert [status for status, _ in responses] == [0xC003] * 3
    assert "is cut off: it ends within an element (7FE0,0010)" in responses[-1][1]
    assert store.rows() == {}
    assert not list(store.objects_dir.rglob("*.dcm"))
    # And the whole object takes its place when it is sent again
    assert store.send(large) == [0x0000]


@pytest.mark.samples
@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample files are not here")
def test_every_sample_arrives_byte_by_byte(store):
    # Given
    objects = objects_in(SAMPLES)
    # When
    statuses = store.send(*objects)
    # Then
    assert set(statuses) == {0x0000}
    assert_all_arrived(store, objects)


def test_the_file_is_a_dicom_file_with_its_own_meta_information(store):
    # Given
    dicom_object = made_object()
    # When
    store.send(dicom_object)
    # Then
    ds = pydicom.dcmread(store.objects_dir / dicom_object.path)
    pydicom.dataset.validate_file_meta(ds.file_meta)
    assert ds.file_meta.TransferSyntaxUID == EXPLICIT
    assert ds.file_meta.MediaStorageSOPInstanceUID == dicom_object.sop_instance_uid
    assert ds.file_meta.SourceApplicationEntityTitle == "TEST"


def test_private_sop_class_and_transfer_syntax_are_taken(store):
    # Given
    dicom_object = made_object(sop_class=PRIVATE_CLASS)
    context = (PRIVATE_CLASS, (PRIVATE_SYNTAX,))
    # When
    with store.scu(context) as scu:
        status, _comment = scu.store(
            context, PRIVATE_CLASS, dicom_object.sop_instance_uid, dicom_object.data_set
        )
    # Then
    assert status == 0x0000
    assert store.row(dicom_object.sop_instance_uid).transfer_syntax_uid == PRIVATE_SYNTAX
    assert data_set_in(store.objects_dir / dicom_object.path) == dicom_object.data_set


def test_services_that_are_no_storage_are_not_accepted(store):
    # Given C-FIND, C-MOVE, and storage of what belongs to no study
    others = [
        ("1.2.840.10008.5.1.4.1.2.2.1", (EXPLICIT,)),
        ("1.2.840.10008.5.1.4.1.2.2.2", (EXPLICIT,)),
        ("1.2.840.10008.5.1.4.1.1.200.1", (EXPLICIT,)),
    ]
    # When
    with store.scu(CT_EXPLICIT, *others) as scu:
        accepted = set(scu.accepted)
    # Then
    assert accepted == {CT_EXPLICIT}


def test_verification_gets_a_response(store):
    # When
    with store.scu(ECHO) as scu:
        status = scu.echo()
    # Then
    assert status == 0x0000


def test_128_contexts_are_accepted_in_the_syntax_first_proposed(store):
    # Given
    contexts = [
        (f"1.2.840.10008.5.1.4.1.1.{n}", ("1.2.840.10008.1.2.4.70", EXPLICIT)) for n in range(900, 1028)
    ]
    # When
    with store.scu(*contexts) as scu:
        accepted = dict(scu.accepted)
    # Then
    assert set(accepted) == set(contexts)
    assert {syntax for _number, syntax in accepted.values()} == {"1.2.840.10008.1.2.4.70"}


def test_the_same_object_twice_is_one_copy_and_two_receipts(store):
    # Given
    dicom_object = made_object()
    # When
    statuses = store.send(dicom_object, dicom_object)
    # Then
    row = store.row(dicom_object.sop_instance_uid)
    assert statuses == [0, 0]
    assert store.files() == {dicom_object.path}
    assert (row.received_count, row.conflicts) == (2, 0)
    assert row.last_received_at > row.received_at
    wait_until(lambda: store.announced.uids.count(dicom_object.sop_instance_uid) >= 1)


def test_other_bytes_with_a_known_uid_are_kept_aside(store):
    # Given
    first, second = made_object(1), made_object(2, sop="1.2.826.0.1.4.1")
    # When
    statuses = store.send(first, second, second)
    # Then
    row = store.row(first.sop_instance_uid)
    aside = store.objects_dir / ".conflicts" / second.sop_instance_uid
    assert statuses == [0, 0, 0]
    assert data_set_in(store.objects_dir / first.path) == first.data_set
    assert [data_set_in(file) for file in aside.iterdir()] == [second.data_set]
    assert (row.conflicts, row.received_count) == (2, 3)
    assert row.sha256 == hashlib.sha256(first.data_set).hexdigest()


def test_a_known_uid_in_another_series_is_kept_aside(store):
    # Given
    first, second = made_object(1), made_object(1, series="1.2.826.0.1.3.2")
    # When
    statuses = store.send(first, second, second)
    # Then
    aside = store.objects_dir / ".conflicts" / second.sop_instance_uid
    assert statuses == [0, 0, 0]
    assert store.files() == {first.path}
    assert [data_set_in(file) for file in aside.iterdir()] == [second.data_set]
    assert store.row(first.sop_instance_uid).path == first.path
    assert store.row(first.sop_instance_uid).conflicts == 2


HOSTILE_UIDS = [
    "../x",
    "../../../../etc/passwd",
    "",
    "1.2.3/4",
    "1" * 65,
    "9." * 600 + "9",
    "1..2",
    "a",
    "1.2\n3",
]


@pytest.mark.parametrize("where", ["command", "study", "series", "sop"])
def test_a_hostile_uid_is_refused_and_the_association_goes_on(store, where):
    # Given
    bad, kept = made_object(2), []
    with store.scu(CT_EXPLICIT) as scu:
        for number, uid in enumerate(HOSTILE_UIDS, 3):
            # When
            command_uid, data_set = _with_hostile_uid(bad, where, uid)
            refused, comment = scu.store(CT_EXPLICIT, CT, command_uid, data_set)
            kept.append(made_object(number))
            # Then
            assert 0xC000 <= refused <= 0xCFFF, uid
            assert comment
            assert kept[-1].send(scu) == 0x0000
    assert store.files() == {good.path for good in kept}
    assert set(store.rows()) == {good.sop_instance_uid for good in kept}


def _with_hostile_uid(bad: DicomObject, where: str, uid: str) -> tuple[str, bytes]:
    """Return the UID of the command and the data set of an object in which one UID is another."""
    if where == "command":
        return uid, bad.data_set
    old = {"study": b"1.2.826.0.1.2", "series": b"1.2.826.0.1.3.1", "sop": b"1.2.826.0.1.4.2"}[where]
    old += b"\0" * (len(old) % 2)
    new = uid.encode() + b"\0" * (len(uid) % 2)
    head, _, tail = bad.data_set.partition(len(old).to_bytes(2, "little") + old)
    return bad.sop_instance_uid, head + len(new).to_bytes(2, "little") + new + tail


def test_a_data_set_that_is_not_the_announced_object_is_refused(store):
    # Given
    dicom_object = made_object()
    mr = (MR, (EXPLICIT,))
    # When
    with store.scu(CT_EXPLICIT, mr) as scu:
        other_instance = scu.store(CT_EXPLICIT, CT, "1.2.3", dicom_object.data_set)
        other_class = scu.store(mr, MR, dicom_object.sop_instance_uid, dicom_object.data_set)
    # Then
    assert other_instance[0] == other_class[0] == 0xC001
    assert "sop_instance_uid" in other_instance[1]
    assert "sop_class_uid" in other_class[1]
    assert store.files() == set()


@pytest.mark.parametrize("data_set", [b"", b"\0", b"DICM", b"\xff" * 4000, bytes(100000), b"<html>" * 100])
def test_a_broken_data_set_is_refused_and_the_association_goes_on(store, data_set):
    # Given
    good = made_object()
    # When
    with store.scu(CT_EXPLICIT) as scu:
        refused, _comment = scu.store(CT_EXPLICIT, CT, "1.2.3", data_set)
        accepted = good.send(scu)
    # Then
    assert 0xC000 <= refused <= 0xCFFF
    assert accepted == 0x0000
    assert store.files() == {good.path}


def test_a_request_without_uids_gets_a_response(store):
    # Given
    dicom_object = made_object()
    # When
    with store.scu(CT_EXPLICIT) as scu:
        without_instance, _ = scu.store(CT_EXPLICIT, CT, None, dicom_object.data_set)
        accepted = dicom_object.send(scu)
    # Then
    assert 0xC000 <= without_instance <= 0xCFFF
    assert accepted == 0x0000


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x01\0\xff\xff\xff\xff", b"\x01\0\0\0\0\x04abcd", b"\x04\0\0\0\0\x00"],
)
def test_garbage_on_the_wire_ends_only_its_own_connection(store, garbage):
    # Given a connection that speaks no DICOM, and one that does
    good = made_object()
    with store.scu(CT_EXPLICIT) as scu:
        import socket

        with socket.create_connection(("127.0.0.1", store.port)) as other:
            # When
            other.sendall(garbage)
            # Then
            assert good.send(scu) == 0x0000


def test_an_association_that_breaks_off_within_an_object_leaves_nothing(store):
    # Given
    dicom_object = made_object()
    # When
    with store.scu(CT_EXPLICIT) as scu:
        number = scu.accepted[CT_EXPLICIT][0]
        scu.send_fragments(number, 1, scu.command(CT, dicom_object.sop_instance_uid))
        scu.send_fragments(number, 0, dicom_object.data_set[:4000], last=False)
    # Then
    assert store.send(made_object(2)) == [0]
    assert store.files() == {made_object(2).path}


def test_eight_associations_at_once_lose_nothing_and_announce_each_once(store):
    # Given
    batches = [[made_object(1000 * batch + n) for n in range(50)] for batch in range(1, 9)]
    statuses: list[int] = []
    # When
    threads = [
        threading.Thread(target=lambda batch=batch: statuses.extend(store.send(*batch))) for batch in batches
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Then
    expected = {sent.sop_instance_uid: sent for batch in batches for sent in batch}
    assert statuses == [0] * 400
    assert store.files() == {sent.path for sent in expected.values()}
    assert set(store.rows()) == set(expected)
    wait_until(lambda: len(store.announced.uids) >= 400)
    assert sorted(store.announced.uids) == sorted(expected)
    assert max(len(event.objects) for event in store.announced.events) <= 200
    wait_until(lambda: all(row.announced_at for row in store.rows().values()))


def test_two_associations_with_the_same_uid_do_not_race(store):
    # Given eight senders, four with the one and four with the other bytes of each of 20 UIDs
    firsts = [made_object(n) for n in range(1, 21)]
    seconds = [made_object(n + 100, sop=f"1.2.826.0.1.4.{n}") for n in range(1, 21)]
    statuses: list[int] = []
    gate = threading.Barrier(8)

    def send(objects):
        gate.wait()
        statuses.extend(store.send(*objects))

    # When
    threads = [threading.Thread(target=send, args=(objects,)) for objects in [firsts, seconds] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Then
    assert statuses == [0] * 160
    assert store.files() == {first.path for first in firsts}
    for first, second in zip(firsts, seconds, strict=True):
        row = store.row(first.sop_instance_uid)
        kept = data_set_in(store.objects_dir / first.path)
        aside = list((store.objects_dir / ".conflicts" / first.sop_instance_uid).iterdir())
        assert {kept, *map(data_set_in, aside)} == {first.data_set, second.data_set}
        assert hashlib.sha256(kept).hexdigest() == row.sha256
        assert (row.received_count, row.conflicts) == (8, 4)


def test_no_half_written_file_is_left_where_they_are_written(store):
    # When
    store.send(*[made_object(n) for n in range(20)])
    # Then
    assert not list((store.objects_dir / ".incoming").rglob("*.part"))


def test_the_folder_is_made_only_of_validated_names(store):
    # When
    store.send(made_object())
    # Then
    names = {path.name for path in Path(store.objects_dir).iterdir()}
    assert names == {".incoming", "1.2.826.0.1.2"}


def test_a_connection_after_the_stop_is_refused(tmp_path):
    # Given
    with running_store(tmp_path / "data") as store:
        port = store.port
        store.send(made_object())
    # When / Then
    with pytest.raises((ConnectionError, EndedError)), store.scu(CT_EXPLICIT):
        pytest.fail(f"something still listens on {port}")
