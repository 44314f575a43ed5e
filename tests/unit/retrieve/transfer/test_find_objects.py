"""Lists of objects that a silent cap may have cut."""

from __future__ import annotations

import pytest

from services.retrieve.transfer.find_objects import may_be_cut


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
