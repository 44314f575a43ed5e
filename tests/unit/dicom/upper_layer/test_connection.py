"""Waits on a connection: in parts that are all the same, and together no longer than they may be."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from shared.dicom.upper_layer import connection as connection_module
from shared.dicom.upper_layer.connection import Connection
from shared.dicom.upper_layer.pdu import A_RELEASE_RQ, RELEASE_RQ
from shared.dicom.upper_layer.receive_rate import ReceiveRate


@pytest.fixture
def ends(monkeypatch) -> Iterator[tuple[Connection, socket.socket]]:
    """A connection and its peer; a part of a wait takes 50 ms."""
    monkeypatch.setattr(connection_module, "_PART_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    connection = Connection(accepted)
    yield connection, peer
    connection.close()
    peer.close()


def test_a_pdu_in_a_later_part_of_a_wait_is_read(ends):
    # Given
    connection, peer = ends
    sender = threading.Timer(0.12, peer.sendall, [RELEASE_RQ])
    sender.start()
    # When
    kind, _ = connection.pdu(ReceiveRate(5.0))
    # Then
    assert kind == A_RELEASE_RQ
    sender.join()


def test_a_wait_in_parts_ends_when_it_is_over(ends):
    # Given
    connection, _ = ends
    began = time.monotonic()
    # When
    with pytest.raises(TimeoutError):
        connection.pdu(ReceiveRate(0.12))
    # Then
    assert 0.11 <= time.monotonic() - began < 5


def test_all_bytes_are_sent_though_the_peer_takes_them_late(ends):
    # Given a connection that has waited in parts, and a peer that reads later than a part takes
    connection, peer = ends
    peer.sendall(RELEASE_RQ)
    connection.pdu(ReceiveRate(5.0))
    sent, read = bytes(range(256)) * 100_000, bytearray()

    def take() -> None:
        while data := peer.recv(1 << 20):
            read.extend(data)

    reader = threading.Timer(0.2, take)
    reader.start()
    # When
    connection.send(sent, 10.0)
    connection.close()
    reader.join()
    # Then
    assert bytes(read) == sent


def test_a_peer_that_takes_nothing_ends_the_sending_in_time(ends):
    # Given
    connection, peer = ends
    peer.sendall(RELEASE_RQ)
    connection.pdu(ReceiveRate(5.0))
    began = time.monotonic()
    # When
    with pytest.raises(TimeoutError):
        connection.send(bytes(1 << 26), 0.2)
    # Then
    assert 0.15 <= time.monotonic() - began < 5
