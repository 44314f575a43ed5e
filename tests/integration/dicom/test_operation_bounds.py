"""Peers that show signs of life for ever: every operation ends, in a bounded time."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from services.echo.ping import ping
from shared.dicom.association import c_find, sub_operations
from shared.dicom.association.c_find import open_find_association
from shared.dicom.association.c_move import move_identifier, open_move_association
from shared.dicom.association.sub_operations import MoveResult
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.query.identifiers import study_identifier
from shared.dicom.query.matches import FindResult, StudyMatch, study_match
from shared.dicom.relay.c_get import open_get_association
from shared.dicom.upper_layer.dimse_command import (
    C_FIND_RSP,
    C_MOVE_RSP,
    COMMAND_FIELD,
    COMPLETED_SUB_OPERATIONS,
    MESSAGE_ID_BEING_RESPONDED_TO,
    REMAINING_SUB_OPERATIONS,
    STATUS,
    encode_command,
)
from shared.dicom.upper_layer.pdu import p_data
from tests.support.peers.byte_pacs import acceptance

#: A C-FIND without progress ends after 10 of these, a C-MOVE without counters after 30.
QUICK = Timeouts(connect_s=1.0, response_s=0.2)
PENDING = 0xFF00
#: No test lets its peer go on for longer.
LONGEST_S = 30.0


def endlessly(message: Callable[[int], bytes], pause_s: float) -> Callable[[socket.socket], None]:
    """Return a peer that sends one message after the other."""

    def reply(connection: socket.socket) -> None:
        end = time.monotonic() + LONGEST_S
        for number in itertools.takewhile(lambda _: time.monotonic() < end, itertools.count()):
            connection.sendall(message(number))
            time.sleep(pause_s)

    return reply


def pending_match(study_instance_uid: str, description: bytes = b"") -> bytes:
    uid = study_instance_uid.encode()
    encoded = struct.pack("<HHL", 0x0008, 0x1030, len(description)) + description
    encoded += struct.pack("<HHL", 0x0020, 0x000D, len(uid)) + uid
    elements = {COMMAND_FIELD: C_FIND_RSP, MESSAGE_ID_BEING_RESPONDED_TO: 1, STATUS: PENDING}
    command = encode_command(elements, has_data_set=True)
    return p_data(1, command, is_command=True, maximum_length=0) + p_data(
        1, encoded, is_command=False, maximum_length=0
    )


def pending_move(**counters: int) -> bytes:
    numbers = {"completed": COMPLETED_SUB_OPERATIONS, "remaining": REMAINING_SUB_OPERATIONS}
    elements: dict[int, int | str] = {
        COMMAND_FIELD: C_MOVE_RSP,
        MESSAGE_ID_BEING_RESPONDED_TO: 1,
        STATUS: PENDING,
        **{numbers[name]: value for name, value in counters.items()},
    }
    return p_data(1, encode_command(elements, has_data_set=False), is_command=True, maximum_length=0)


def found(pacs) -> FindResult[StudyMatch]:
    association = open_find_association(pacs.peer, QUICK)
    result = association.c_find(study_identifier(), study_match)
    association.release()
    return result


def pending_without_match(data_set: bytes | None) -> bytes:
    """Return a pending response that holds no match, as some peers end a C-FIND."""
    elements = {COMMAND_FIELD: C_FIND_RSP, MESSAGE_ID_BEING_RESPONDED_TO: 1, STATUS: PENDING}
    command = encode_command(elements, has_data_set=data_set is not None)
    stream = p_data(1, command, is_command=True, maximum_length=0)
    return stream if data_set is None else stream + p_data(1, data_set, is_command=False, maximum_length=0)


def moved(pacs) -> MoveResult:
    association = open_move_association(pacs.peer, QUICK)
    result = association.c_move(move_identifier("SERIES", ["1.2"], ["1.2.3"]), "STORE")
    association.release()
    return result


def outcome(error: Exception | None) -> Outcome:
    assert isinstance(error, PeerError)
    return error.outcome


def test_a_find_whose_peer_repeats_one_match_for_ever_ends(strange_pacs):
    # Given
    pacs = strange_pacs(endlessly(lambda _: pending_match("1.2.3"), 0.05))
    # When
    began = time.monotonic()
    result = found(pacs)
    # Then
    assert outcome(result.error) is Outcome.TIMED_OUT
    assert "pending responses" in str(result.error)
    assert time.monotonic() - began < 10


def test_a_find_with_one_match_now_and_then_goes_on_as_long_as_they_differ(strange_pacs):
    # Given: longer than a peer without progress is given
    def slowly(connection: socket.socket) -> None:
        for number in range(30):
            connection.sendall(pending_match(f"1.2.{number}"))
            time.sleep(0.1)
        elements = {COMMAND_FIELD: C_FIND_RSP, MESSAGE_ID_BEING_RESPONDED_TO: 1, STATUS: 0}
        final = encode_command(elements, has_data_set=False)
        connection.sendall(p_data(1, final, is_command=True, maximum_length=0))

    # When
    result = found(strange_pacs(slowly))
    # Then
    assert result.complete
    assert len(result.matches) == 30


@pytest.mark.parametrize("pause_s", [0.05, None], ids=["for ever", "and then silence"])
@pytest.mark.parametrize(
    "data_set", [None, b"", struct.pack("<HHLH", 0, 0x0900, 2, 0)], ids=["none", "empty", "a status"]
)
def test_a_find_whose_last_response_is_pending_ends_soon(strange_pacs, monkeypatch, data_set, pause_s):
    # Given: a peer that is given a minute for each response
    monkeypatch.setattr(c_find, "AFTER_NO_MATCH_S", 0.3)
    patient = Timeouts(connect_s=1.0, response_s=60.0)
    last = pending_without_match(data_set)

    def reply(connection: socket.socket) -> None:
        connection.sendall(pending_match("1.2.3") + last)
        if pause_s is not None:
            endlessly(lambda _: last, pause_s)(connection)

    association = open_find_association(strange_pacs(reply).peer, patient)
    # When
    began = time.monotonic()
    result = association.c_find(study_identifier(), study_match)
    # Then
    assert time.monotonic() - began < 10
    assert outcome(result.error) is Outcome.TIMED_OUT
    assert [match.study_instance_uid for match in result.matches] == ["1.2.3"]
    assert "could not be read: " in str(result.error)


def test_a_find_that_floods_with_one_match_ends(strange_pacs, monkeypatch):
    # Given
    monkeypatch.setattr(c_find, "MAX_REPEATS", 500)
    pacs = strange_pacs(endlessly(lambda _: pending_match("1.2.3"), 0))
    # When
    result = found(pacs)
    # Then
    assert outcome(result.error) is Outcome.BAD_RESPONSE
    assert "500 times" in str(result.error)


def test_the_bytes_of_the_responses_to_one_find_are_bounded(strange_pacs, monkeypatch):
    # Given
    monkeypatch.setattr(c_find, "MAX_RESPONSE_BYTES", 1 << 20)
    pacs = strange_pacs(endlessly(lambda n: pending_match(f"1.2.{n}", b"X" * 60_000), 0))
    # When
    result = found(pacs)
    # Then
    assert outcome(result.error) is Outcome.BAD_RESPONSE
    assert "1 MiB" in str(result.error)
    assert len(result.matches) < 20


@pytest.mark.parametrize(
    "message",
    [
        lambda _: pending_move(),
        lambda _: pending_move(completed=1, remaining=5),
        lambda number: pending_move(completed=number % 2, remaining=number % 7),
    ],
    ids=["without counters", "counters that stand still", "counters that jump"],
)
def test_a_move_whose_peer_never_ends_is_ended(strange_pacs, message):
    # Given
    pacs = strange_pacs(endlessly(message, 0.05))
    # When
    began = time.monotonic()
    result = moved(pacs)
    # Then
    assert outcome(result.error) is Outcome.TIMED_OUT
    assert time.monotonic() - began < 15


def test_a_move_that_floods_with_pending_responses_is_ended(strange_pacs, monkeypatch):
    # Given
    monkeypatch.setattr(sub_operations, "MAX_PENDING_RESPONSES", 2000)
    burst = b"".join(pending_move(completed=number, remaining=0) for number in range(1000))
    pacs = strange_pacs(endlessly(lambda _: burst, 0))
    # When
    result = moved(pacs)
    # Then
    assert outcome(result.error) is Outcome.BAD_RESPONSE


@pytest.fixture
def dripping() -> Iterator[Callable[[bytes], int]]:
    """Return a server that sends some bytes one by one, and its port."""
    servers = []

    def serve(data: bytes) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def drip() -> None:
            try:
                connection, _ = server.accept()
                with connection:
                    for byte in data:
                        connection.sendall(bytes([byte]))
                        time.sleep(0.3)
            except OSError:
                return

        threading.Thread(target=drip, daemon=True).start()
        return int(server.getsockname()[1])

    yield serve
    for server in servers:
        server.close()


def opening_of(kind: str, peer: Peer) -> str:
    """Return how the attempt to open an association ends."""
    if kind == "echo":
        return ping(peer, QUICK).outcome
    try:
        if kind == "find":
            open_find_association(peer, QUICK)
        else:
            open_get_association(peer, ["1.2.840.10008.5.1.4.1.1.2"], QUICK)
    except PeerError as error:
        return error.outcome.value
    return Outcome.RESPONDS.value


@pytest.mark.parametrize("kind", ["echo", "find", "get"])
def test_an_acceptance_that_drips_is_given_up_in_time(dripping, strange_pacs, kind):
    # Given: some 150 bytes, one each 0.3 s
    peer = strange_pacs(lambda _: None).peer
    slow = Peer(peer.host, dripping(acceptance()), peer.ae_title, peer.calling_ae_title)
    # When
    began = time.monotonic()
    ended = opening_of(kind, slow)
    # Then
    assert ended in (Outcome.TIMED_OUT.value, Outcome.ABORTED.value)
    assert time.monotonic() - began < 6
