"""The association of a storage commitment against peers that do what they should not."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from shared.dicom.storage_commitment.association import CommitmentAssociation, open_commitment_association
from shared.dicom.storage_commitment.messages import Reference
from shared.dicom.upper_layer.associate_acceptor import associate_ac, decode_rq, negotiate
from shared.dicom.upper_layer.associate_requestor import Implementation
from shared.dicom.upper_layer.dimse_command import encode_command
from shared.dicom.upper_layer.pdu import ABORT, HEADER_BYTES, RELEASE_RQ, p_data
from tests.support.peers.commitment_scp import report_data_set
from tests.unit.dicom.storage_commitment.test_messages import encoded

QUICK = Timeouts(2.0, 0.6)
CT = "1.2.840.10008.5.1.4.1.1.2"
REFERENCES = [Reference(CT, "1.2.3")]
N_ACTION_RSP, N_EVENT_REPORT_RQ = 0x8130, 0x0100

Script = Callable[[socket.socket], None]


def command(field: int, *, status: int = 0, responds_to: int = 1, data_set: bytes | None = None) -> bytes:
    """Return a message of the peer; a request has the message id 9."""
    elements: dict[int, int | str] = {0x0002: STORAGE_COMMITMENT, 0x0100: field}
    elements[0x1000] = STORAGE_COMMITMENT_INSTANCE
    if field & 0x8000:
        elements |= {0x0120: responds_to, 0x0900: status}
    else:
        elements |= {0x0110: 9, 0x1002: 1}
    encoded_command = encode_command(elements, has_data_set=data_set is not None)
    pdus = p_data(1, encoded_command, is_command=True, maximum_length=0)
    return pdus + (p_data(1, data_set, is_command=False, maximum_length=0) if data_set is not None else b"")


def report(transaction_uid: str) -> bytes:
    data_set = encoded(report_data_set(transaction_uid, {"1.2.3": CT}, {}), implicit=True)
    return command(N_EVENT_REPORT_RQ, data_set=data_set)


@contextmanager
def peer(script: Script) -> Iterator[CommitmentAssociation]:
    """Give an association with a peer that follows a script once it has the request."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_serve, args=(server, script), daemon=True)
        thread.start()
        port = int(server.getsockname()[1])
        association = open_commitment_association(Peer("127.0.0.1", port, "ODD", "DOSEQR"), QUICK)
        try:
            yield association
        finally:
            association.abort()
            thread.join(10)


def _serve(server: socket.socket, script: Script) -> None:
    connection, _ = server.accept()
    with connection:
        kind, length = struct.unpack(">BxL", _exactly(connection, HEADER_BYTES))
        assert kind == 1
        request = decode_rq(_exactly(connection, length))
        accepted, results = negotiate(request, lambda _uid: True)
        response = associate_ac(request, accepted, results, 65536, Implementation("1.2.3", "ODD"))
        connection.sendall(response)
        connection.recv(65536)
        script(connection)
        while connection.recv(65536):
            pass


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += connection.recv(size - len(data))
    return data


def test_a_report_before_the_response_is_kept():
    # Given
    def at_once(connection: socket.socket) -> None:
        connection.sendall(report("1.9") + command(N_ACTION_RSP))

    with peer(at_once) as association:
        # When
        association.request("1.9", REFERENCES)
        reported = association.report(1.0)
    # Then
    assert reported is not None
    assert (reported.transaction_uid, sorted(reported.committed)) == ("1.9", ["1.2.3"])


@pytest.mark.parametrize(
    ("sent", "outcome"),
    [
        (b"", Outcome.TIMED_OUT),
        (ABORT, Outcome.ABORTED),
        (RELEASE_RQ, Outcome.ABORTED),
        (b"nonsense", Outcome.ABORTED),
        (command(0x8020), Outcome.ABORTED),
        (command(N_ACTION_RSP, responds_to=7), Outcome.ABORTED),
        (command(N_ACTION_RSP, status=0x0110), Outcome.STATUS),
    ],
    ids=["silence", "abort", "release", "no DICOM", "another answer", "of another request", "refusal"],
)
def test_what_is_no_acceptance_is_an_error(sent, outcome):
    # Given
    with peer(lambda connection: connection.sendall(sent)) as association:
        # When
        with pytest.raises(PeerError) as failure:
            association.request("1.9", REFERENCES)
        # Then
        assert failure.value.outcome is outcome
        assert association.alive == (outcome is Outcome.STATUS)


def test_no_report_in_time_is_none_and_the_association_stands():
    # Given
    with peer(lambda connection: connection.sendall(command(N_ACTION_RSP))) as association:
        association.request("1.9", REFERENCES)
        # When / Then
        assert association.report(0.2) is None
        assert association.alive


@pytest.mark.parametrize("sent", [ABORT, RELEASE_RQ, command(0x0001)], ids=["abort", "release", "C-STORE"])
def test_after_the_end_no_report_comes_here(sent):
    # Given
    with peer(lambda connection: connection.sendall(command(N_ACTION_RSP) + sent)) as association:
        association.request("1.9", REFERENCES)
        # When / Then
        with pytest.raises(PeerError):
            association.report(1.0)
        assert not association.alive


def test_reports_that_are_none_are_refused_and_the_next_one_is_taken():
    # Given
    def several(connection: socket.socket) -> None:
        odd = command(N_EVENT_REPORT_RQ, data_set=b"nonsense")
        connection.sendall(command(N_ACTION_RSP) + odd + report("1.8") + report("1.9"))

    with peer(several) as association:
        association.request("1.9", REFERENCES)
        # When
        reports = [association.report(1.0) for _ in range(3)]
    # Then
    assert [report.transaction_uid if report else None for report in reports] == [None, None, "1.9"]


def test_a_wait_for_a_report_can_be_ended():
    # Given
    cancellation = Cancellation()
    with peer(lambda connection: connection.sendall(command(N_ACTION_RSP))) as association:
        association.request("1.9", REFERENCES, cancellation)
        # When
        threading.Timer(0.2, cancellation.cancel, ["cancelled"]).start()
        # Then
        with pytest.raises(InterruptedWorkError):
            association.report(60.0)
