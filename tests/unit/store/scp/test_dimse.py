"""DIMSE requests to a store, and the responses to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.store.scp.dimse import DimseRequest, request_of, response_to
from shared.dicom.upper_layer.dimse_command import (
    C_CANCEL_RQ,
    C_ECHO_RQ,
    C_STORE_RQ,
    STATUS,
    decode_command,
    encode_command,
    number_of,
)
from shared.dicom.upper_layer.errors import ProtocolError

COMMAND_FIELD, MESSAGE_ID, RESPONDED_TO = 0x0100, 0x0110, 0x0120
SOP_CLASS, COMMENT, SOP_INSTANCE = 0x0002, 0x0902, 0x1000


def command(elements: dict[int, int | str], *, has_data_set: bool = True) -> dict[int, bytes]:
    return decode_command(encode_command(elements, has_data_set=has_data_set))


def test_a_store_request_is_read():
    # Given
    elements: dict[int, int | str] = {
        SOP_CLASS: "1.2.3",
        COMMAND_FIELD: C_STORE_RQ,
        MESSAGE_ID: 7,
        SOP_INSTANCE: "1.2.3.4.5",
    }
    # When / Then the padding of UIDs is gone
    assert request_of(command(elements)) == DimseRequest(
        C_STORE_RQ, 7, "1.2.3", "1.2.3.4.5", has_data_set=True
    )


def test_a_request_without_a_data_set_is_distinguished_from_one_with_it():
    # When
    echo = request_of(command({COMMAND_FIELD: C_ECHO_RQ, MESSAGE_ID: 1}, has_data_set=False))
    # Then
    assert not echo.has_data_set


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {MESSAGE_ID: 1},
        {COMMAND_FIELD: C_STORE_RQ | 0x8000, MESSAGE_ID: 1},
        {COMMAND_FIELD: "1.2.3", MESSAGE_ID: 1},
    ],
    ids=["nothing", "no command field", "an answer", "a field of another length"],
)
def test_what_has_no_response_is_a_protocol_error(elements):
    # When / Then
    with pytest.raises(ProtocolError):
        request_of(command(elements))


def test_a_cancel_needs_no_message_id():
    # When / Then: it names the message that it cancels instead (PS3.7 9.3.2.3)
    assert request_of(command({COMMAND_FIELD: C_CANCEL_RQ, RESPONDED_TO: 3})).command_field == C_CANCEL_RQ


def test_a_request_without_a_message_id_is_served_as_message_0():
    # When
    request = request_of(command({COMMAND_FIELD: C_STORE_RQ}))
    # Then
    assert (request.command_field, request.message_id) == (C_STORE_RQ, 0)


def test_a_response_repeats_what_was_requested():
    # Given
    request = DimseRequest(C_STORE_RQ, 7, "1.2.3", "1.2.3.4.5", has_data_set=True)
    # When
    response = decode_command(response_to(request, 0xA700, "no space"))
    # Then
    assert number_of(response, COMMAND_FIELD) == 0x8001
    assert number_of(response, RESPONDED_TO) == 7
    assert number_of(response, STATUS) == 0xA700
    assert (response[SOP_CLASS], response[SOP_INSTANCE]) == (b"1.2.3\0", b"1.2.3.4.5\0")
    assert response[COMMENT] == b"no space"


@given(
    sop_class_uid=st.text(max_size=100),
    sop_instance_uid=st.text(max_size=100),
    status_code=st.integers(0, 0xFFFF),
    comment=st.text(max_size=200),
)
def test_whatever_was_requested_the_response_can_be_read(
    sop_class_uid, sop_instance_uid, status_code, comment
):
    # Given
    request = DimseRequest(C_STORE_RQ, 1, sop_class_uid, sop_instance_uid, has_data_set=True)
    # When
    response = decode_command(response_to(request, status_code, comment))
    # Then values have an even length, and no more than their element holds
    assert number_of(response, STATUS) == status_code
    assert all(len(value) % 2 == 0 for value in response.values())
    assert len(response.get(COMMENT, b"")) <= 64
    assert all(len(response.get(number, b"")) <= 64 for number in (SOP_CLASS, SOP_INSTANCE))
