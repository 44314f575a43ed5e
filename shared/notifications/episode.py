"""When people are notified of a cause that is well or not: once, and not of each flap. Pure.

A cause that is not well begins an episode, and the first time that it is well ends it: each is an event. If
it is not well again within the quiet time, it is flapping: that is one event, and the next comes when it has
been the same for the whole quiet time.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from shared.clock import iso
from shared.contract.json_types import JsonDocument, JsonObject
from shared.notifications.kinds import Phase

_TIMES = ("since", "began_at", "over_at", "published_at")


@dataclass(frozen=True, slots=True)
class Observation:
    """A cause at a moment; `size` is how much of it there is, where that can grow."""

    at: datetime
    bad: bool
    size: int = 0


@dataclass(frozen=True, slots=True)
class Episode:
    """A cause as of the last observation, and what people were notified of."""

    bad: bool = False
    flapping: bool = False
    #: When it last turned; when the episode began and ended; when people were last notified.
    since: datetime | None = None
    began_at: datetime | None = None
    over_at: datetime | None = None
    published_at: datetime | None = None
    #: Observations that were not well, and turns to it, since the episode began.
    failures: int = 0
    turns: int = 0
    #: The size of which people were notified.
    size: int = 0

    def to_json(self) -> JsonObject:
        """Return it as the database holds it."""
        times = {name: iso(getattr(self, name)) for name in _TIMES}
        return {**asdict(self), **times}


@dataclass(frozen=True, slots=True)
class EpisodeChange:
    """Something to notify people of."""

    phase: Phase
    at: datetime
    #: Seconds for which it was not well, where it is over; 0 otherwise.
    lasted_s: int = 0
    failures: int = 0
    turns: int = 0


def read_episode(document: JsonDocument) -> Episode:
    """Return what `to_json` wrote."""
    times = {name: datetime.fromisoformat(document[name]) for name in _TIMES if document.get(name)}
    values: JsonDocument = {name: value for name, value in document.items() if name not in _TIMES}
    return Episode(**(values | times))


def observe(episode: Episode, observed: Observation, quiet: timedelta) -> tuple[Episode, list[EpisodeChange]]:
    """Return the episode after an observation, and what people are notified of."""
    episode, turns = settle(episode, observed.at, quiet)
    if observed.bad:
        episode, more = _bad(replace(episode, failures=episode.failures + 1), observed, quiet)
    else:
        episode, more = _good(episode, observed)
    return episode, [*turns, *more]


def settle(episode: Episode, now: datetime, quiet: timedelta) -> tuple[Episode, list[EpisodeChange]]:
    """Return the episode as time passes: what was flapping is steady after the quiet time."""
    if not episode.flapping or episode.since is None or now - episode.since < quiet:
        return episode, []
    phase = Phase.STUCK if episode.bad else Phase.STEADY
    turn = _turn(episode, phase, now)
    if episode.bad:
        calm = replace(episode, flapping=False, turns=1, published_at=now, over_at=None)
    else:
        calm = Episode(since=episode.since, published_at=now)
    return calm, [turn]


def _bad(episode: Episode, observed: Observation, quiet: timedelta) -> tuple[Episode, list[EpisodeChange]]:
    if episode.bad:
        return _grown(episode, observed, quiet)
    worse = replace(episode, bad=True, since=observed.at, turns=episode.turns + 1)
    if episode.flapping:
        return replace(worse, size=max(episode.size, observed.size)), []
    announced = replace(worse, published_at=observed.at, size=observed.size)
    if episode.over_at is not None and observed.at - episode.over_at < quiet:
        flapping = replace(announced, flapping=True)
        return flapping, [_turn(flapping, Phase.FLAPPING, observed.at)]
    begun = replace(announced, began_at=observed.at, over_at=None, failures=1, turns=1)
    return begun, [_turn(begun, Phase.BEGAN, observed.at)]


def _grown(episode: Episode, observed: Observation, quiet: timedelta) -> tuple[Episode, list[EpisodeChange]]:
    """More of the same: an event, but no sooner than the quiet time after the last."""
    if observed.size <= episode.size:
        return replace(episode, size=observed.size), []
    recent = episode.published_at is not None and observed.at - episode.published_at < quiet
    if episode.flapping or recent:
        return episode, []
    grown = replace(episode, size=observed.size, published_at=observed.at)
    return grown, [_turn(grown, Phase.GREW, observed.at)]


def _good(episode: Episode, observed: Observation) -> tuple[Episode, list[EpisodeChange]]:
    if not episode.bad:
        return episode, []
    better = replace(episode, bad=False, since=observed.at, size=0)
    if episode.flapping:
        return better, []
    over = replace(better, over_at=observed.at, published_at=observed.at)
    return over, [_turn(episode, Phase.OVER, observed.at)]


def _turn(episode: Episode, phase: Phase, at: datetime) -> EpisodeChange:
    began = episode.began_at or at
    lasted_s = int((at - began).total_seconds()) if phase is not Phase.BEGAN else 0
    return EpisodeChange(phase, at, lasted_s, episode.failures, episode.turns)
