"""How the tasks that a node may have in flight are shared among its jobs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.contract.messages import BACKGROUND

#: Tasks in flight beyond the associations that a node allows: the next ones, so that none of these rests.
AHEAD = 2


@dataclass(frozen=True, slots=True)
class Standing:
    """How one job that has not ended stands: what it has in flight, and what it could begin."""

    job_id: str
    node_id: int
    priority: str
    requested_at: datetime
    #: Tasks that are queued or in hand.
    in_flight: int
    #: Tasks that could be queued now; counted no further than all that a node may have in flight.
    due: int
    #: Whether any task is still to be done, now or later.
    is_open: bool
    #: Whether somebody raised its priority.
    is_raised: bool = False

    @property
    def wants(self) -> int:
        """How many tasks it would have in flight if it were alone."""
        return self.in_flight + self.due

    @property
    def background(self) -> bool:
        """Whether nobody waits for it."""
        return self.priority == BACKGROUND


def credits_of(max_associations: int) -> int:
    """Return how many tasks of one service a node may have in flight, in all its jobs together."""
    return max_associations + AHEAD


def shares(
    standings: Iterable[Standing], tasks: int, *, waited_for: bool = False, raised_elsewhere: bool = False
) -> dict[str, int]:
    """Return how many tasks each job of one node may have in flight.

    Raised jobs come first: others get what these do not want, and one task all together while another service
    has a raised job (`raised_elsewhere`). What one job does not want is left to the others, and each gets at
    least one. While somebody waits for a job (here, or `waited_for` in another service), background jobs have
    one in flight, all together.
    """
    wanting = [standing for standing in standings if standing.wants]
    first = [standing for standing in wanting if standing.is_raised]
    others = [standing for standing in wanting if not standing.is_raised]
    if first:
        given = _evenly(first, tasks)
        left = tasks - sum(given.values())
        return given | (
            _unraised(others, left, waited_for=True) if left > 0 else dict.fromkeys(_ids(others), 0)
        )
    if raised_elsewhere:
        return _one_of(others)
    return _unraised(wanting, tasks, waited_for=waited_for)


def _unraised(wanting: Sequence[Standing], tasks: int, *, waited_for: bool) -> dict[str, int]:
    front = [standing for standing in wanting if not standing.background]
    back = [standing for standing in wanting if standing.background]
    if not back or not (front or waited_for):
        return _evenly(wanting, tasks)
    return _one_of(back) | _evenly(front, max(1, tasks - 1))


def _one_of(standings: Sequence[Standing]) -> dict[str, int]:
    """Return one task for all of them together."""
    if not standings:
        return {}
    # The one that has something in flight goes on; otherwise the oldest, until it has nothing left to do.
    first = min(
        standings, key=lambda standing: (standing.in_flight == 0, standing.requested_at, standing.job_id)
    )
    return dict.fromkeys(_ids(standings), 0) | {first.job_id: 1}


def _ids(standings: Iterable[Standing]) -> list[str]:
    return [standing.job_id for standing in standings]


def _evenly(wanting: Sequence[Standing], tasks: int) -> dict[str, int]:
    given: dict[str, int] = {}
    left = tasks
    # Those who want least first: what they leave is shared by the others; the newest last, it gets the rest.
    ordered = sorted(wanting, key=lambda standing: (standing.wants, standing.requested_at, standing.job_id))
    for number, standing in enumerate(ordered):
        share = min(standing.wants, max(1, left // (len(wanting) - number)))
        given[standing.job_id] = share
        left = max(0, left - share)
    return given


def short(standings: Sequence[Standing], given: dict[str, int]) -> list[str]:
    """Return the jobs that have something to begin and less in flight than their share."""
    return [
        standing.job_id
        for standing in standings
        if standing.due and standing.in_flight < given.get(standing.job_id, 0)
    ]
