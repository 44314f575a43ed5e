"""A plan brings exactly what is wanted, each object once, by few C-MOVEs."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retrieve.planning.moves import (
    LIST_MAX_LENGTH,
    LONG_SERIES_OBJECTS,
    TASK_MAX_OBJECTS,
    TASK_MAX_SERIES,
    MoveCapabilities,
    SeriesPart,
    plan_moves,
    split_long,
    split_tasks,
)
from services.retrieve.planning.payloads import MoveOrder, move_order

LISTS, ACROSS, SINGLE = MoveCapabilities(), MoveCapabilities(across_studies=True), MoveCapabilities(longest=1)


def whole(study: int, series: int, objects: int = 2) -> SeriesPart:
    return SeriesPart(f"1.{study}", f"1.{study}.{series}", uids(study, series, objects), whole=True)


def part(study: int, series: int, objects: int = 2) -> SeriesPart:
    return SeriesPart(f"1.{study}", f"1.{study}.{series}", uids(study, series, objects))


def unlisted(study: int, series: int) -> SeriesPart:
    return SeriesPart(f"1.{study}", f"1.{study}.{series}", whole=True, announced=3)


def uids(study: int, series: int, objects: int) -> tuple[str, ...]:
    return tuple(f"1.{study}.{series}.{number}" for number in range(1, objects + 1))


@pytest.mark.parametrize(
    ("parts", "capabilities", "levels"),
    [
        ([], LISTS, []),
        ([whole(1, 1)], LISTS, ["SERIES"]),
        ([whole(1, 1), whole(1, 2)], LISTS, ["SERIES"]),
        ([whole(1, 1), whole(1, 2)], SINGLE, ["SERIES", "SERIES"]),
        ([whole(1, 1), whole(2, 1)], LISTS, ["SERIES", "SERIES"]),
        ([whole(1, 1), whole(2, 1)], ACROSS, ["SERIES"]),
        ([part(1, 1, 3)], LISTS, ["IMAGE"]),
        ([part(1, 1, 3)], SINGLE, ["IMAGE"] * 3),
        ([part(1, 1), part(1, 2)], LISTS, ["IMAGE", "IMAGE"]),
        ([part(1, 1), part(2, 2)], ACROSS, ["IMAGE"]),
        ([part(1, 1, LIST_MAX_LENGTH + 1)], LISTS, ["IMAGE", "IMAGE"]),
        ([part(1, 1, 5), whole(1, 2)], LISTS, ["SERIES", "IMAGE"]),
        ([unlisted(1, 1), unlisted(1, 2)], LISTS, ["SERIES", "SERIES"]),
        ([unlisted(1, 1), unlisted(2, 1)], ACROSS, ["SERIES", "SERIES"]),
    ],
)
def test_moves_are_as_few_as_the_capabilities_allow(parts, capabilities, levels):
    assert [move.level for move in plan_moves(parts, capabilities)] == levels


keys = st.tuples(st.integers(1, 4), st.integers(1, 6))
shares_of_series = st.builds(
    lambda key, objects, kind: unlisted(*key) if kind == "nameless" else _share(kind, key, objects),
    keys,
    st.integers(1, 120),
    st.sampled_from(["whole", "part", "nameless"]),
)
wanted = st.lists(shares_of_series, max_size=30, unique_by=lambda part: part.key)
any_capabilities = st.builds(MoveCapabilities, st.sampled_from([1, 2, 7, LIST_MAX_LENGTH]), st.booleans())


def _share(kind: str, key: tuple[int, int], objects: int) -> SeriesPart:
    return whole(*key, objects) if kind == "whole" else part(*key, objects)


def covered(parts) -> Counter[tuple[str, str, str]]:
    return Counter((*part.key, uid) for part in parts for uid in part.sop_instance_uids or ("",))


@given(wanted, any_capabilities)
def test_a_plan_covers_what_is_wanted_exactly_once(parts, capabilities):
    moves = plan_moves(parts, capabilities)
    assert covered(part for move in moves for part in move.parts) == covered(parts)


@given(wanted, any_capabilities)
def test_a_move_brings_nothing_beside_what_is_wanted(parts, capabilities):
    by_key = {part.key: part for part in parts}
    for move in plan_moves(parts, capabilities):
        for part in move.parts:
            assert by_key[part.key].whole == (move.level == "SERIES")
        if not capabilities.across_studies:
            assert len(move.study_instance_uids) == 1
        assert len(move.sop_instance_uids if move.level == "IMAGE" else move.parts) <= capabilities.longest


@given(wanted)
def test_tasks_cover_what_is_wanted_exactly_once_and_are_small(parts):
    tasks = split_tasks(parts)
    assert covered(part for task in tasks for part in task) == covered(parts)
    for task in tasks:
        assert len(task) <= TASK_MAX_SERIES
        assert len(task) == 1 or sum(part.size for part in task) <= TASK_MAX_OBJECTS


@given(st.lists(st.integers(1, 1000), max_size=4), st.booleans())
def test_long_series_are_cut_only_where_lists_of_objects_are_known_to_work(sizes, object_lists):
    # Given
    parts = [whole(1, number, size) for number, size in enumerate(sizes)]
    # When
    cut = list(split_long(parts, MoveCapabilities(object_lists=object_lists)))
    # Then
    assert covered(cut) == covered(parts)
    assert all(part.size <= LONG_SERIES_OBJECTS for part in cut) or not object_lists
    short = [part for part in parts if part.size <= LONG_SERIES_OBJECTS]
    assert [part for part in cut if part.whole] == (short if object_lists else parts)


def test_a_long_series_without_names_is_requested_whole():
    part = SeriesPart("1.1", "1.1.1", whole=True, announced=5000)
    assert list(split_long([part], MoveCapabilities(object_lists=True))) == [part]


@given(wanted, st.integers(1, 3), st.integers(1, LIST_MAX_LENGTH), st.booleans(), st.booleans())
def test_an_order_reads_back_as_it_was_written(parts, number, longest, again, spent):
    order = MoveOrder(round=number, longest=longest, again=again, spent=spent).of(parts)
    assert move_order(order.to_payload()) == order


@pytest.mark.parametrize(("lists", "longest"), [(True, LIST_MAX_LENGTH), (False, 1)])
def test_an_order_that_was_written_before_lists_had_a_length_is_understood(lists, longest):
    payload = {"whole": [], "parts": [["1", "1.1", ["1.1.1"]]], "round": 2, "lists": lists, "again": True}
    assert move_order(payload).longest == longest


def test_what_is_left_of_a_whole_series_is_requested_by_objects():
    part = whole(1, 1, 3)
    assert part.without(frozenset()) is part
    assert part.without({"1.1.1.1"}) == SeriesPart("1.1", "1.1.1", ("1.1.1.2", "1.1.1.3"))
    assert part.without(set(part.sop_instance_uids)) is None


@pytest.mark.parametrize("order", [MoveOrder(whole=(("1", "2"),)), MoveOrder(parts=(part(1, 1),))])
def test_an_order_cannot_be_made_simpler_for_ever(order):
    steps = 0
    while order is not None:
        order, steps = order.simpler(), steps + 1
    assert steps <= 3


def test_a_single_object_is_requested_in_no_simpler_way():
    assert MoveOrder(parts=(part(1, 1, 1),)).simpler() is None
