"""A-ASSOCIATE: pynetdicom understands our request, we understand its response, and nonsense is refused."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
    SOPClassExtendedNegotiation,
)
from pynetdicom.presentation import PresentationContext

from shared.dicom.sop_classes import STUDY_ROOT_FIND, VERIFICATION
from shared.dicom.upper_layer.associate_requestor import (
    TRANSFER_SYNTAXES,
    Implementation,
    associate_rq,
    decode_ac,
    decode_rj,
)
from shared.dicom.upper_layer.errors import ProtocolError
from shared.dicom.upper_layer.pdu import item

OWN = Implementation("1.2.3.4", "TEST")


def requested(*, relational: bool = False) -> A_ASSOCIATE:
    pdu = A_ASSOCIATE_RQ()
    proposals = [(service, TRANSFER_SYNTAXES) for service in (STUDY_ROOT_FIND, VERIFICATION)]
    pdu.decode(associate_rq("PACS", "DOSEQR", proposals, 131072, OWN, relational=relational))
    primitive = pdu.to_primitive()
    assert isinstance(primitive, A_ASSOCIATE)
    return primitive


def accepted(*results: int, transfer_syntax: str = ImplicitVRLittleEndian) -> bytes:
    """Return the variable field of an A-ASSOCIATE-AC of pynetdicom with a result for each context."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = UID("1.2.840.10008.3.1.1.1")
    primitive.calling_ae_title, primitive.called_ae_title = "DOSEQR", "PACS"
    primitive.result, primitive.result_source = 0, 1
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = 16382
    implementation.implementation_class_uid = UID("1.2.3")
    primitive.user_information = [length, implementation]
    contexts = []
    for place, result in enumerate(results):
        context = PresentationContext()
        context.context_id, context.result = 2 * place + 1, result
        context.transfer_syntax = [UID(transfer_syntax)]
        contexts.append(context)
    primitive.presentation_context_definition_results_list = contexts
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())[6:]


def test_pynetdicom_reads_our_request_as_it_is_meant():
    # When
    primitive = requested()
    # Then
    assert (primitive.called_ae_title, primitive.calling_ae_title) == ("PACS", "DOSEQR")
    contexts = primitive.presentation_context_definition_list
    assert [(context.context_id, context.abstract_syntax) for context in contexts] == [
        (1, STUDY_ROOT_FIND),
        (3, VERIFICATION),
    ]
    assert contexts[0].transfer_syntax == [ImplicitVRLittleEndian, ExplicitVRLittleEndian]
    assert primitive.maximum_length_received == 131072
    assert primitive.implementation_class_uid == "1.2.3.4"


def test_relational_queries_are_proposed_where_they_are_wanted():
    # When
    items = [
        item
        for item in requested(relational=True).user_information
        if isinstance(item, SOPClassExtendedNegotiation)
    ]
    # Then
    assert [(item.sop_class_uid, item.service_class_application_information) for item in items] == [
        (STUDY_ROOT_FIND, b"\x01"),
        (VERIFICATION, b"\x01"),
    ]
    assert not any(isinstance(item, SOPClassExtendedNegotiation) for item in requested().user_information)


def test_accepted_contexts_have_their_transfer_syntax_and_refused_ones_are_left_out():
    # When
    accept = decode_ac(accepted(0, 3, 0, transfer_syntax=ExplicitVRLittleEndian))
    # Then
    assert accept.contexts == {1: ExplicitVRLittleEndian, 5: ExplicitVRLittleEndian}
    assert accept.maximum_length == 16382


@given(result=st.sampled_from([1, 2]), source=st.sampled_from([1, 2, 3]), reason=st.sampled_from([1, 2]))
def test_a_rejection_is_read_as_pynetdicom_writes_it(result, source, reason):
    # Given
    primitive = A_ASSOCIATE()
    primitive.result, primitive.result_source, primitive.diagnostic = result, source, reason
    pdu = A_ASSOCIATE_RJ()
    pdu.from_primitive(primitive)
    # When
    accept = decode_rj(bytes(pdu.encode())[6:])
    # Then
    assert (accept.result, accept.source, accept.reason) == (result, source, reason)


@given(st.integers(0, 200), st.binary(min_size=1, max_size=4))
def test_a_damaged_acceptance_is_read_or_refused(place, damage):
    # Given
    body = bytearray(accepted(0, 0))
    body[place : place + len(damage)] = damage
    # When / Then
    with contextlib.suppress(ProtocolError):
        decode_ac(bytes(body))


@given(st.binary(max_size=120))
def test_random_bytes_are_read_or_refused(body):
    # When / Then
    for decode in (decode_ac, decode_rj):
        with contextlib.suppress(ProtocolError):
            decode(body)


def test_an_acceptance_that_is_cut_off_is_refused():
    # Given
    body = accepted(0)
    # When / Then
    with pytest.raises(ProtocolError):
        decode_ac(body[:-1])


def odd_accept(*items: bytes, rest: bytes = b"") -> bytes:
    return struct.pack(">HH64x", 1, 0) + b"".join(items) + rest


CONTEXT = item(0x21, b"\x01\0\0\0" + item(0x40, b"1.2.840.10008.1.2"))
USER = item(0x50, item(0x51, struct.pack(">L", 16384)))


@pytest.mark.parametrize(
    "body",
    [
        odd_accept(USER, CONTEXT),
        odd_accept(item(0x77, b"unknown"), CONTEXT, USER),
        odd_accept(item(0x77, b""), item(0, b""), CONTEXT, USER),
        odd_accept(CONTEXT, CONTEXT, USER, USER),
        odd_accept(CONTEXT, item(0x21, b"\x01\0\x03\0"), USER),
        odd_accept(CONTEXT, USER, rest=b"\0"),
        odd_accept(CONTEXT, USER, rest=b"\xff" * 9),
        odd_accept(CONTEXT, item(0x50, item(0x77, b"abc") + item(0x51, struct.pack(">L", 16384)))),
        odd_accept(CONTEXT, item(0x50, item(0x51, struct.pack(">L", 16384)) + b"\x55\0\0\x40V")),
        odd_accept(CONTEXT, item(0x50, item(0x51, b"") + item(0x51, struct.pack(">L", 16384)))),
        odd_accept(item(0x21, b"\x01\0\0\0" + item(0x40, b" 1.2.840.10008.1.2\0\0")), USER),
        odd_accept(item(0x21, b"\x01\0\0\0" + item(0x41, b"") + item(0x40, b"1.2.840.10008.1.2")), USER),
        odd_accept(item(0x21, b"\x01\0\0\0" + item(0x40, b"")), USER),
        odd_accept(item(0x21, b"\x01\0\0\0"), USER),
    ],
)
def test_an_odd_acceptance_is_read_as_it_is_meant(body):
    # When
    accept = decode_ac(body)
    # Then
    assert (accept.contexts.get(1), accept.maximum_length) == ("1.2.840.10008.1.2", 16384)
