"""Framing of PDUs and P-DATA-TF: what is cut is put together again, and nonsense is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dicom.upper_layer.errors import ProtocolError
from shared.dicom.upper_layer.pdu import (
    A_ABORT,
    A_RELEASE_RQ,
    ABORT,
    COMMAND,
    HEADER_BYTES,
    LAST,
    MAX_PDU_BYTES,
    P_DATA_TF,
    RELEASE_RQ,
    PduSplitter,
    abort_reason,
    p_data,
    pdvs_of,
)

payloads = st.binary(max_size=600)


def split(*pieces: bytes) -> list[tuple[int, bytes]]:
    splitter = PduSplitter()
    return [pdu for piece in pieces for pdu in splitter.feed(piece)]


@given(payload=payloads, maximum_length=st.integers(0, 300), is_command=st.booleans())
def test_what_is_cut_into_pdus_is_the_same_when_put_together(payload, maximum_length, is_command):
    # When
    pdus = split(p_data(3, payload, is_command=is_command, maximum_length=maximum_length))
    pdvs = [pdv for kind, body in pdus for pdv in pdvs_of(body) if kind == P_DATA_TF]
    # Then
    assert b"".join(pdv.fragment for pdv in pdvs) == payload
    assert {pdv.context_id for pdv in pdvs} == {3}
    assert all(bool(pdv.header & COMMAND) == is_command for pdv in pdvs)
    assert [bool(pdv.header & LAST) for pdv in pdvs] == [False] * (len(pdvs) - 1) + [True]


@given(payload=payloads, maximum_length=st.integers(7, 300))
def test_no_pdu_is_longer_than_the_peer_takes(payload, maximum_length):
    # When
    pdus = split(p_data(1, payload, is_command=False, maximum_length=maximum_length))
    # Then
    assert all(len(body) <= maximum_length for _, body in pdus)


@given(bodies=st.lists(payloads, min_size=1, max_size=6), cuts=st.lists(st.integers(1, 700), max_size=8))
def test_pdus_are_the_same_however_the_network_cuts_them(bodies, cuts):
    # Given
    stream = b"".join(p_data(1, body, is_command=False, maximum_length=0) for body in bodies) + RELEASE_RQ
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(stream[at : at + cut])
        at += cut
    # When
    pdus = split(*pieces, stream[at:])
    # Then
    assert pdus == split(stream)
    assert len(pdus) == len(bodies) + 1
    assert pdus[-1][0] == A_RELEASE_RQ


def test_a_pdu_that_is_not_complete_is_waited_for():
    # Given
    splitter = PduSplitter()
    # When
    early = list(splitter.feed(ABORT[:-1]))
    late = list(splitter.feed(ABORT[-1:]))
    # Then
    assert early == []
    assert late == [(A_ABORT, b"\0\0\0\0")]


@pytest.mark.parametrize("kind", [0x00, 0x08, 0xFF])
def test_a_pdu_type_that_does_not_exist_is_refused(kind):
    # When / Then
    with pytest.raises(ProtocolError):
        split(bytes([kind, 0, 0, 0, 0, 4]))


def test_a_pdu_of_a_gigabyte_is_refused_before_it_has_come():
    # When / Then
    with pytest.raises(ProtocolError, match="longer than any"):
        split(bytes([P_DATA_TF, 0]) + (1 << 30).to_bytes(4, "big"))


@given(st.lists(st.binary(max_size=64), max_size=8))
def test_no_bytes_break_the_splitter_or_make_it_keep_more_than_one_pdu(pieces):
    # Given
    splitter = PduSplitter()
    # When
    with contextlib.suppress(ProtocolError):
        for piece in pieces:
            list(splitter.feed(piece))
    # Then
    assert len(splitter._buffer) <= MAX_PDU_BYTES + HEADER_BYTES


@given(st.binary(max_size=64))
def test_the_body_of_a_p_data_tf_is_read_whole_or_refused(body):
    # When
    try:
        pdvs = list(pdvs_of(body))
    except ProtocolError:
        return
    # Then
    assert sum(len(pdv.fragment) + 6 for pdv in pdvs) == len(body)


@pytest.mark.parametrize(
    "body",
    [
        b"\0\0\0\x02\x01",
        b"\0\0\0\x01\x01\x02",
        b"\0\0\0\x09\x01\x02abc",
        b"\xff\xff\xff\xff\x01\x02abc",
    ],
)
def test_a_presentation_data_value_that_does_not_fit_is_refused(body):
    # When / Then
    with pytest.raises(ProtocolError):
        list(pdvs_of(body))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"\0\0\0\0", "A-ABORT; source: service user"),
        (b"\0\0\2\2", "A-ABORT; source: service provider; reason: unexpected PDU"),
        (b"\0\0\2\x63", "A-ABORT; source: service provider; reason: 99"),
        (b"", "A-ABORT"),
    ],
)
def test_an_abort_has_a_text_with_its_source_and_reason(body, text):
    assert abort_reason(body) == text


def test_a_pdu_without_a_presentation_data_value_has_none():
    assert list(pdvs_of(b"")) == []
