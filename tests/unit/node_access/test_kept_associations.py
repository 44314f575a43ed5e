"""The line of those who wait for an association of a node."""

from __future__ import annotations

from contextlib import ExitStack

from shared.node_access.kept_associations import WaitingLine


def test_begun_work_is_first_and_then_who_came_first():
    # Given
    line, served = WaitingLine(), []
    with ExitStack() as others:
        stacks = {
            name: others.enter_context(ExitStack()) for name in ("new", "newer", "begun", "begun later")
        }
        places = {
            name: stack.enter_context(line.place(1, begun=name.startswith("begun")))
            for name, stack in stacks.items()
        }
        # When
        while places:
            [first] = [name for name, place in places.items() if line.is_first(place)]
            served.append(first)
            stacks[first].close()
            del places[first]
    # Then
    assert served == ["begun", "begun later", "new", "newer"]


def test_who_becomes_first_is_woken_and_nobody_else():
    # Given
    line = WaitingLine()
    with ExitStack() as leaving, line.place(2, begun=False) as elsewhere:
        leaving.enter_context(line.place(1, begun=False))
        with line.place(1, begun=False) as second, line.place(1, begun=False) as third:
            # When
            leaving.close()
            # Then
            assert [place.woken.is_set() for place in (second, third, elsewhere)] == [True, False, False]


def test_only_the_lowest_number_attempts_though_others_stand_before_it():
    # Given
    line = WaitingLine()
    with (
        line.place(1, begun=False) as new,
        line.place(1, begun=True) as begun,
        line.place(2, begun=False) as elsewhere,
    ):
        attempts_at_first = [line.may_attempt(place) for place in (new, begun, elsewhere)]
        # When
        for place, number in ((new, 5), (begun, 6), (elsewhere, 4)):
            line.enter(place, number)
        line.wake_first(1)
        # Then
        assert attempts_at_first == [True, True, True]
        assert line.is_first(begun)
        assert [line.may_attempt(place) for place in (new, begun, elsewhere)] == [True, False, True]
        assert [place.woken.is_set() for place in (new, begun, elsewhere)] == [True, True, False]


def test_an_empty_line_wakes_nobody():
    WaitingLine().wake_first(1)
