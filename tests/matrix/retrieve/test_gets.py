"""Each odd or hostile archive behind a C-GET (gets.py): what is stored, our responses, and the end."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from shared.dicom.association import sub_operations
from shared.dicom.association.c_move import move_identifier
from shared.dicom.errors import PeerError
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.relay import c_get
from shared.dicom.relay.c_get import open_get_association
from shared.dicom.sop_classes import offers
from shared.dicom.upper_layer.associate_requestor import context_id_of
from shared.dicom.upper_layer.dimse_command import STATUS, decode_command, number_of
from shared.dicom.upper_layer.pdu import COMMAND, P_DATA_TF, pdvs_of
from tests.matrix.retrieve.gets import ACCEPTANCE_ROWS, GET_ROWS, TIMED_OUT, AcceptanceRow, GetRow
from tests.matrix.rows import name_of
from tests.support.peers.byte_get_pacs import (
    ALSO,
    CT,
    CT_CONTEXT,
    GET,
    MR,
    REQUESTED,
    SERIES,
    STUDY,
    acceptance_with,
    an_object,
    command_pdu,
    data_pdu,
    data_set,
    final,
    store_command,
)
from tests.support.peers.byte_pacs import IMPLICIT, StrangePacs, respond_with
from tests.support.peers.storage_scp import StoreScp

#: For those that end of themselves, and for those that are silent.
LONG, SHORT = Timeouts(connect_s=2.0, response_s=10.0), Timeouts(connect_s=2.0, response_s=0.3)


@pytest.fixture(scope="module")
def store() -> Iterator[StoreScp]:
    scp = StoreScp().start()
    yield scp
    scp.stop()


def replying(row: GetRow) -> Callable[[socket.socket], None]:
    def reply(connection: socket.socket) -> None:
        connection.sendall(row.stream)
        if row.closes:
            connection.shutdown(socket.SHUT_WR)

    return reply


def responses_to(pacs: StrangePacs) -> tuple[int | None, ...]:
    """Return the statuses of the C-STORE responses that a PACS got."""
    return tuple(
        number_of(decode_command(pdv.fragment), STATUS)
        for kind, body in pacs.received
        if kind == P_DATA_TF
        for pdv in pdvs_of(body)
        if pdv.header & COMMAND and pdv.context_id == CT_CONTEXT
    )


@pytest.mark.parametrize("row", GET_ROWS, ids=map(name_of, GET_ROWS))
def test_what_an_archive_sends_leads_to_its_end(
    strange_pacs: Callable[..., StrangePacs], store: StoreScp, monkeypatch: pytest.MonkeyPatch, row: GetRow
) -> None:
    # Given
    monkeypatch.setattr(c_get, "MAX_OBJECT_BYTES", 2 << 20)
    monkeypatch.setattr(c_get, "LATE_OBJECTS_S", 0.3)
    monkeypatch.setattr(sub_operations, "MAX_PENDING_RESPONSES", 100)
    timeouts, before = SHORT if row.error == TIMED_OUT else LONG, len(store.received)
    pacs = strange_pacs(replying(row), accept=acceptance_with())
    association = open_get_association(pacs.peer, [CT], timeouts)
    identifier = move_identifier("IMAGE", [STUDY], [SERIES], [REQUESTED, ALSO])
    # When
    fetched = association.c_get(identifier, Peer("127.0.0.1", store.port, "STORE", "DOSEQR"), timeouts)
    alive = association.alive
    association.release()
    pacs.close()
    # Then
    result = fetched.result
    in_store = {received.sop_instance_uid for received in store.received[before:]}
    assert fetched.stored == in_store == row.stored
    assert responses_to(pacs) == row.responses
    assert (result.status_code, alive) == (row.status_code, row.alive)
    outcome = result.error.outcome.value if isinstance(result.error, PeerError) else ""
    assert outcome == row.error, result.error
    assert row.words in str(result.error)


@pytest.mark.parametrize(
    ("status_code", "refusal"),
    [
        (0xB000, ""),
        (0xB006, ""),
        (0xB007, ""),
        (0x0107, ""),
        (0x0116, ""),
        (0xA700, "the store node refused an object with status 0xA700: out of resources"),
        (0xA902, "the store node refused an object with status 0xA902: data set does not match SOP class"),
        (0xC123, "the store node refused an object with status 0xC123: cannot understand"),
        (0x0122, "the store node refused an object with status 0x0122: SOP class not supported"),
    ],
)
def test_the_status_of_the_store_counts_and_a_refusal_is_named(
    strange_pacs: Callable[..., StrangePacs], store: StoreScp, status_code: int, refusal: str
) -> None:
    # Given
    store.status_for = lambda _uid: status_code
    stream = an_object() + final(0xB000, x1022=1)
    pacs = strange_pacs(lambda connection: connection.sendall(stream), accept=acceptance_with())
    association = open_get_association(pacs.peer, [CT], LONG)
    # When
    identifier = move_identifier("IMAGE", [STUDY], [SERIES], [REQUESTED])
    fetched = association.c_get(identifier, Peer("127.0.0.1", store.port, "STORE", "DOSEQR"), LONG)
    association.release()
    store.status_for = lambda _uid: 0x0000
    # Then
    assert (fetched.stored, fetched.refusal) == (set() if refusal else {REQUESTED}, refusal)


def test_an_object_of_a_class_without_an_agreed_role_is_taken_all_the_same(
    strange_pacs: Callable[..., StrangePacs], store: StoreScp
) -> None:
    # Given both classes accepted, and a role for one
    contexts = {
        abstract: context_id_of(place)
        for place, (abstract, transfer) in enumerate(offers([CT, MR]), start=1)
        if abstract in (CT, MR) and IMPLICIT.decode() in transfer
    }
    accept = acceptance_with((GET, IMPLICIT), *((number, IMPLICIT) for number in contexts.values()))
    command = command_pdu(store_command(sop_class=MR), contexts[MR])
    stream = command + data_pdu(data_set(sop_class=MR), contexts[MR]) + final()
    pacs = strange_pacs(lambda connection: connection.sendall(stream), accept=accept)
    association = open_get_association(pacs.peer, [CT, MR], LONG)
    # When
    identifier = move_identifier("IMAGE", [STUDY], [SERIES], [REQUESTED])
    fetched = association.c_get(identifier, Peer("127.0.0.1", store.port, "STORE", "DOSEQR"), LONG)
    association.release()
    # Then
    assert (fetched.stored, fetched.result.error) == ({REQUESTED}, None)


@pytest.mark.parametrize("row", ACCEPTANCE_ROWS, ids=map(name_of, ACCEPTANCE_ROWS))
def test_an_association_without_objects_to_come_is_not_used(
    strange_pacs: Callable[..., StrangePacs], row: AcceptanceRow
) -> None:
    # Given
    pacs = strange_pacs(respond_with(b""), accept=row.acceptance())
    # When
    with pytest.raises(PeerError) as caught:
        open_get_association(pacs.peer, [CT], LONG)
    # Then
    assert row.words in str(caught.value)
    assert caught.value.permanent
