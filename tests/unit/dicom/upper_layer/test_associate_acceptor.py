"""A-ASSOCIATE as an acceptor: pynetdicom and we understand each other, and nonsense is refused."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import build_context

from shared.dicom.sop_classes import STORAGE_COMMITMENT, STUDY_ROOT_FIND, VERIFICATION
from shared.dicom.upper_layer.associate_acceptor import (
    APPLICATION_CONTEXT_NOT_SUPPORTED,
    LOCAL_LIMIT_EXCEEDED,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    AssociateRequest,
    associate_ac,
    associate_rj,
    decode_rq,
    negotiate,
)
from shared.dicom.upper_layer.associate_requestor import (
    TRANSFER_SYNTAXES,
    Implementation,
    Proposal,
    associate_rq,
)
from shared.dicom.upper_layer.errors import ProtocolError
from shared.dicom.upper_layer.pdu import (
    APPLICATION_CONTEXT,
    HEADER_BYTES,
    INVALID_PARAMETER,
    SERVICE_PROVIDER,
    a_abort,
)
from shared.dicom.upper_layer.roles import Roles

OWN = Implementation("1.2.3.4", "TEST")
UIDS = st.lists(st.integers(0, 99999), min_size=1, max_size=8).map(lambda parts: ".".join(map(str, parts)))


def proposals(*abstract_syntaxes: str) -> list[Proposal]:
    return [(abstract_syntax, TRANSFER_SYNTAXES) for abstract_syntax in abstract_syntaxes]


def request(*abstract_syntaxes: str) -> AssociateRequest:
    return decode_rq(
        associate_rq("STORE", "SENDER", proposals(*abstract_syntaxes), 65536, OWN)[HEADER_BYTES:]
    )


@given(st.lists(UIDS, max_size=128), st.integers(0, 0xFFFFFFFF))
def test_a_request_is_read_as_it_was_written(abstract_syntaxes, maximum_length):
    # When
    body = associate_rq("STORE", "SENDER", proposals(*abstract_syntaxes), maximum_length, OWN)[HEADER_BYTES:]
    read = decode_rq(body)
    # Then
    assert read.problem is None
    assert read.calling_ae_title == "SENDER"
    assert read.maximum_length == maximum_length
    assert [context.abstract_syntax for context in read.contexts] == abstract_syntaxes
    assert [context.context_id for context in read.contexts] == [2 * n + 1 for n in range(len(read.contexts))]


def test_pynetdicom_reads_our_acceptance_as_it_is_meant():
    # Given
    proposal = request(VERIFICATION, STUDY_ROOT_FIND)
    # When
    accepted, results = negotiate(proposal, lambda uid: uid == VERIFICATION)
    pdu = A_ASSOCIATE_AC()
    pdu.decode(associate_ac(proposal, accepted, results, 131072, OWN))
    primitive = pdu.to_primitive()
    # Then
    assert isinstance(primitive, A_ASSOCIATE)
    found = {
        context.context_id: context.result
        for context in primitive.presentation_context_definition_results_list
    }
    assert found == {1: 0, 3: 3}
    assert accepted[1].transfer_syntax == proposal.contexts[0].transfer_syntaxes[0]
    assert primitive.maximum_length_received == 131072
    assert primitive.calling_ae_title == "SENDER"


def with_roles(*roles: tuple[str, int, int]) -> bytes:
    """Return the A-ASSOCIATE-RQ of pynetdicom with roles, as an acceptor gets it."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = APPLICATION_CONTEXT
    primitive.calling_ae_title, primitive.called_ae_title = "SENDER", "STORE"
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = 65536
    implementation.implementation_class_uid = UID("1.2.3.4")
    context = build_context(STORAGE_COMMITMENT)
    context.context_id = 1
    primitive.presentation_context_definition_list = [context]
    items: list[Any] = [length, implementation]
    for uid, scu, scp in roles:
        role = SCP_SCU_RoleSelectionNegotiation()
        role.sop_class_uid, role.scu_role, role.scp_role = UID(uid), bool(scu), bool(scp)
        items.append(role)
    primitive.user_information = items
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return pdu.encode()[HEADER_BYTES:]


@pytest.mark.parametrize(("scu", "scp"), [(0, 1), (1, 1), (1, 0)])
def test_proposed_roles_are_read_as_pynetdicom_writes_them(scu, scp):
    # When
    read = decode_rq(with_roles((STORAGE_COMMITMENT, scu, scp)))
    # Then
    assert read.roles == {STORAGE_COMMITMENT: Roles(scu=bool(scu), scp=bool(scp))}


def test_pynetdicom_reads_the_roles_that_we_accept():
    # Given
    proposal = decode_rq(with_roles((STORAGE_COMMITMENT, 0, 1)))
    accepted, results = negotiate(proposal, lambda _uid: True)
    roles = {STORAGE_COMMITMENT: Roles(scu=False, scp=True)}
    # When
    pdu = A_ASSOCIATE_AC()
    pdu.decode(associate_ac(proposal, accepted, results, 131072, OWN, roles))
    # Then
    accepted_roles = [
        item
        for item in pdu.to_primitive().user_information
        if isinstance(item, SCP_SCU_RoleSelectionNegotiation)
    ]
    assert [(roles.sop_class_uid, roles.scu_role, roles.scp_role) for roles in accepted_roles] == [
        (STORAGE_COMMITMENT, False, True)
    ]


def test_a_role_that_does_not_fit_is_passed_over():
    # Given
    body = with_roles((STORAGE_COMMITMENT, 0, 1))
    uid = STORAGE_COMMITMENT.encode()
    at = body.rindex(uid) - 2
    # When / Then
    assert decode_rq(body[:at] + b"\xff\xff" + body[at + 2 :]).roles == {}


def test_pynetdicom_reads_our_rejection_and_our_abort():
    # When
    rejection, abort = A_ASSOCIATE_RJ(), A_ABORT_RQ()
    rejection.decode(associate_rj(LOCAL_LIMIT_EXCEEDED))
    abort.decode(a_abort(SERVICE_PROVIDER, INVALID_PARAMETER))
    # Then
    assert (rejection.result, rejection.source, rejection.reason_diagnostic) == (2, 3, 2)
    assert (abort.source, abort.reason_diagnostic) == (2, 6)


def test_a_request_that_nobody_may_accept_has_a_problem():
    # Given
    body = bytearray(associate_rq("STORE", "SENDER", proposals(VERIFICATION), 0, OWN)[HEADER_BYTES:])
    # When / Then
    other_version = bytes([0, 2]) + bytes(body[2:])
    assert decode_rq(other_version).problem == PROTOCOL_VERSION_NOT_SUPPORTED
    other_context = bytes(body).replace(b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.3.1.1.9")
    assert decode_rq(other_context).problem == APPLICATION_CONTEXT_NOT_SUPPORTED


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data):
    # When / Then
    with contextlib.suppress(ProtocolError):
        decode_rq(data)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=4))
def test_a_damaged_request_is_read_or_refused(place, damage):
    # Given
    body = bytearray(
        associate_rq("STORE", "SENDER", proposals(VERIFICATION, STUDY_ROOT_FIND), 0, OWN)[HEADER_BYTES:]
    )
    body[place : place + len(damage)] = damage
    # When / Then
    with contextlib.suppress(ProtocolError):
        decode_rq(bytes(body))


def test_a_request_that_is_cut_off_is_refused():
    # Given
    body = associate_rq("STORE", "SENDER", proposals(VERIFICATION), 0, OWN)[HEADER_BYTES:]
    # When / Then
    for length in (0, 67, len(body) - 1):
        with pytest.raises(ProtocolError):
            decode_rq(body[:length])
