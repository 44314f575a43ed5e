"""People are notified of a cause once, of a flapping one once, and of its end."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.notifications.episode import Episode, EpisodeChange, Observation, observe, read_episode, settle
from shared.notifications.kinds import Phase

NOON = datetime(2024, 11, 5, 12, tzinfo=UTC)
QUIET = timedelta(hours=2)
MINUTE = timedelta(minutes=1)


def play(observations: list[tuple[int, bool]], until_min: int = 0) -> tuple[Episode, list[EpisodeChange]]:
    """Observe at these minutes, then let time pass."""
    episode, turns = Episode(), []
    for minute, bad in observations:
        episode, more = observe(episode, Observation(NOON + minute * MINUTE, bad), QUIET)
        turns += more
    episode, more = settle(episode, NOON + until_min * MINUTE, QUIET)
    return episode, [*turns, *more]


def phases(turns: list[EpisodeChange]) -> list[str]:
    return [str(turn.phase) for turn in turns]


def test_a_cause_that_stays_bad_is_one_event():
    # When
    _, turns = play([(0, True), (10, True), (600, True)])
    # Then
    assert phases(turns) == ["began"]


def test_the_end_has_how_long_it_was_bad():
    # When
    _, turns = play([(0, True), (30, True), (95, False)])
    # Then
    assert phases(turns) == ["began", "over"]
    assert (turns[1].lasted_s, turns[1].failures) == (95 * 60, 2)


def test_what_is_well_from_the_start_is_no_event():
    assert play([(0, False), (10, False)])[1] == []


def test_a_cause_that_comes_back_after_the_quiet_time_is_new():
    # When
    _, turns = play([(0, True), (10, False), (200, True), (210, False)])
    # Then
    assert phases(turns) == ["began", "over", "began", "over"]
    assert turns[3].lasted_s == 600


def test_flapping_is_one_event_and_its_end_another():
    # Given
    to_and_fro = [(minute, minute % 10 == 0) for minute in range(0, 600, 5)]
    # When
    episode, turns = play(to_and_fro, until_min=600 + 119)
    # Then
    assert phases(turns) == ["began", "over", "flapping", "steady"]
    assert turns[3].turns == 60
    assert episode == Episode(since=NOON + 595 * MINUTE, published_at=NOON + 719 * MINUTE)


def test_flapping_that_ends_bad_is_an_event_and_its_end_too():
    # When
    _, turns = play([(0, True), (5, False), (10, True), (200, True), (300, False)])
    # Then
    assert phases(turns) == ["began", "over", "flapping", "stuck", "over"]


def test_more_of_a_cause_is_an_event_after_the_quiet_time():
    # Given
    episode, _ = observe(Episode(), Observation(NOON, bad=True, size=1), QUIET)
    # When
    soon, none = observe(episode, Observation(NOON + MINUTE, bad=True, size=5), QUIET)
    later, grown = observe(soon, Observation(NOON + QUIET, bad=True, size=5), QUIET)
    _, same = observe(later, Observation(NOON + 3 * QUIET, bad=True, size=5), QUIET)
    # Then
    assert none == same == []
    assert phases(grown) == ["grew"]


@given(st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=60))
def test_the_last_event_is_true_once_it_is_quiet(steps):
    # Given
    minute, observations = 0, []
    for pause, bad in steps:
        minute += pause
        observations.append((minute, bad))
    # When
    episode, turns = play(observations, until_min=minute + 121)
    # Then
    last = observations[-1][1] if observations else False
    assert episode.bad is last
    assert not episode.flapping
    bad_phases = {Phase.BEGAN, Phase.STUCK, Phase.GREW}
    assert (bool(turns) and turns[-1].phase in bad_phases) is last
    assert all(first.phase != second.phase for first, second in itertools.pairwise(turns))


@given(st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=30))
def test_an_episode_survives_the_database(steps):
    # Given
    episode, _ = play([(minute, bad) for minute, bad in steps])
    # When / Then
    assert read_episode(episode.to_json()) == episode
