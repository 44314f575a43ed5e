"""Senders that mean no good, or know no better: the store responds, stays up and logs what it refused."""

import contextlib
import socket
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.store.store_object import TOO_MANY_CONFLICTS
from tests.support.peers.storage_scu import VERIFICATION, EndedError, Scu, element, pdu
from tests.support.services.store import CT, CT_EXPLICIT, ECHO, RunningStore, made_object, running_store
from tests.support.waiting import wait_until

#: Types of PDUs (PS3.8 9.3).
ASSOCIATE_RJ, P_DATA, RELEASE_RQ, ABORT = 3, 4, 5, 7
#: Source service-provider.
PROVIDER = 2


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with running_store(tmp_path_factory.mktemp("hostile") / "data", store_associations=40) as running:
        yield running


def is_accepted(store: RunningStore) -> bool:
    try:
        with store.scu(CT_EXPLICIT):
            return True
    except EndedError:
        return False


def works(store: RunningStore, number: int) -> bool:
    return store.send(made_object(number)) == [0]


def abort_of(scu: Scu) -> tuple[int, int]:
    """Return source and reason of the A-ABORT that comes."""
    kind, body = scu.read_pdu()
    assert kind == ABORT
    return body[2], body[3]


ODD_PDUS = {
    "unknown type": (b"\x77\0\0\0\0\x04abcd", 6),
    "1 GiB announced": (b"\x04\0" + struct.pack(">L", 1 << 30), 6),
    "a second request": (pdu(1, bytes(68)), 2),
    "an answer": (pdu(2, bytes(68)), 2),
    "no value": (pdu(P_DATA, b""), 6),
    "a value longer than its PDU": (pdu(P_DATA, struct.pack(">LBB", 5000, 1, 3) + b"x"), 6),
    "a value of no length": (pdu(P_DATA, struct.pack(">LBB", 0, 1, 3)), 6),
    "a context that was not accepted": (pdu(P_DATA, struct.pack(">LBB", 2, 99, 3)), 6),
    "a data set without a command": (pdu(P_DATA, struct.pack(">LBB", 3, 1, 2) + b"x"), 6),
    "a command of nonsense": (pdu(P_DATA, struct.pack(">LBB", 6, 1, 3) + b"abcd"), 6),
    "an endless command": (pdu(P_DATA, struct.pack(">LBB", 20_002, 1, 1) + bytes(20_000)), 6),
}


@pytest.mark.parametrize("name", ODD_PDUS)
def test_an_odd_pdu_gets_an_abort_with_its_reason(store, name):
    # Given
    data, reason = ODD_PDUS[name]
    with store.scu(CT_EXPLICIT) as scu:
        # When
        scu.socket.sendall(data)
        # Then
        assert abort_of(scu) == (PROVIDER, reason)
    assert works(store, 1)


def test_an_announced_gibibyte_in_a_data_set_costs_no_memory_and_is_refused(store):
    # Given an element that says it has 1 GiB
    dicom_object = made_object(2)
    data_set = dicom_object.data_set[:-7812] + struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OW", 0, 1 << 30)
    early = struct.pack("<HH2sHL", 0x0008, 0x0001, b"OB", 0, 1 << 30) + dicom_object.data_set
    # When
    with store.scu(CT_EXPLICIT) as scu:
        after_the_uids = scu.store(CT_EXPLICIT, CT, dicom_object.sop_instance_uid, data_set)[0]
        before_the_uids = scu.store(CT_EXPLICIT, CT, dicom_object.sop_instance_uid, early)[0]
    # Then
    assert (after_the_uids, before_the_uids) == (0xC003, 0xC000)


def test_another_service_gets_the_response_that_it_is_not_served(store):
    # Given a C-FIND over a storage context, with a data set, and a C-STORE over that of verification
    with store.scu(CT_EXPLICIT, ECHO) as scu:
        # When
        number = scu.accepted[CT_EXPLICIT][0]
        scu.send_fragments(number, 1, scu.command(CT, None, field=0x20))
        scu.send_fragments(number, 0, b"x" * 100)
        find = scu.receive_response()
        store_over_echo = scu.store(ECHO, VERIFICATION, "1.2.3", b"x")
        echo = scu.echo()
    # Then
    assert find[0] == 0x0211
    assert store_over_echo[0] == 0x0122
    assert echo == 0x0000


def test_a_response_in_place_of_a_request_is_an_error_of_protocol(store):
    # Given
    with store.scu(CT_EXPLICIT) as scu:
        body = element(0x0100, struct.pack("<H", 0x8001)) + element(0x0110, struct.pack("<H", 1))
        # When
        scu.send_fragments(scu.accepted[CT_EXPLICIT][0], 1, body)
        # Then
        assert abort_of(scu) == (PROVIDER, 6)


def test_an_object_that_is_too_large_is_refused_and_the_association_goes_on(tmp_path):
    # Given a store that takes 2 MiB
    with running_store(tmp_path / "data", store_object_bytes=2 << 20) as store:
        large, fits = made_object(1, size_bytes=5 << 20), made_object(2, size_bytes=1_900_000)
        # When
        with store.scu(CT_EXPLICIT) as scu:
            refused, comment = scu.store(CT_EXPLICIT, CT, large.sop_instance_uid, large.data_set)
            accepted = fits.send(scu)
        # Then
        assert (refused, accepted) == (0xC002, 0x0000)
        assert "2097152 bytes" in comment
        assert store.files() == {fits.path}
        assert not list((store.objects_dir / ".incoming").rglob("*.part"))


def test_a_large_object_with_a_hostile_uid_is_refused(store):
    # Given one that is written as it comes
    dicom_object = made_object(3, size_bytes=3 << 20)
    # When
    with store.scu(CT_EXPLICIT) as scu:
        refused = scu.store(CT_EXPLICIT, CT, "../../../etc/passwd", dicom_object.data_set)[0]
        other = scu.store(CT_EXPLICIT, CT, "1.2.3", dicom_object.data_set)[0]
        accepted = dicom_object.send(scu)
    # Then
    assert (refused, other, accepted) == (0xC000, 0xC001, 0x0000)
    assert not list((store.objects_dir / ".incoming").rglob("*.part"))


def test_many_idle_associations_are_bounded_reported_and_do_no_harm(store):
    # Given one that sends, and 300 that only associate, of which 40 may stand at once
    idle: list[Scu] = []
    rejected: list[str] = []
    with store.scu(CT_EXPLICIT) as sender, contextlib.ExitStack() as stack:
        # When
        for _ in range(300):
            scu = Scu(store.port, [CT_EXPLICIT])
            try:
                idle.append(stack.enter_context(scu))
            except EndedError as error:
                rejected.append(str(error))
        # Then local limit exceeded, transient, by the service provider (presentation)
        assert len(idle) == 39
        assert len(rejected) == 261
        assert set(rejected) == {"answered with PDU type 3: 00020302"}
        assert made_object(5).send(sender) == 0
    # The store notices by and by that they are gone.
    wait_until(lambda: is_accepted(store))
    assert works(store, 6)


def test_an_address_that_holds_all_places_does_not_lock_out_another(tmp_path):
    # Given: every place is taken by one address, which keeps all of them busy
    with running_store(tmp_path / "data", store_associations=6) as store, contextlib.ExitStack() as stack:
        held = [stack.enter_context(store.scu(CT_EXPLICIT)) for _ in range(6)]
        assert [made_object(number).send(scu) for number, scu in enumerate(held)] == [0] * 6
        # When
        with Scu(store.port, [CT_EXPLICIT], source="127.0.0.2") as other:
            stored = made_object(7).send(other)
        # Then
        assert stored == 0
        assert held[0].read_pdu()[0] == ABORT
        assert made_object(8).send(held[5]) == 0


def accepted(store: RunningStore) -> bool:
    """Return whether another association is accepted; one that just got its response may still be in hand."""
    try:
        with store.scu(CT_EXPLICIT) as scu:
            return made_object(3).send(scu) == 0
    except EndedError:
        return False


def test_an_association_that_is_idle_long_gives_way(tmp_path, monkeypatch):
    # Given two places, both taken
    monkeypatch.setattr("services.store.scp.server.GIVES_WAY_S", 0.0)
    with (
        running_store(tmp_path / "data", store_associations=2) as store,
        store.scu(CT_EXPLICIT) as first,
        store.scu(CT_EXPLICIT) as second,
    ):
        assert made_object(1).send(first) == made_object(2).send(second) == 0
        # When
        wait_until(lambda: accepted(store))
        # Then the one that was idle longest has ended
        assert first.read_pdu()[0] == ABORT
        assert made_object(4).send(second) == 0


def test_an_association_without_a_request_is_ended(tmp_path):
    # Given
    with running_store(tmp_path / "data", store_idle_timeout=0.3) as store, store.scu(CT_EXPLICIT) as scu:
        # When / Then
        assert scu.read_pdu()[0] == ABORT
        assert works(store, 1)


def test_only_named_senders_are_admitted(tmp_path):
    # Given
    with running_store(tmp_path / "data", store_calling_ae_titles=("CT1", "CT2")) as store:
        # When / Then rejected permanent, by the service user, calling AE title not recognized
        with store.scu(CT_EXPLICIT, calling_ae_title="CT2") as scu:
            assert made_object(1).send(scu) == 0
        with (
            pytest.raises(EndedError, match="PDU type 3: 00010103"),
            store.scu(CT_EXPLICIT, calling_ae_title="CT3"),
        ):
            pass


def test_a_release_within_an_object_leaves_nothing(store):
    # Given
    dicom_object = made_object(7)
    with store.scu(CT_EXPLICIT) as scu:
        number = scu.accepted[CT_EXPLICIT][0]
        scu.send_fragments(number, 1, scu.command(CT, dicom_object.sop_instance_uid))
        scu.send_fragments(number, 0, dicom_object.data_set[:4000], last=False)
        # When
        scu.release()
    # Then
    assert dicom_object.path not in store.files()


BOUNDED = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@BOUNDED
@given(data=st.binary(max_size=400))
def test_any_bytes_in_place_of_a_request_end_only_their_connection(store, data):
    # Given
    with socket.create_connection(("127.0.0.1", store.port)) as connection:
        # When
        connection.sendall(data)
    # Then
    assert works(store, 8)


@BOUNDED
@given(place=st.integers(0, 600), damage=st.binary(min_size=1, max_size=6))
def test_a_damaged_data_set_is_kept_or_refused_and_the_association_goes_on(store, place, damage):
    # Given
    dicom_object = made_object(9, size_bytes=100)
    data_set = bytearray(dicom_object.data_set)
    data_set[place : place + len(damage)] = damage
    # When
    with store.scu(CT_EXPLICIT) as scu:
        status = scu.store(CT_EXPLICIT, CT, dicom_object.sop_instance_uid, bytes(data_set))[0]
        # Then
        assert status in {0x0000, 0xC000, 0xC001, 0xC003, TOO_MANY_CONFLICTS}
        assert made_object(8).send(scu) == 0


@BOUNDED
@given(place=st.integers(0, 150), damage=st.binary(min_size=1, max_size=6))
def test_a_damaged_message_gets_a_response_or_an_abort(store, place, damage):
    # Given a request, from its first PDU on
    dicom_object = made_object(10, size_bytes=10)
    with store.scu(CT_EXPLICIT, timeout_s=5.0) as scu:
        number = scu.accepted[CT_EXPLICIT][0]
        command = scu.command(CT, dicom_object.sop_instance_uid)
        request = bytearray(pdu(P_DATA, struct.pack(">LBB", len(command) + 2, number, 3) + command))
        request[place : place + len(damage)] = damage
        # When
        scu.socket.sendall(request)
        scu.socket.sendall(
            pdu(
                P_DATA, struct.pack(">LBB", len(dicom_object.data_set) + 2, number, 2) + dicom_object.data_set
            )
        )
        scu.socket.shutdown(socket.SHUT_WR)
        # Then
        with contextlib.suppress(EndedError, ConnectionError):
            assert scu.read_pdu()[0] in (P_DATA, ABORT)
    assert works(store, 8)
