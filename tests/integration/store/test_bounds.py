"""A thousand idle senders, gigabytes that are only announced, changed bytes: all of it is bounded."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.peers.storage_scu import EndedError, Scu, pdu
from tests.support.services.store import (
    CT,
    CT_EXPLICIT,
    ECHO,
    DicomObject,
    RunningStore,
    made_object,
    running_store,
)
from tests.support.waiting import wait_until

#: Associations that somebody opens and leaves.
IDLE = 1000
#: A-ASSOCIATE-RJ: rejected-transient, service-provider (presentation related), local-limit-exceeded.
LOCAL_LIMIT_EXCEEDED = "PDU type 3: 00020302"
#: Handles that a store may have opened for itself meanwhile: database connections, a log.
FEW_HANDLES = 10

#: Examples share the store: that it survives them all is what is tested.
bounded = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Iterator[RunningStore]:
    with running_store(tmp_path_factory.mktemp("hostile") / "data") as running:
        yield running


def handles() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def until_closed(connection: socket.socket) -> bytes:
    """Return all that the peer says before it closes."""
    received = b""
    with suppress(ConnectionResetError):
        while more := connection.recv(4096):
            received += more
    return received


def exchanged(store: RunningStore, data: bytes) -> bytes:
    """Send bytes on a connection of their own and return what the store says to them."""
    with socket.create_connection(("127.0.0.1", store.port), timeout=20) as connection:
        with suppress(OSError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        return until_closed(connection)


def pdu_types(received: bytes) -> list[int]:
    """Return the types of the PDUs in some bytes; they have to be whole."""
    types, at = [], 0
    while at < len(received):
        kind, length = struct.unpack_from(">BxL", received, at)
        types.append(kind)
        at += 6 + length
    assert at == len(received)
    return types


def test_a_thousand_idle_associations_are_served_or_rejected_and_leave_nothing(tmp_path):
    # Given
    with running_store(tmp_path / "data") as store, ExitStack() as senders:
        before = handles()
        accepted: list[Scu] = []
        refused: set[str] = set()
        # When
        for _ in range(IDLE):
            try:
                accepted.append(senders.enter_context(store.scu(CT_EXPLICIT, ECHO)))
            except EndedError as error:
                refused.add(str(error).split("answered with ")[1])
        # Then some were served, and the others rejected as too many
        assert 0 < len(accepted) < IDLE
        assert refused == {LOCAL_LIMIT_EXCEEDED}
        # And those that stand still work
        assert accepted[0].echo() == accepted[-1].echo() == 0x0000
        assert made_object().send(accepted[len(accepted) // 2]) == 0x0000
        # When they have gone
        senders.close()
        # Then there is room again, and no handle is lost
        wait_until(lambda: handles() <= before + FEW_HANDLES)
        assert store.send(made_object(2)) == [0]


def test_idle_connections_that_never_request_an_association_do_not_shut_others_out(tmp_path):
    # Given more of them than there may be associations
    with running_store(tmp_path / "data") as store, ExitStack() as connections:
        with store.scu(CT_EXPLICIT, ECHO) as friend:
            for _ in range(IDLE // 4):
                connection = socket.create_connection(("127.0.0.1", store.port), timeout=20)
                connections.enter_context(connection)
            # Then who is there already is served
            assert friend.echo() == 0x0000
        connections.close()
        # And when they have gone, everybody is
        wait_until(lambda: can_associate(store))
        assert store.send(made_object()) == [0]


def can_associate(store: RunningStore) -> bool:
    try:
        with store.scu(CT_EXPLICIT) as scu:
            scu.release()
    except (EndedError, OSError):
        return False
    return True


@pytest.mark.parametrize("kind", [1, 4, 5])
@pytest.mark.parametrize("length", [1 << 30, 0xFFFF_FFFF])
def test_a_pdu_of_a_gigabyte_is_refused_before_it_comes(store, kind, length):
    # Given an association
    with store.scu(CT_EXPLICIT) as scu:
        # When
        scu.socket.sendall(struct.pack(">BBL", kind, 0, length) + b"begin")
        # Then it is aborted by the service provider, and the connection closed
        received = until_closed(scu.socket)
    assert pdu_types(received) == [7]
    assert received[8] == 2
    assert store.send(made_object()) == [0]


def test_an_association_request_of_a_gigabyte_is_refused_before_it_comes(store):
    # When / Then
    assert pdu_types(exchanged(store, struct.pack(">BBL", 1, 0, 1 << 30))) == [7]


def test_a_fragment_of_a_gigabyte_in_a_small_pdu_is_refused(store):
    # Given
    with store.scu(CT_EXPLICIT) as scu:
        number = scu.accepted[CT_EXPLICIT][0]
        # When
        scu.socket.sendall(pdu(4, struct.pack(">LBB", 1 << 30, number, 3) + b"begin"))
        # Then
        assert pdu_types(until_closed(scu.socket)) == [7]


def test_a_command_set_without_end_is_refused(store):
    # Given
    with store.scu(CT_EXPLICIT) as scu:
        number = scu.accepted[CT_EXPLICIT][0]
        # When
        with suppress(OSError):
            for _ in range(1000):
                scu.send_fragments(number, 1, bytes(scu.max_fragment), last=False)
        # Then
        received = until_closed(scu.socket)
    assert pdu_types(received) in ([7], [])  # what it said may be lost where bytes were still under way


def test_an_element_of_a_gigabyte_in_a_command_set_is_refused(store):
    # Given
    with store.scu(CT_EXPLICIT) as scu:
        number = scu.accepted[CT_EXPLICIT][0]
        # When
        scu.send_fragments(number, 1, struct.pack("<HHL", 0, 2, 1 << 30) + b"1.2")
        # Then
        assert pdu_types(until_closed(scu.socket)) == [7]


def test_an_element_of_a_gigabyte_in_a_data_set_is_refused_and_the_association_goes_on(store):
    # Given
    data_set = struct.pack("<HH2sHL", 0x0008, 0x0016, b"OB", 0, 1 << 30) + b"begin"
    with store.scu(CT_EXPLICIT) as scu:
        # When
        status, _ = scu.store(CT_EXPLICIT, CT, "1.2.3", data_set)
        # Then
        assert 0xC000 <= status <= 0xCFFF
        assert made_object().send(scu) == 0x0000


@given(data=st.binary(max_size=200), kind=st.integers(0, 255))
@bounded
def test_whatever_comes_first_gets_whole_pdus_and_an_end(store, data, kind):
    # Given / When
    received = exchanged(store, pdu(kind, data))
    # Then
    assert set(pdu_types(received)) <= {2, 3, 7}


@given(
    position=st.integers(0, 10_000),
    value=st.integers(0, 255),
    cut=st.one_of(st.none(), st.integers(0, 10_000)),
)
@bounded
def test_a_changed_byte_anywhere_harms_only_its_own_association(store, position, value, cut):
    # Given a request for an association and an object, as one stream of bytes
    dicom_object = made_object(77, size_bytes=200)
    stream = bytearray(conversation(dicom_object))
    stream[position % len(stream)] = value
    # When
    received = exchanged(store, bytes(stream[: None if cut is None else cut % len(stream)]))
    # Then what is said are whole PDUs of the standard
    assert set(pdu_types(received)) <= {2, 3, 4, 6, 7}


@given(
    fragments=st.lists(
        st.tuples(st.sampled_from([1, 2, 3, 5]), st.integers(0, 4), st.binary(max_size=60)), max_size=4
    )
)
@bounded
def test_fragments_in_any_order_end_in_a_response_or_an_abort(store, fragments):
    # Given
    with store.scu(CT_EXPLICIT) as scu:
        # When
        with suppress(OSError):
            for context_id, header, fragment in fragments:
                value = struct.pack(">LBB", len(fragment) + 2, context_id, header) + fragment
                scu.socket.sendall(pdu(4, value))
            scu.socket.sendall(pdu(7, bytes(4)))
            scu.socket.shutdown(socket.SHUT_WR)
        # Then
        assert set(pdu_types(until_closed(scu.socket))) <= {4, 7}


def test_after_all_of_that_the_store_still_stores(store):
    # When / Then
    assert store.send(made_object(5)) == [0]
    assert made_object(5).path in store.files()
    assert not list((store.objects_dir / ".incoming").rglob("*.part"))


def conversation(dicom_object: DicomObject) -> bytes:
    """Return all that a sender says to store an object, from its request to its release."""
    scu, received = Scu(0, [CT_EXPLICIT]), Recorded()
    # All that is used of a socket.
    scu.socket = received  # type: ignore[assignment]
    received.sendall(pdu(1, scu.request()))
    scu.send_fragments(1, 1, scu.command(CT, dicom_object.sop_instance_uid))
    scu.send_fragments(1, 0, dicom_object.data_set)
    received.sendall(pdu(5, bytes(4)))
    return bytes(received.data)


class Recorded:
    """Stands for a socket, and keeps what is sent."""

    def __init__(self) -> None:
        self.data = bytearray()

    def sendall(self, data: bytes) -> None:
        self.data += data
