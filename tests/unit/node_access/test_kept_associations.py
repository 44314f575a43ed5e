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


def test_only_the_lowest_number_attempts_and_only_once_one_has_ended():
    # Given
    line = WaitingLine(lambda: 0.0)
    with (
        line.place(1, begun=False) as new,
        line.place(1, begun=True) as begun,
        line.place(2, begun=False) as elsewhere,
    ):
        places = (new, begun, elsewhere)
        attempts_at_first = [line.begins_attempt(place) for place in places]
        # When
        for place, number in ((new, 5), (begun, 6), (elsewhere, 4)):
            line.enter(place, number)
        line.wake_first(1)
        woken_by_idle = [place.woken.is_set() for place in places]
        attempts_after_idle = [line.begins_attempt(place) for place in places]
        line.wake_to_open(1)
        # Then
        assert attempts_at_first == [True, True, True]
        assert line.is_first(begun)
        assert (woken_by_idle, attempts_after_idle) == ([False, True, False], [False, False, False])
        assert [place.woken.is_set() for place in places] == [True, True, False]
        assert [line.begins_attempt(place) for place in places] == [True, False, False]


def test_who_was_not_woken_attempts_as_associations_of_other_processes_may_have_ended():
    # Given
    line = WaitingLine(lambda: 0.0)
    with line.place(1, begun=False) as place:
        line.begins_attempt(place)
        line.enter(place, 1)
        attempts_at_once = line.begins_attempt(place)
        # When
        line.rest(place)
        # Then
        assert (attempts_at_once, line.begins_attempt(place)) == (False, True)


def test_an_empty_line_wakes_nobody():
    WaitingLine().wake_first(1)
