"""The association for C-FIND against peers that are slow, odd or hostile, byte by byte."""

from __future__ import annotations

import socket
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom.dsutils import encode

from shared.dicom.association.c_find import FindAssociation, open_find_association
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.peer import Timeouts
from shared.dicom.query.identifiers import series_identifier, study_identifier
from shared.dicom.query.matches import FindResult, StudyMatch, study_match
from shared.dicom.upper_layer.dimse_command import (
    C_FIND_RSP,
    COMMAND_FIELD,
    MESSAGE_ID_BEING_RESPONDED_TO,
    STATUS,
    encode_command,
)
from shared.dicom.upper_layer.pdu import (
    A_RELEASE_RQ,
    ABORT,
    RELEASE_RP,
    RELEASE_RQ,
    p_data,
)
from tests.support.peers.byte_pacs import EXPLICIT, IMPLICIT, StrangePacs, acceptance, respond_with
from tests.support.waiting import wait_until

QUICK = Timeouts(connect_s=2.0, response_s=1.0)
PENDING, SUCCESS = 0xFF00, 0x0000


def command(status: int, *, has_data_set: bool) -> bytes:
    elements = {COMMAND_FIELD: C_FIND_RSP, MESSAGE_ID_BEING_RESPONDED_TO: 1, STATUS: status}
    return encode_command(elements, has_data_set=has_data_set)


def response(status: int, match: Dataset | None = None, *, implicit: bool = True) -> bytes:
    """Return a C-FIND-RSP as PDUs."""
    stream = p_data(1, command(status, has_data_set=match is not None), is_command=True, maximum_length=0)
    if match is not None:
        encoded = encode(match, implicit, True)
        assert encoded is not None
        stream += p_data(1, encoded, is_command=False, maximum_length=0)
    return stream


def study(number: int) -> Dataset:
    ds = Dataset()
    ds.StudyInstanceUID = f"1.2.{number}"
    return ds


def opened(pacs: StrangePacs) -> FindAssociation:
    return open_find_association(pacs.peer, QUICK)


def found(pacs: StrangePacs, identifier: Dataset | None = None) -> FindResult[StudyMatch]:
    association = opened(pacs)
    result = association.c_find(identifier or study_identifier(), study_match)
    association.release()
    return result


def outcome(result: FindResult[StudyMatch]) -> Outcome:
    assert isinstance(result.error, PeerError)
    return result.error.outcome


# What is odd, and understood


@pytest.mark.parametrize(("transfer_syntax", "implicit"), [(IMPLICIT, True), (EXPLICIT, False)])
def test_responses_are_read_in_the_accepted_transfer_syntax(strange_pacs, transfer_syntax, implicit):
    # Given
    reply = respond_with(
        *(response(PENDING, study(number), implicit=implicit) for number in range(3)), response(SUCCESS)
    )
    # When
    result = found(strange_pacs(reply, accept=acceptance(transfer_syntax)))
    # Then
    assert result.complete
    assert [match.study_instance_uid for match in result.matches] == ["1.2.0", "1.2.1", "1.2.2"]


def test_responses_that_come_byte_by_byte_are_assembled(strange_pacs):
    # Given
    def dribble(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in response(PENDING, study(1)) + response(SUCCESS):
            connection.sendall(bytes([byte]))

    # When
    result = found(strange_pacs(dribble))
    # Then
    assert result.complete
    assert len(result.matches) == 1


def test_a_request_is_cut_into_what_the_peer_takes(strange_pacs):
    # Given
    pacs = strange_pacs(respond_with(response(SUCCESS)), accept=acceptance(maximum_length=64))
    # When
    result = found(pacs, series_identifier([f"1.2.{number}" for number in range(100)]))
    # Then
    assert result.complete
    assert max(len(body) for _, body in pacs.received[1:]) == 64


def test_a_final_status_before_the_end_of_the_association_counts(strange_pacs):
    # When
    result = found(strange_pacs(respond_with(response(PENDING, study(1)), response(SUCCESS), ABORT)))
    # Then
    assert result.complete
    assert len(result.matches) == 1


# What ends badly


@pytest.mark.parametrize(
    "reply",
    [
        respond_with(response(PENDING, study(1)), ABORT),
        respond_with(response(PENDING, study(1)), RELEASE_RQ),
        respond_with(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        respond_with(b"\x04\0\x40\0\0\0" + bytes(1000)),
        respond_with(b"\x04\0\0\0\0\x06\0\0\0\xff\x01\x03"),
        respond_with(p_data(1, b"\x01\0\0\0\xff\xff\xff\xff", is_command=True, maximum_length=0)),
        respond_with(p_data(1, b"data set", is_command=False, maximum_length=0)),
        respond_with(
            p_data(
                1,
                encode_command({COMMAND_FIELD: 0x8020}, has_data_set=False),
                is_command=True,
                maximum_length=0,
            )
        ),
        respond_with(acceptance()),
    ],
    ids=[
        "abort",
        "release",
        "another protocol",
        "long PDU",
        "long PDV",
        "long element",
        "no command",
        "no status",
        "out of turn",
    ],
)
def test_a_peer_that_ends_or_speaks_no_dicom_has_aborted(strange_pacs, reply):
    # Given
    pacs = strange_pacs(reply)
    association = opened(pacs)
    # When
    began = time.monotonic()
    result = association.c_find(study_identifier(), study_match)
    # Then
    assert time.monotonic() - began < QUICK.response_s
    assert outcome(result) is Outcome.ABORTED
    assert result.status_code is None
    assert not association.alive


def test_a_peer_that_never_completes_a_response_has_timed_out(strange_pacs):
    # Given
    def dribble(connection: socket.socket) -> None:
        for byte in response(PENDING, study(1)):
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    # When
    result = found(strange_pacs(dribble))
    # Then
    assert outcome(result) is Outcome.TIMED_OUT


@pytest.mark.parametrize(
    "responses",
    [
        [response(PENDING), response(SUCCESS)],
        [response(PENDING, Dataset()), response(SUCCESS)],
        [
            p_data(1, command(PENDING, has_data_set=True), is_command=True, maximum_length=0),
            p_data(1, b"\x20\x00\x0d\x00\xff\0\0\x001.2.3", is_command=False, maximum_length=0),
            response(SUCCESS),
        ],
    ],
    ids=["no match", "empty match", "cut off"],
)
def test_a_match_that_cannot_be_read_makes_the_result_incomplete(strange_pacs, responses):
    # When
    result = found(strange_pacs(respond_with(response(PENDING, study(1)), *responses)))
    # Then
    assert outcome(result) is Outcome.BAD_RESPONSE
    assert (len(result.matches), result.broken, result.status_code) == (1, 1, SUCCESS)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(garbage=st.binary(min_size=1, max_size=200), good=st.integers(0, 2))
def test_random_bytes_instead_of_a_response_are_never_complete(strange_pacs, garbage, good):
    # Given
    def reply(connection: socket.socket) -> None:
        connection.sendall(b"".join(response(PENDING, study(number)) for number in range(good)) + garbage)
        connection.shutdown(socket.SHUT_WR)

    # When
    result = found(strange_pacs(reply))
    # Then
    assert not result.complete
    assert len(result.matches) <= good


# Between requests


@pytest.mark.parametrize("ending", [RELEASE_RQ, ABORT, b"", b"nonsense"])
def test_an_idle_association_that_the_peer_ended_is_not_alive(strange_pacs, ending):
    # Given
    def reply(connection: socket.socket) -> None:
        connection.sendall(response(SUCCESS))
        time.sleep(0.05)
        if ending:
            connection.sendall(ending)
        else:
            connection.shutdown(socket.SHUT_WR)

    association = opened(strange_pacs(reply))
    association.c_find(study_identifier(), study_match)
    # When / Then
    wait_until(lambda: not association.alive)
    association.release()
    association.abort()
    assert not association.alive


def test_both_may_request_the_release_at_the_same_time(strange_pacs):
    # Given
    pacs = strange_pacs(respond_with(response(SUCCESS), RELEASE_RQ))
    association = opened(pacs)
    association.c_find(study_identifier(), study_match)
    # When
    began = time.monotonic()
    association.release()
    # Then
    assert time.monotonic() - began < QUICK.connect_s
    wait_until(lambda: A_RELEASE_RQ in [kind for kind, _ in pacs.received])


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        bytes.fromhex("15030100020228"),
        RELEASE_RP,
        bytes.fromhex("040000000006 000000020103"),
    ],
    ids=["HTTP", "a TLS alert", "A-RELEASE-RP", "P-DATA-TF"],
)
def test_a_port_that_speaks_no_dicom_is_called_so(strange_pacs, bytes_sent):
    # Given
    pacs = strange_pacs(lambda _connection: None, accept=bytes_sent)
    # When
    with pytest.raises(PeerError) as failure:
        open_find_association(pacs.peer, QUICK)
    # Then
    assert failure.value.outcome is Outcome.ABORTED
    assert "which was ended here" in str(failure.value)
    assert "is this its DICOM port" in str(failure.value)


def test_a_rejection_that_the_standard_does_not_name_is_shown_in_numbers(strange_pacs):
    # Given
    pacs = strange_pacs(lambda _connection: None, accept=bytes.fromhex("030000000004 00030909"))
    # When
    with pytest.raises(PeerError) as failure:
        open_find_association(pacs.peer, QUICK)
    # Then
    assert failure.value.outcome is Outcome.REJECTED
    assert "rejected with result 3; source: unknown (9); reason: unknown (9)" in str(failure.value)
