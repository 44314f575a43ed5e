"""Ids that are made from the id of a job: never the same for two jobs, never longer than an id may be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.contract.envelope import derived_id, retrieve_id_after, valid_id

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
