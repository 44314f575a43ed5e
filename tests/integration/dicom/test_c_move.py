"""The association for C-MOVE against peers that are odd or hostile, byte by byte."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import pytest
from pydicom.dataset import Dataset
from pynetdicom.dsutils import encode

from shared.dicom.association.c_move import move_identifier, open_move_association
from shared.dicom.association.sub_operations import MoveResult, SubOperations
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.peer import Timeouts
from shared.dicom.upper_layer.dimse_command import (
    C_CANCEL_RQ,
    C_FIND_RSP,
    C_MOVE_RQ,
    C_MOVE_RSP,
    COMMAND_FIELD,
    COMPLETED_SUB_OPERATIONS,
    FAILED_SUB_OPERATIONS,
    MESSAGE_ID_BEING_RESPONDED_TO,
    MOVE_DESTINATION,
    REMAINING_SUB_OPERATIONS,
    STATUS,
    WARNING_SUB_OPERATIONS,
    decode_command,
    encode_command,
    number_of,
)
from shared.dicom.upper_layer.pdu import ABORT, P_DATA_TF, RELEASE_RQ, PduSplitter, p_data, pdvs_of
from tests.support.peers.byte_pacs import EXPLICIT, IMPLICIT, StrangePacs, acceptance, respond_with

QUICK = Timeouts(connect_s=2.0, response_s=1.0)
PENDING, SUCCESS, WARNING, REFUSED, CANCELLED = 0xFF00, 0x0000, 0xB000, 0xA702, 0xFE00
IDENTIFIER = move_identifier("IMAGE", ["1.2.1"], ["1.2.2"], ["1.2.3", "1.2.4"])


def response(status: int, data_set: bytes | None = None, field: int = C_MOVE_RSP, **counters: int) -> bytes:
    """Return a C-MOVE-RSP as PDUs."""
    numbers = {
        "remaining": REMAINING_SUB_OPERATIONS,
        "completed": COMPLETED_SUB_OPERATIONS,
        "failed": FAILED_SUB_OPERATIONS,
        "warning": WARNING_SUB_OPERATIONS,
    }
    elements: dict[int, int | str] = {
        COMMAND_FIELD: field,
        MESSAGE_ID_BEING_RESPONDED_TO: 1,
        STATUS: status,
        **{numbers[name]: value for name, value in counters.items()},
    }
    command = encode_command(elements, has_data_set=data_set is not None)
    stream = p_data(1, command, is_command=True, maximum_length=0)
    if data_set is not None:
        stream += p_data(1, data_set, is_command=False, maximum_length=0)
    return stream


def failed_list(uids: Sequence[str], *, implicit: bool = True) -> bytes:
    ds = Dataset()
    ds.FailedSOPInstanceUIDList = list(uids)
    encoded = encode(ds, implicit, True)
    assert encoded is not None
    return encoded


def moved(
    pacs: StrangePacs, destination: str = "STORE", cancellation: Cancellation | None = None
) -> tuple[MoveResult, list[SubOperations]]:
    association = open_move_association(pacs.peer, QUICK)
    progress: list[SubOperations] = []
    result = association.c_move(IDENTIFIER, destination, progress.append, cancellation)
    association.release()
    return result, progress


def commands_to(pacs: StrangePacs) -> list[dict[int, bytes]]:
    pdvs = [pdv for kind, body in pacs.received if kind == P_DATA_TF for pdv in pdvs_of(body)]
    return [decode_command(bytes(pdv.fragment)) for pdv in pdvs if pdv.header & 1]


def test_counters_are_reported_as_they_come_and_the_last_are_kept(strange_pacs):
    # Given: a peer that leaves a counter out in between
    pending = (
        response(PENDING, remaining=2, completed=0, failed=0, warning=0),
        response(PENDING, completed=1),
    )
    # When
    result, progress = moved(
        strange_pacs(respond_with(*pending, response(SUCCESS, completed=1, failed=0, warning=1)))
    )
    # Then
    assert progress == [SubOperations(2, 0, 0, 0), SubOperations(completed=1)]
    assert result.sub_operations == SubOperations(None, 1, 0, 1)
    assert (result.status_code, result.error) == (SUCCESS, None)


@pytest.mark.parametrize(("title", "sent"), [("STORE", b"STORE "), ("STORES", b"STORES")])
def test_the_destination_is_sent_with_an_even_length(strange_pacs, title, sent):
    # Given
    pacs = strange_pacs(respond_with(response(SUCCESS)))
    # When
    moved(pacs, title)
    # Then
    (command,) = commands_to(pacs)
    assert number_of(command, COMMAND_FIELD) == C_MOVE_RQ
    assert command[MOVE_DESTINATION] == sent


@pytest.mark.parametrize(("transfer_syntax", "implicit"), [(IMPLICIT, True), (EXPLICIT, False)])
def test_the_failed_list_is_read_in_the_transfer_syntax_that_was_agreed(
    strange_pacs, transfer_syntax, implicit
):
    # Given
    final = response(WARNING, failed_list(["1.2.3", "1.2.4", "1.2.3"], implicit=implicit), failed=2)
    # When
    result, _ = moved(strange_pacs(respond_with(final), accept=acceptance(transfer_syntax)))
    # Then
    assert result.failed_sop_instance_uids == ("1.2.3", "1.2.4")
    assert (result.status_code, result.error) == (WARNING, None)


@pytest.mark.parametrize(
    ("data_set", "uids"),
    [
        (b"\x08\x00\x58\x00\xff\xff\x00\x001.2.3", ()),
        (b"\x08\x00\x58\x00\x10\x00\x00\x001.2.3\\no uid\\1.2", ("1.2.3", "1.2")),
        (b"\x08\x00\x58\x00\x08\x00\x00\x00\xff\xfe\xfd\xfc\\1.2", ("1.2",)),
        (b"no data set", ()),
        (b"", ()),
    ],
    ids=["cut off", "words between", "bytes of no text", "no data set", "empty"],
)
def test_a_failed_list_is_believed_as_far_as_it_can_be_read(strange_pacs, data_set, uids):
    # When
    result, _ = moved(strange_pacs(respond_with(response(REFUSED, data_set, failed=2))))
    # Then
    assert result.failed_sop_instance_uids == uids
    assert result.status_code == REFUSED
    assert isinstance(result.error, PeerError)


@pytest.mark.parametrize(
    "reply",
    [
        respond_with(response(PENDING, remaining=1), ABORT),
        respond_with(response(PENDING, remaining=1), RELEASE_RQ),
        respond_with(response(SUCCESS, field=C_FIND_RSP)),
        respond_with(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    ],
    ids=["abort", "release", "answer to another operation", "another protocol"],
)
def test_a_peer_that_ends_or_speaks_no_dicom_gives_no_final_status(strange_pacs, reply):
    # When
    result, _ = moved(strange_pacs(reply))
    # Then
    assert result.status_code is None
    assert isinstance(result.error, PeerError)
    assert result.error.outcome is Outcome.ABORTED


def test_a_peer_that_falls_silent_has_timed_out(strange_pacs):
    # When
    result, progress = moved(strange_pacs(respond_with(response(PENDING, remaining=1))))
    # Then
    assert len(progress) == 1
    assert isinstance(result.error, PeerError)
    assert result.error.outcome is Outcome.TIMED_OUT


def test_a_stop_sends_c_cancel_and_awaits_the_final_response(strange_pacs):
    # Given
    cancellation, came = Cancellation(), []

    def reply(connection: socket.socket) -> None:
        connection.sendall(response(PENDING, remaining=2))
        cancellation.cancel("stopping")
        connection.settimeout(10)
        came.append(connection.recv(65536))
        connection.sendall(response(CANCELLED, remaining=2))

    pacs = strange_pacs(reply)
    # When
    result, _ = moved(pacs, cancellation=cancellation)
    # Then
    ((_, body),) = PduSplitter().feed(came[0])
    (pdv,) = pdvs_of(body)
    cancel = decode_command(bytes(pdv.fragment))
    assert number_of(cancel, COMMAND_FIELD) == C_CANCEL_RQ
    assert number_of(cancel, MESSAGE_ID_BEING_RESPONDED_TO) == 1
    assert result.status_code == CANCELLED
    assert isinstance(result.error, InterruptedWorkError)
