"""What is learned of a node, and windows without end in pieces."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.querying.profile import CAREFUL_DAYS, LIST_LENGTH, UNPROVEN, WIDEST_DAYS, Profile
from shared.querying.slices import EARLIEST, Slice, pieces_of_open

TODAY = dt.date(2026, 3, 1)
DAYS = st.dates(EARLIEST, TODAY)


@given(first=st.none() | DAYS, last=st.none() | DAYS)
def test_pieces_of_a_window_without_end_cover_it_without_gap_or_overlap(first, last):
    # Given
    if first is not None and last is not None:
        last = None
    part = Slice(first, last, code="CT")
    # When
    pieces = pieces_of_open(part, TODAY)
    # Then
    assert pieces[-1].date_from == first
    assert pieces[0].date_until == last
    for newer, older in pairwise(pieces):
        assert newer.date_from is not None
        assert older.date_until == newer.date_from - dt.timedelta(days=1)
    assert {piece.code for piece in pieces} == {"CT"}


def test_a_profile_survives_storing_and_what_it_does_not_know_is_left_out():
    # Given
    profile = Profile(series_list=10, cap=100, busiest=3.5)
    # When
    restored = Profile.from_json(profile.to_json() | {"of_a_later_version": 1})
    # Then
    assert restored == profile


def test_an_unknown_node_gets_careful_requests():
    # Given
    profile = Profile()
    # Then
    assert profile.window_days() == CAREFUL_DAYS
    assert profile.believes_all(0)
    assert not profile.believes_all(1)
    assert not profile.believes_all(UNPROVEN + 1)
    assert not profile.believes_empty(CAREFUL_DAYS)


@given(days=st.integers(1, 4000), matches=st.integers(1, 100_000))
def test_planned_windows_stay_within_bounds_whatever_was_learned(days, matches):
    # Given
    profile = Profile().matched(days, matches).proved(matches)
    # Then
    assert 1 <= profile.window_days() <= WIDEST_DAYS


def test_pages_prove_no_number_beyond_a_cap_that_is_found_later():
    # Given
    profile = Profile().proved_in_pages(150).proved_in_pages(40)
    # Then
    assert (profile.proven_in_pages, profile.proven) == (150, Profile().proven)
    assert profile.capped(60).proven_in_pages == 60


@given(st.integers(1, 10_000))
def test_a_cap_is_never_believed_and_a_proof_beyond_it_unlearns_it(matches):
    # Given
    capped = Profile().capped(matches)
    # Then
    assert not capped.believes_all(matches)
    assert capped.proved(matches + 1).cap is None


@given(st.integers(1, 10_000))
def test_as_many_matches_as_were_proven_once_may_be_a_cap_by_chance(matches):
    # Given
    proven, capped = Profile().proved(matches), Profile().capped(matches).proved(matches)
    # Then
    assert proven.believes_all(matches - 1)
    assert not proven.believes_all(matches) or matches <= UNPROVEN
    assert capped.cap == matches
    assert not capped.believes_all(matches)


def test_lists_are_shorter_where_results_are_capped():
    assert Profile().list_length("SERIES") == LIST_LENGTH
    assert Profile(cap=100).list_length("SERIES") == 10
    assert Profile(series_list=0).list_length("SERIES") == 0
    assert Profile(series_list=0).list_length("IMAGE") == LIST_LENGTH


@pytest.mark.parametrize(
    ("known", "offered", "learned"),
    [
        (None, None, None),
        (None, False, False),
        (False, True, True),
        (True, False, False),
        # A server that shows it only in a retrieve: what it sent stands, what it refused is tried again.
        (True, None, True),
        (False, None, None),
    ],
)
def test_a_measurement_lets_refused_headers_be_tried_again(known, offered, learned):
    assert Profile(headers=known).tried_headers(offered).headers is learned


@pytest.mark.parametrize(
    ("by_dicomweb", "duration_ms", "costly", "days"),
    [
        (True, 500, True, 4),
        (True, 50, False, 7),
        (False, 500, None, 7),
    ],
)
def test_windows_stay_below_what_is_proven_where_matches_are_costly(by_dicomweb, duration_ms, costly, days):
    # Given
    profile = Profile().proved(100).matched(1, 20)
    # When
    profile = profile.took(duration_ms, 100, by_dicomweb=by_dicomweb)
    # Then
    assert (profile.costly_matches, profile.window_days()) == (costly, days)
