"""Numbers of matches that look like a silent cap."""

from __future__ import annotations

import pytest

from shared.querying.silent_caps import is_usual_cap, may_be_cut


@pytest.mark.parametrize("listed", [10, 20, 16, 64, 256, 500])
def test_fewer_than_announced_at_a_round_number_may_be_cut(listed):
    assert may_be_cut(listed, listed + 1, None)


@pytest.mark.parametrize("announced", [None, 0, 99, 100])
def test_what_is_announced_and_listed_is_all(announced):
    assert not may_be_cut(100, announced, 100)


def test_archives_that_announce_more_than_they_list_are_believed():
    assert not may_be_cut(77, 78, None)


def test_the_known_cap_of_a_node_is_one_whatever_its_number():
    assert may_be_cut(77, 78, 77)


def test_no_list_at_all_is_not_a_cut_one():
    assert not may_be_cut(0, 78, None)


@pytest.mark.parametrize("matches", [50, 64, 100, 128, 150, 200, 250, 256, 300, 400, 500, 512, 1000, 1024])
def test_usual_limits_of_archives_are_caps_by_themselves(matches):
    assert is_usual_cap(matches)
    assert may_be_cut(matches, matches + 1, None)


@pytest.mark.parametrize("matches", [0, 1, 9, 10, 16, 20, 32, 40, 51, 65, 120, 999])
def test_a_number_of_studies_is_no_cap_by_itself(matches):
    assert not is_usual_cap(matches)
