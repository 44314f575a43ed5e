"""Envelopes: what is wrong with one, in words, and ids that are made from the id of a job."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.broker.port import Message
from shared.contract.envelope import derived_id, retrieve_id_after, valid_id
from shared.errors import InvalidInputError
from shared.messaging.codec import decode_command

ids = st.from_regex(r"\A[A-Za-z0-9_-]{1,64}\Z")
tails = st.sampled_from(["-r", "-r12", "-completed", "-100-incomplete"])


@given(ids, tails)
def test_a_derived_id_is_a_valid_id(base, tail):
    assert valid_id(derived_id(base, tail))


def test_a_short_id_is_followed_by_its_tail():
    assert retrieve_id_after("query-1") == "query-1-r"
    assert retrieve_id_after("query-1", 2) == "query-1-r2"


def test_long_ids_that_share_their_beginning_order_two_retrieves():
    # Given
    first, second = "x" * 61 + "001", "x" * 61 + "002"
    # When / Then
    assert retrieve_id_after(first) != retrieve_id_after(second)
    assert retrieve_id_after(first) == retrieve_id_after(first)


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        ([], "", "must be an object"),
        ({"id": "../x"}, "id", "must match ^[A-Za-z0-9_-]{1,64}$"),
        ({"id": 5}, "id", "must be text"),
        ({}, "id", "is missing"),
    ],
)
def test_a_problem_of_an_envelope_is_in_words_of_json(body, field, problem):
    # Given
    whole = {"specversion": "1.0", "source": "/x", "type": "doseqr.command.echo.v1", "data": {}}
    content = whole | body if isinstance(body, dict) else body
    # When
    with pytest.raises(InvalidInputError) as raised:
        decode_command(Message("echo", json.dumps(content).encode(), "a"))
    # Then
    assert (raised.value.field, raised.value.problem) == (field, problem)
