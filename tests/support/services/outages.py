"""A node that is away for a minute, within two seconds: a fiftieth of the pauses between its tries."""

from __future__ import annotations

from itertools import accumulate

import pytest

from shared.backoff import Backoff
from shared.database.models import NodeBudget
from shared.node_access import outage
from tests.support.services.in_process import System
from tests.support.waiting import wait_until

_SHORTER = 50.0
#: Tries that fail while a node is away for a minute, at the pauses that hospitals have.
TRIES_OF_A_MINUTE = next(
    number for number, waited_s in enumerate(accumulate(outage.PAUSES.pauses()), 1) if waited_s >= 60
)


def shorten_outages(patch: pytest.MonkeyPatch) -> None:
    """Let nodes that are away be tried so much sooner."""
    pauses = Backoff(outage.PAUSES.first_s / _SHORTER, outage.PAUSES.longest_s / _SHORTER)
    patch.setattr(outage, "PAUSES", pauses)
    patch.setattr("shared.jobs.retry.AWAY", pauses)


def away_tries(system: System, node_id: int) -> int:
    """Return how many tries in a row did not reach a node."""
    with system.database.read() as session:
        budget = session.get(NodeBudget, node_id)
        return budget.away_failures if budget is not None else 0


def wait_for_a_minute_away(system: System, node_id: int) -> None:
    """Wait until as many tries of a node have failed as in a minute, one at a time."""
    wait_until(lambda: away_tries(system, node_id) >= TRIES_OF_A_MINUTE)
