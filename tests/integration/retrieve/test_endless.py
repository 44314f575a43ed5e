"""A retrieve ends even if its PACS keeps showing signs of life."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from shared.dicom.upper_layer.dimse_command import (
    C_MOVE_RSP,
    COMMAND_FIELD,
    COMPLETED_SUB_OPERATIONS,
    MESSAGE_ID_BEING_RESPONDED_TO,
    REMAINING_SUB_OPERATIONS,
    STATUS,
    encode_command,
)
from shared.dicom.upper_layer.pdu import p_data
from tests.support.jobs.retrieves import Retrieves
from tests.support.peers.studies import objects, series, study

#: Seconds; a C-MOVE without counters ends after 30 of them, one whose counters stand still after 10.
DIMSE_TIMEOUT_S = 0.1
#: No test lets its peer go on for longer.
LONGEST_S = 60.0


def pending(**counters: int) -> bytes:
    numbers = {"completed": COMPLETED_SUB_OPERATIONS, "remaining": REMAINING_SUB_OPERATIONS}
    elements: dict[int, int | str] = {
        COMMAND_FIELD: C_MOVE_RSP,
        MESSAGE_ID_BEING_RESPONDED_TO: 1,
        STATUS: 0xFF00,
        **{numbers[name]: value for name, value in counters.items()},
    }
    return p_data(1, encode_command(elements, has_data_set=False), is_command=True, maximum_length=0)


def endlessly(message: Callable[[int], bytes]) -> Callable[[socket.socket], None]:
    def reply(connection: socket.socket) -> None:
        end, number = time.monotonic() + LONGEST_S, 0
        while time.monotonic() < end:
            connection.sendall(message(number))
            number += 1
            time.sleep(0.03)

    return reply


@pytest.mark.parametrize(
    "message",
    [
        lambda _: pending(),
        lambda _: pending(completed=1, remaining=5),
        lambda number: pending(completed=number % 2, remaining=number % 7),
    ],
    ids=["without counters", "counters that stand still", "counters that jump"],
)
def test_a_retrieve_from_a_pacs_that_never_ends_its_moves_ends(retrieves: Retrieves, strange_pacs, message):
    # Given
    kept_study = study(series("rdsr_ct", 2))
    system, pacs = retrieves.system, strange_pacs(endlessly(message))
    system.settings = system.settings.model_copy(update={"dimse_timeout": DIMSE_TIMEOUT_S})
    retrieves.remote = system.add_remote("pacs", "127.0.0.1", pacs.port, "STRANGE")
    retrieves.store = system.add_own_store()
    system.start("store")
    retrieves.start()
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["failure"]) == ("failed", "timed_out")
    assert {entry["sop_instance_uid"] for entry in retrieve["missing"]} == objects(kept_study)
