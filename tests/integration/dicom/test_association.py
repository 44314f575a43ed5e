"""How opening an association and a request over it can end, each distinguished from the others."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest

from shared.dicom.association.base import Association
from shared.dicom.association.c_find import FindAssociation, open_find_association
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.query.identifiers import study_identifier
from shared.dicom.query.matches import study_match
from shared.dicom.relay.c_get import open_get_association
from shared.node_access.archive import FindSession
from shared.node_access.pool import AssociationPool
from simulator.behaviour import Fault
from tests.support.peers.byte_pacs import respond_with
from tests.support.peers.studies import ct_study
from tests.support.ports import free_port
from tests.support.waiting import wait_until

CT = "1.2.840.10008.5.1.4.1.1.2"
QUICK = Timeouts(connect_s=1.0, response_s=2.0)
#: For peers that respond, at once or as soon as the machine lets them.
PATIENT = Timeouts(connect_s=10.0, response_s=10.0)


def peer_of(pacs, calling: str = "DOSEQR") -> Peer:
    return Peer(pacs.host, pacs.port, pacs.ae_title, calling)


def opened(pacs) -> FindAssociation:
    return open_find_association(peer_of(pacs), QUICK)


@pytest.fixture(params=["for C-FIND", "for C-GET"])
def failure(request) -> Callable[..., PeerError]:
    """Return how an association, of both kinds, does not come to be."""

    def fail(peer: Peer, timeouts: Timeouts = PATIENT) -> PeerError:
        def call() -> Association:
            if request.param == "for C-FIND":
                return open_find_association(peer, timeouts)
            return open_get_association(peer, [CT], timeouts)

        with pytest.raises(PeerError) as caught:
            call()
        return caught.value

    return fail


def found(association: FindSession, cancellation: Cancellation | None = None):
    return association.find(study_identifier(), study_match, cancellation)


# Opening


def test_a_port_without_listener_is_connection_refused(failure):
    # When
    error = failure(Peer("127.0.0.1", free_port(), "PACS", "DOSEQR"))
    # Then
    assert error.outcome is Outcome.CONNECTION_REFUSED
    assert error.peer_away
    assert not error.permanent


def test_a_name_without_address_is_host_not_found(failure):
    # When
    error = failure(Peer("pacs.invalid", 104, "PACS", "DOSEQR"))
    # Then
    assert error.outcome is Outcome.HOST_NOT_FOUND
    assert "pacs.invalid" in error.detail


def test_a_peer_that_accepts_the_connection_in_silence_has_timed_out(failure):
    # Given
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # When
        error = failure(Peer("127.0.0.1", silent.getsockname()[1], "PACS", "DOSEQR"), QUICK)
    # Then
    assert error.outcome is Outcome.TIMED_OUT
    assert error.peer_away


def test_a_peer_that_closes_the_connection_has_aborted(failure):
    # Given
    def close_at_once(server: socket.socket) -> None:
        connection, _ = server.accept()
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=close_at_once, args=(server,))
        thread.start()
        # When
        error = failure(Peer("127.0.0.1", server.getsockname()[1], "PACS", "DOSEQR"))
        thread.join()
    # Then
    assert error.outcome is Outcome.ABORTED
    assert error.associating


@pytest.mark.parametrize(
    ("rejection", "permanent", "congested"),
    [
        ("calling_ae_title_not_recognized", True, False),
        ("called_ae_title_not_recognized", True, False),
        ("temporary_congestion", False, True),
        ("local_limit_exceeded", False, True),
        ("no_reason_given", False, False),
    ],
)
def test_a_rejection_names_its_reason_and_whether_waiting_helps(
    failure, scripted_pacs, rejection, permanent, congested
):
    # Given
    pacs = scripted_pacs(
        faults=[Fault(operation="associate", kind="reject", rejection=rejection, always=True)]
    )
    # When
    error = failure(peer_of(pacs, "STRANGER"))
    # Then
    assert error.outcome is Outcome.REJECTED
    assert (error.permanent, error.congested) == (permanent, congested)
    assert "STRANGER" in error.detail
    assert "reason" in error.detail


def test_a_peer_that_offers_none_of_the_services_is_not_supported(failure, scripted_pacs):
    # Given
    pacs = scripted_pacs(services=["echo"])
    # When
    error = failure(peer_of(pacs))
    # Then
    assert error.outcome is Outcome.NOT_SUPPORTED
    assert error.permanent


def test_an_association_announces_our_own_implementation(strange_pacs):
    # Given
    pacs = strange_pacs(respond_with())
    # When
    open_find_association(pacs.peer, QUICK).release()
    # Then
    request = pacs.received[0][1]
    assert IMPLEMENTATION_CLASS_UID.encode() in request
    assert IMPLEMENTATION_VERSION_NAME.encode() in request
    assert b"PYNETDICOM" not in request


def test_stopping_before_the_association_opens_nothing(scripted_pacs):
    # Given
    pacs = scripted_pacs()
    cancellation = Cancellation()
    cancellation.cancel("cancelled")
    # When
    with pytest.raises(InterruptedWorkError, match="cancelled"):
        open_find_association(peer_of(pacs), QUICK, cancellation=cancellation)
    # Then
    assert pacs.witness.associations == 0


# Asking


def test_a_complete_result_has_no_error(scripted_pacs):
    # Given
    association = opened(scripted_pacs([ct_study() for _ in range(7)]))
    # When
    result = found(association)
    association.release()
    # Then
    assert result.complete
    assert (len(result.matches), result.status_code, result.broken) == (7, 0, 0)


@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize(
    ("fault", "outcome", "status_code"),
    [
        ({"kind": "abort"}, Outcome.ABORTED, None),
        ({"kind": "close"}, Outcome.ABORTED, None),
        ({"kind": "never_answer"}, Outcome.TIMED_OUT, None),
        ({"kind": "garbage"}, Outcome.ABORTED, None),
        ({"kind": "status", "status": 0xA700}, Outcome.STATUS, 0xA700),
        ({"kind": "status", "status": 0xA900}, Outcome.STATUS, 0xA900),
        ({"kind": "status", "status": 0xC001}, Outcome.STATUS, 0xC001),
        ({"kind": "status", "status": 0xB001}, Outcome.STATUS, 0xB001),
        ({"kind": "status", "status": 0x0122}, Outcome.STATUS, 0x0122),
        ({"kind": "bad_data_set"}, Outcome.BAD_RESPONSE, 0),
        ({"kind": "missing_study_uid"}, Outcome.BAD_RESPONSE, 0),
    ],
)
def test_a_find_that_does_not_end_well_is_never_complete(scripted_pacs, fault, outcome, status_code, after):
    # Given
    association = opened(
        scripted_pacs(
            [ct_study() for _ in range(5)],
            faults=[Fault(operation="find", after_responses=after, **fault)],
        )
    )
    # When
    result = found(association)
    association.release()
    # Then
    assert not result.complete
    assert isinstance(result.error, PeerError)
    assert result.error.outcome is outcome
    assert result.status_code == status_code


@pytest.mark.parametrize("kind", ["wrong_character_set", "many_modalities"])
def test_an_odd_but_readable_response_is_complete(scripted_pacs, kind):
    # Given
    association = opened(
        scripted_pacs([ct_study() for _ in range(3)], faults=[Fault(operation="find", kind=kind)])
    )
    # When
    result = found(association)
    association.release()
    # Then
    assert result.complete
    assert len(result.matches) == 3


def test_an_accession_number_of_any_script_is_found(scripted_pacs):
    # Given
    association = opened(scripted_pacs([ct_study(accession_number="胸Ж1"), ct_study(accession_number="AB1")]))
    # When
    result = association.c_find(study_identifier(accession_number="胸Ж1"), study_match)
    association.release()
    # Then
    assert [match.accession_number for match in result.matches] == ["胸Ж1"]


def test_an_association_without_final_response_is_not_used_again(scripted_pacs):
    # Given
    association = opened(scripted_pacs([ct_study()], faults=[Fault(operation="find", kind="never_answer")]))
    # When
    found(association)
    # Then
    assert not association.alive


def test_cancelling_sends_c_cancel_and_ends_within_two_seconds(scripted_pacs):
    # Given
    pacs = scripted_pacs([ct_study() for _ in range(50)], answer_delay_s=0.2)
    association = open_find_association(peer_of(pacs), Timeouts(1.0, 30.0))
    cancellation = Cancellation()
    threading.Timer(0.5, cancellation.cancel, ["cancelled"]).start()
    # When
    began = time.monotonic()
    result = found(association, cancellation)
    took_s = time.monotonic() - began
    association.release()
    # Then
    assert took_s < 3
    assert isinstance(result.error, InterruptedWorkError)
    wait_until(lambda: any(request.status == 0xFE00 for request in pacs.witness.requests))


def test_a_peer_that_ignores_c_cancel_is_aborted(scripted_pacs):
    # Given
    pacs = scripted_pacs([ct_study()], faults=[Fault(operation="find", kind="never_answer")])
    association = open_find_association(peer_of(pacs), Timeouts(1.0, 30.0))
    cancellation = Cancellation()
    cancellation.cancel("cancelled")
    # When
    began = time.monotonic()
    result = found(association, cancellation)
    # Then
    assert time.monotonic() - began < 5
    assert isinstance(result.error, InterruptedWorkError)
    assert not association.alive


# Keeping


def test_the_pool_gives_the_same_association_to_tasks_that_follow_each_other(scripted_pacs):
    # Given
    pacs = scripted_pacs([ct_study()])
    pool = AssociationPool(QUICK)
    # When
    for _ in range(5):
        with pool.find(peer_of(pacs)) as association:
            assert found(association).complete
    pool.close()
    # Then
    assert pacs.witness.associations == 1
    wait_until(lambda: pacs.witness.associations_open == 0)


def test_the_pool_opens_a_new_association_after_a_broken_one(scripted_pacs):
    # Given
    pacs = scripted_pacs([ct_study()], faults=[Fault(operation="find", kind="abort")])
    pool = AssociationPool(QUICK)
    # When
    results = []
    for _ in range(2):
        with pool.find(peer_of(pacs)) as association:
            results.append(found(association).complete)
    pool.close()
    # Then
    assert results == [False, True]


def test_the_pool_does_not_give_one_association_to_two_threads(scripted_pacs):
    # Given
    pacs = scripted_pacs([ct_study()])
    pool = AssociationPool(QUICK)
    # When
    with (
        pool.find(peer_of(pacs)) as first,
        pool.find(peer_of(pacs)) as second,
    ):
        different = first is not second
    pool.close()
    # Then
    assert different
