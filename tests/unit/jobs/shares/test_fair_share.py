"""How the tasks of a node are shared among its jobs: evenly, none unused, those somebody waits for first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.jobs.shares.fair_share import Standing, credits_of, shares, short
from tests.support.jobs.rows import NOW

MANY = 60


def a_standing(job_id: str, *, in_flight: int = 0, due: int = MANY, **columns: Any) -> Standing:
    is_open = bool(in_flight or due)
    defaults: dict[str, Any] = {
        "node_id": 1,
        "priority": "interactive",
        "requested_at": NOW,
        "is_open": is_open,
    }
    return Standing(job_id=job_id, in_flight=in_flight, due=due, **(defaults | columns))


def background(job_id: str, **columns: Any) -> Standing:
    return a_standing(job_id, priority="background", **columns)


@st.composite
def jobs(draw) -> list[Standing]:
    number = draw(st.integers(1, 12))
    return [
        a_standing(
            f"job-{index}",
            in_flight=draw(st.integers(0, 20)),
            due=draw(st.integers(0, MANY)),
            priority=draw(st.sampled_from(["interactive", "background"])),
            requested_at=NOW + timedelta(seconds=draw(st.integers(0, 5))),
        )
        for index in range(number)
    ]


def test_a_job_alone_gets_all():
    assert shares([a_standing("a")], credits_of(4)) == {"a": 6}


def test_jobs_that_want_much_share_evenly():
    assert shares([a_standing("a"), a_standing("b"), a_standing("c")], 6) == {"a": 2, "b": 2, "c": 2}


def test_what_one_does_not_want_the_others_get():
    assert shares([a_standing("a"), a_standing("b", due=1)], 6) == {"a": 5, "b": 1}


def test_more_jobs_than_tasks_get_one_each():
    assert set(shares([a_standing(f"{n}") for n in range(10)], 6).values()) == {1}


def test_a_job_that_waits_takes_nothing_from_others():
    assert shares([a_standing("a"), a_standing("b", due=0)], 6) == {"a": 6}


def test_background_jobs_alone_share_as_others_do():
    assert shares([background("a"), background("b")], 6) == {"a": 3, "b": 3}


def test_while_somebody_waits_all_background_jobs_together_have_one():
    # Given
    old, new = background("old"), background("new", requested_at=NOW + timedelta(hours=1))
    # When
    given_to = shares([a_standing("a"), new, old], 6)
    # Then
    assert given_to == {"a": 5, "old": 1, "new": 0}


def test_a_background_job_that_has_begun_goes_on():
    # Given
    old, new = background("old"), background("new", in_flight=1, requested_at=NOW + timedelta(hours=1))
    # When / Then
    assert shares([a_standing("a"), new, old], 6) == {"a": 5, "new": 1, "old": 0}


def test_a_background_job_has_one_while_somebody_waits_in_another_service():
    assert shares([background("a")], 6, waited_for=True) == {"a": 1}


@given(jobs(), st.integers(1, 20), st.booleans())
def test_nobody_starves_and_nothing_is_given_that_is_not_wanted(standings, tasks, waited_for):
    # When
    given_to = shares(standings, tasks, waited_for=waited_for)
    # Then
    wanting = [standing for standing in standings if standing.wants]
    front = [standing for standing in wanting if not standing.background]
    assert all(given_to[standing.job_id] <= standing.wants for standing in wanting)
    assert all(given_to[standing.job_id] >= 1 for standing in front)
    assert not wanting or sum(given_to.values()) >= 1
    assert sum(given_to.values()) <= max(tasks, len(front) + 1, len(wanting))


@given(jobs(), st.integers(1, 20))
def test_nothing_is_left_while_somebody_wants_it(standings, tasks):
    # Given
    same = [replace(standing, priority="interactive") for standing in standings]
    # When
    given_to = shares(same, tasks)
    # Then
    wanted = sum(standing.wants for standing in same)
    assert sum(given_to.values()) >= min(tasks, wanted)
    unsatisfied = [
        given_to[standing.job_id] for standing in same if standing.wants > given_to.get(standing.job_id, 0)
    ]
    assert not unsatisfied or max(given_to.values()) - min(unsatisfied) <= 1


def test_short_are_those_who_may_begin_something():
    # Given
    standings = [a_standing("a", in_flight=2), a_standing("b", in_flight=3), a_standing("c", due=0)]
    # When / Then
    assert short(standings, {"a": 3, "b": 3, "c": 3}) == ["a"]


def test_a_raised_job_gets_all_that_it_wants():
    standings = [a_standing("a"), a_standing("b", is_raised=True), background("c")]
    assert shares(standings, 6) == {"a": 0, "b": 6, "c": 0}


def test_others_get_what_a_raised_job_leaves():
    standings = [a_standing("a"), background("b", due=2, is_raised=True), background("c")]
    assert shares(standings, 6) == {"a": 3, "b": 2, "c": 1}


def test_two_raised_jobs_share_evenly():
    standings = [a_standing("a", is_raised=True), a_standing("b", is_raised=True), a_standing("c")]
    assert shares(standings, 6) == {"a": 3, "b": 3, "c": 0}


def test_a_raised_job_of_another_service_leaves_one_task_to_all():
    standings = [a_standing("a"), a_standing("b", in_flight=2)]
    assert shares(standings, 6, raised_elsewhere=True) == {"a": 0, "b": 1}
    assert shares([replace(standings[0], is_raised=True)], 6, raised_elsewhere=True) == {"a": 6}


@given(jobs(), st.data())
def test_others_wait_only_while_raised_jobs_want_everything(standings, data):
    # Given
    raised = [replace(standing, is_raised=data.draw(st.booleans())) for standing in standings]
    # When
    given_ = shares(raised, 6)
    # Then
    first = [standing for standing in raised if standing.is_raised and standing.wants]
    others = [standing for standing in raised if not standing.is_raised and standing.wants]
    assert all(given_[standing.job_id] >= 1 for standing in first)
    if others and sum(standing.wants for standing in first) < 6:
        assert sum(given_[standing.job_id] for standing in others) >= 1
