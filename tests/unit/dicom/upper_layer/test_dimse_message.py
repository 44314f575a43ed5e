"""Command sets and the fragments of messages."""

from __future__ import annotations

import contextlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dsutils import decode

from shared.dicom.sop_classes import STUDY_ROOT_FIND
from shared.dicom.upper_layer.dimse_command import (
    C_FIND_RSP,
    COMMAND_DATA_SET_TYPE,
    COMMAND_FIELD,
    MAX_COMMAND_BYTES,
    MESSAGE_ID_BEING_RESPONDED_TO,
    NO_DATA_SET,
    STATUS,
    c_cancel_rq,
    c_find_rq,
    decode_command,
    encode_command,
    number_of,
)
from shared.dicom.upper_layer.dimse_message import MAX_DATA_SET_BYTES, DimseMessage, MessageAssembler
from shared.dicom.upper_layer.errors import ProtocolError
from shared.dicom.upper_layer.pdu import COMMAND, LAST, PduSplitter, Pdv, p_data, pdvs_of


def response(status: int, *, has_data_set: bool) -> bytes:
    elements = {COMMAND_FIELD: C_FIND_RSP, MESSAGE_ID_BEING_RESPONDED_TO: 7, STATUS: status}
    return encode_command(elements, has_data_set=has_data_set)


def assembled(*pdvs: Pdv) -> list[DimseMessage]:
    assembler = MessageAssembler()
    return [message for pdv in pdvs if (message := assembler.add(pdv)) is not None]


def pdvs_from(stream: bytes) -> list[Pdv]:
    return [pdv for _, body in PduSplitter().feed(stream) for pdv in pdvs_of(body)]


def test_pydicom_reads_our_commands_as_they_are_meant():
    # When
    request = decode(BytesIO(c_find_rq(513, STUDY_ROOT_FIND)), True, True)
    cancel = decode(BytesIO(c_cancel_rq(513)), True, True)
    # Then
    assert request.CommandGroupLength == len(c_find_rq(513, STUDY_ROOT_FIND)) - 12
    assert (request.AffectedSOPClassUID, request.CommandField) == (STUDY_ROOT_FIND, 0x0020)
    assert (request.MessageID, request.Priority, request.CommandDataSetType) == (513, 0, 1)
    assert (cancel.CommandField, cancel.MessageIDBeingRespondedTo) == (0x0FFF, 513)
    assert cancel.CommandDataSetType == NO_DATA_SET


@given(status=st.integers(0, 0xFFFF), has_data_set=st.booleans())
def test_a_command_set_is_read_as_it_was_written(status, has_data_set):
    # When
    elements = decode_command(response(status, has_data_set=has_data_set))
    # Then
    assert number_of(elements, STATUS) == status
    assert (number_of(elements, COMMAND_DATA_SET_TYPE) == NO_DATA_SET) != has_data_set


@given(
    data_sets=st.lists(st.none() | st.binary(max_size=200), min_size=1, max_size=6),
    maximum_length=st.integers(7, 100),
)
def test_messages_are_put_together_from_fragments_of_any_length(data_sets, maximum_length):
    # Given
    stream = b""
    for number, data_set in enumerate(data_sets):
        command = response(number, has_data_set=data_set is not None)
        stream += p_data(1, command, is_command=True, maximum_length=maximum_length)
        if data_set is not None:
            stream += p_data(1, data_set, is_command=False, maximum_length=maximum_length)
    # When
    messages = assembled(*pdvs_from(stream))
    # Then
    assert [message.data_set for message in messages] == data_sets
    assert [number_of(message.command, STATUS) for message in messages] == list(range(len(data_sets)))


@pytest.mark.parametrize(
    "pdvs",
    [
        [Pdv(1, LAST, b"data set first")],
        [Pdv(1, COMMAND | LAST, response(0xFF00, has_data_set=True)), Pdv(3, LAST, b"")],
        [
            Pdv(1, COMMAND | LAST, response(0xFF00, has_data_set=True)),
            Pdv(1, COMMAND | LAST, response(0, has_data_set=False)),
        ],
        [Pdv(1, COMMAND, bytes(MAX_COMMAND_BYTES)), Pdv(1, COMMAND, b"x")],
        [Pdv(1, COMMAND | LAST, b"\x08\x00\x05\x00\x00\x00\x00\x00")],
        [Pdv(1, COMMAND | LAST, b"\x00\x00\x00\x09\x02\x00\x00\x00\x00")],
    ],
)
def test_fragments_out_of_order_and_commands_that_do_not_fit_are_refused(pdvs):
    # When / Then
    with pytest.raises(ProtocolError):
        assembled(*pdvs)


def test_a_data_set_without_end_is_refused_before_it_fills_the_memory():
    # Given
    assembler = MessageAssembler()
    assembler.add(Pdv(1, COMMAND | LAST, response(0xFF00, has_data_set=True)))
    piece = Pdv(1, 0, bytes(1 << 20))

    # When
    def send_on() -> None:
        for _ in range(MAX_DATA_SET_BYTES // (1 << 20) + 1):
            assembler.add(piece)

    # Then
    with pytest.raises(ProtocolError, match="longer than any"):
        send_on()


@given(st.binary(max_size=80))
def test_random_bytes_as_command_set_are_read_or_refused(data):
    # When / Then
    with contextlib.suppress(ProtocolError):
        decode_command(data)


@given(st.lists(st.tuples(st.sampled_from([1, 3]), st.integers(0, 3), st.binary(max_size=40)), max_size=8))
def test_random_fragments_make_messages_or_are_refused(fragments):
    # When / Then
    with contextlib.suppress(ProtocolError):
        assembled(*(Pdv(*fragment) for fragment in fragments))
