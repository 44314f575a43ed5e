"""Each odd or hostile sender (senders.py): the responses of the store, and what it keeps."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator

import pytest
from sqlalchemy import delete
from structlog.testing import capture_logs

from shared.database.models.store import StoredObject
from shared.dicom.upper_layer.dimse_command import STATUS, decode_command, number_of
from tests.matrix.rows import name_of
from tests.matrix.store.senders import SENDER_ROWS, SenderRow
from tests.support.peers.storage_scu import EndedError, Scu
from tests.support.services.store import CT_EXPLICIT, ECHO, RunningStore, running_store
from tests.support.waiting import wait_until

P_DATA, RELEASE_RP, ABORT = 4, 6, 7


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStore]:
    with capture_logs(), running_store(tmp_path_factory.mktemp("senders") / "data") as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_kept(store: RunningStore) -> Iterator[None]:
    """Forget what a row has left, for the next one."""
    yield
    with store.database.write() as session:
        session.execute(delete(StoredObject))
    shutil.rmtree(store.objects_dir / "1.2.826.0.1.2", ignore_errors=True)


def read_to_the_end(scu: Scu, responses: int) -> tuple[list[int | None], tuple[int, int] | None, bool]:
    """Return statuses, source and reason of an A-ABORT, and whether the release was confirmed."""
    statuses: list[int | None] = []
    abort, released = None, False
    try:
        while abort is None:
            kind, body = scu.read_pdu()
            if kind == P_DATA:
                statuses.append(number_of(decode_command(body[6:]), STATUS))
            elif kind == ABORT:
                abort = (body[2], body[3])
            released |= kind == RELEASE_RP
            if len(statuses) > responses:
                break
    except (EndedError, ConnectionError):
        pass
    return statuses, abort, released


@pytest.mark.parametrize("row", SENDER_ROWS, ids=map(name_of, SENDER_ROWS))
def test_what_a_sender_does_leads_to_its_end(store: RunningStore, row: SenderRow) -> None:
    goes_on = not (row.abort or row.released or row.closes)
    # Given
    with store.scu(CT_EXPLICIT, ECHO) as scu:
        # When
        scu.socket.sendall(row.stream)
        if row.closes:
            scu.socket.shutdown(socket.SHUT_WR)
        if goes_on:
            # A response to this one shows that the association stands, and that all before it were read.
            context_id = scu.accepted[ECHO][0]
            echo = scu.command(ECHO[0], None, field=0x30, data=False)
            scu.send_fragments(context_id, 1, echo)
        statuses, abort, released = read_to_the_end(scu, len(row.responses))
    # Then
    assert statuses == [*row.responses, *([0x0000] if goes_on else [])]
    assert (abort, released) == (row.abort, row.released)
    wait_until(lambda: not list((store.objects_dir / ".incoming").rglob("*.part")))
    assert store.files() == row.kept
    assert {known.path for known in store.rows().values()} == row.kept
