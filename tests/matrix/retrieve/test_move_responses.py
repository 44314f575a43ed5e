"""Each odd response to a C-MOVE (move_responses.py) leads to its result."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from shared.dicom.association.c_move import move_identifier, open_move_association
from shared.dicom.errors import PeerError
from shared.dicom.peer import Timeouts
from tests.matrix.retrieve.move_responses import MOVE_RESPONSE_ROWS, TIMED_OUT, MoveResponseRow
from tests.matrix.rows import name_of
from tests.support.peers.byte_pacs import StrangePacs

#: For those that end of themselves, and for those that are silent.
LONG, SHORT = Timeouts(connect_s=2.0, response_s=10.0), Timeouts(connect_s=2.0, response_s=0.3)


@pytest.mark.parametrize("row", MOVE_RESPONSE_ROWS, ids=map(name_of, MOVE_RESPONSE_ROWS))
def test_a_response_to_a_c_move_leads_to_its_result(
    strange_pacs: Callable[..., StrangePacs], row: MoveResponseRow
) -> None:
    def reply(connection: socket.socket) -> None:
        connection.sendall(row.stream)
        if row.closes:
            connection.shutdown(socket.SHUT_WR)

    # Given
    association = open_move_association(strange_pacs(reply).peer, SHORT if row.error == TIMED_OUT else LONG)
    # When
    result = association.c_move(move_identifier("IMAGE", ["1.2.1"], ["1.2.1.1"], ["1.2.1.1.1"]), "STORE")
    alive = association.alive
    association.release()
    # Then
    outcome = result.error.outcome.value if isinstance(result.error, PeerError) else ""
    assert (result.status_code, result.sub_operations) == (row.status_code, row.counters)
    assert result.failed_sop_instance_uids == row.failed
    assert outcome == row.error, result.error
    assert row.words in str(result.error)
    assert alive == row.alive
