"""Senders that are silent, or so slow that they only hold a place: they are let go, others are not."""

import socket
import struct
import time
from contextlib import ExitStack, suppress

import pytest

from services.store.scp import server
from tests.support.peers.storage_scu import EndedError, Scu, pdu
from tests.support.services.store import CT, CT_EXPLICIT, ECHO, made_object, running_store
from tests.support.waiting import wait_until

#: A-ASSOCIATE-RJ: rejected-transient, service-provider (presentation related), local-limit-exceeded.
LOCAL_LIMIT_EXCEEDED = "PDU type 3: 00020302"


@pytest.fixture(autouse=True)
def short_farewell(monkeypatch):
    """A sender that was rejected has little time to close: those of these tests never do."""
    for module in ("association", "negotiation"):
        monkeypatch.setattr(f"services.store.scp.{module}.DRAIN_S", 0.2)


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def until_closed(connection: socket.socket) -> bytes:
    received = b""
    with suppress(ConnectionResetError):
        while more := connection.recv(4096):
            received += more
    return received


def trickle(connection: socket.socket, data: bytes, every_s: float) -> bool:
    """Send byte by byte; return whether all of it could be sent."""
    for at in range(len(data)):
        try:
            connection.sendall(data[at : at + 1])
        except OSError:
            return False
        time.sleep(every_s)
    return True


def test_silent_connections_beyond_the_limit_do_not_keep_others_from_a_rejection(tmp_path):
    # Given one place, taken, and more silent connections than are rejected at once
    with running_store(tmp_path / "data", store_associations=1) as store, store.scu(CT_EXPLICIT, ECHO) as scu:
        assert scu.echo() == 0
        with ExitStack() as silent:
            for _ in range(server.MAX_REJECTING + 6):
                silent.enter_context(connected(store.port))
            # When / Then
            with pytest.raises(EndedError, match=LOCAL_LIMIT_EXCEEDED), store.scu(CT_EXPLICIT):
                pass


def test_a_silent_connection_that_is_to_be_rejected_is_closed_soon(tmp_path, monkeypatch):
    # Given
    monkeypatch.setattr(server, "REJECTING_TIMEOUT_S", 0.2)
    with running_store(tmp_path / "data", store_associations=1) as store, store.scu(CT_EXPLICIT, ECHO) as scu:
        assert scu.echo() == 0
        # When / Then long before an association would be given up
        with connected(store.port) as connection:
            assert until_closed(connection) == b""


def test_a_sender_that_has_been_rejected_and_stays_is_let_go(tmp_path):
    # Given
    with (
        running_store(tmp_path / "data", store_calling_ae_titles=("CT1",)) as store,
        connected(store.port) as connection,
    ):
        # When
        connection.sendall(pdu(1, Scu(0, [CT_EXPLICIT]).request()))
        # Then it is rejected, and the connection ends though it does not close it
        assert until_closed(connection)[0] == 3
        wait_until(lambda: not trickle(connection, b"xxxx", 0.01))


def test_a_request_for_an_association_that_trickles_is_given_up(tmp_path, monkeypatch):
    # Given
    monkeypatch.setattr(server, "ASSOCIATE_TIMEOUT_S", 0.4)
    with running_store(tmp_path / "data") as store, connected(store.port) as connection:
        # When each byte comes soon, but all of them would take long
        request = pdu(1, Scu(0, [CT_EXPLICIT]).request())
        # Then
        assert not trickle(connection, request, 0.1)


def test_a_connection_without_a_request_gives_way_before_an_association_does(tmp_path, monkeypatch):
    # Given two places, taken by an idle association and by a connection that says nothing
    monkeypatch.setattr(server, "UNASKED_GIVES_WAY_S", 0.0)
    with (
        running_store(tmp_path / "data", store_associations=2) as store,
        store.scu(CT_EXPLICIT, ECHO) as idle,
        connected(store.port) as silent,
    ):
        wait_until(lambda: idle.echo() == 0)
        # When
        with store.scu(CT_EXPLICIT) as another:
            # Then
            assert made_object(1).send(another) == 0
            assert until_closed(silent) == b""
            assert idle.echo() == 0


@pytest.mark.parametrize("begun", [False, True], ids=["first PDU", "within a request"])
def test_a_pdu_that_trickles_is_given_up(tmp_path, begun):
    # Given half a second without anything is allowed, and much more between two requests
    dicom_object = made_object(1)
    with running_store(tmp_path / "data", dimse_timeout=0.5) as store, store.scu(CT_EXPLICIT) as scu:
        number = scu.accepted[CT_EXPLICIT][0]
        if begun:
            scu.send_fragments(number, 1, scu.command(CT, dicom_object.sop_instance_uid))
        # When each byte comes soon, but all of them would take an hour
        assert not trickle(scu.socket, b"\x04\0\0\0\x40\0" + bytes(200), 0.05)
        # Then the store is there for others
        assert store.send(dicom_object) == [0]


def test_fragments_of_a_byte_that_trickle_are_given_up(tmp_path):
    # Given
    dicom_object = made_object(1)
    with running_store(tmp_path / "data", dimse_timeout=0.5) as store, store.scu(CT_EXPLICIT) as scu:
        number = scu.accepted[CT_EXPLICIT][0]
        scu.send_fragments(number, 1, scu.command(CT, dicom_object.sop_instance_uid))
        # When whole PDUs come, of one byte each
        fragments = (pdu(4, struct.pack(">LBB", 3, number, 0) + b"x") for _ in range(200))
        # Then
        assert not all(trickle(scu.socket, fragment, 0.005) for fragment in fragments)
        assert store.send(dicom_object) == [0]


def test_a_sender_that_is_only_slow_is_served(tmp_path):
    # Given an object that takes longer than a sender may be silent
    dicom_object = made_object(1, size_bytes=20_000)
    with running_store(tmp_path / "data", dimse_timeout=1.5) as store, store.scu(CT_EXPLICIT) as scu:
        number = scu.accepted[CT_EXPLICIT][0]
        scu.send_fragments(number, 1, scu.command(CT, dicom_object.sop_instance_uid))
        # When
        for start in range(0, len(dicom_object.data_set), 2000):
            end = start + 2000
            scu.send_fragments(
                number, 0, dicom_object.data_set[start:end], last=end >= len(dicom_object.data_set)
            )
            time.sleep(0.2)
        # Then
        assert scu.receive_response()[0] == 0
