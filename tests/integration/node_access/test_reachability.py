"""Nodes that are tried before work for them begins: who is tried, and how often."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import pytest

from shared.control.node_control import NodeControl
from shared.database.models import NodeBudget
from shared.dicom.peer import Timeouts
from shared.node_access.outage import TRY_TAKES, AwayError
from shared.node_access.reachability import NodeAway, Reachability
from shared.nodes.nodes import add_node, parse_node
from shared.nodes.peers import peer_of
from tests.integration.node_access.test_budget import NOON, SetClock, clock
from tests.support.ports import free_port
from tests.support.services.in_process import test_settings
from tests.support.services.web import statements

__all__ = ["clock", "test_settings"]


class Listener:
    """A peer that takes connections, and nothing more."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_server(("127.0.0.1", port))
        self._socket.settimeout(0)

    def taken(self) -> int:
        """Return how many connections came since the last call."""
        number = 0
        while True:
            try:
                self._socket.accept()[0].close()
            except BlockingIOError:
                return number
            number += 1

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def listener(port) -> Iterator[Listener]:
    with closing(Listener(port)) as listener:
        yield listener


@pytest.fixture
def make_reachability(database, clock, test_settings):
    """Make what one process knows of nodes."""

    def make(connect_s: float = 3.0) -> Reachability:
        return Reachability(
            database, Timeouts(connect_s, 5.0), partial(peer_of, settings=test_settings), clock
        )

    return make


def values_of(port: int, **others: object) -> dict[str, object]:
    common = {"kind": "remote", "name": "pacs", "host": "127.0.0.1", "ae_title": "PACS"}
    return {**common, "port": port, **others}


def added(database, port: int, **others: object) -> int:
    with database.write() as session:
        return add_node(session, parse_node(values_of(port, **others)), NOON).id


def noted(database, away: NodeAway | None, clock: SetClock) -> None:
    assert away is not None
    with database.write() as session:
        away.note(session, clock)


def budget_of(database, node_id: int) -> NodeBudget:
    with database.read() as session:
        budget: NodeBudget = session.get_one(NodeBudget, node_id)
        return budget


def test_a_node_that_takes_connections_is_tried_once(database, make_reachability, port, listener):
    # Given
    node_id, reachability = added(database, port), make_reachability()
    # When
    first = reachability.check(node_id)
    with statements(database) as sent:
        again = reachability.check(node_id)
    # Then
    assert (first, again) == (None, None)
    assert listener.taken() == 1
    assert sent == []
    # And it is tried again once work has not reached it
    reachability.note(node_id, reached=False)
    assert reachability.check(node_id) is None
    assert listener.taken() == 1


def test_a_node_that_is_away_is_tried_when_due_by_one_process(database, make_reachability, clock, port):
    # Given
    node_id, first, second = added(database, port), make_reachability(), make_reachability()
    noted(database, first.check(node_id), clock)
    with closing(Listener(port)) as listener:
        # When
        waiting = second.check(node_id)  # not due yet
        # Then
        assert waiting is not None
        assert isinstance(waiting.error, AwayError)
        assert waiting.error.retry_at == budget_of(database, node_id).away_next_try_at
        assert listener.taken() == 0
        # When: another process tries it
        clock.now = waiting.error.retry_at
        assert first._take_turn(node_id, clock.now)
        beside = second.check(node_id)
        # Then
        assert beside is not None
        assert beside.error.retry_at == clock.now + TRY_TAKES
        assert listener.taken() == 0
        # When: that process has died
        clock.pass_(seconds=31)
        # Then it is back for this one, and its work may try it
        assert second.check(node_id) is None
        assert listener.taken() == 1
    assert budget_of(database, node_id).away_trying_until is None


def test_tries_that_fail_count_up_and_note_the_reason(database, make_reachability, clock, port):
    # Given
    node_id, reachability = added(database, port), make_reachability()
    # When
    for _ in range(3):
        noted(database, reachability.check(node_id), clock)
        clock.pass_(minutes=1)
    # Then
    budget = budget_of(database, node_id)
    assert (budget.away_failures, budget.away_outcome) == (3, "connection refused")
    assert "does not take connections" in budget.away_detail


@pytest.mark.parametrize("why", ["paused", "hours", "blown", "long", "dicomweb", "unknown"])
def test_work_itself_finds_out_where_no_try_is_allowed(database, make_reachability, clock, port, why):
    # Given
    others: dict[str, object] = {}
    if why == "hours":
        others = {"hours": "03:00-04:00", "time_zone": "UTC"}
    if why == "dicomweb":
        others = {"protocol": "dicomweb", "web_url": f"http://127.0.0.1:{port}/dicom-web"}
    node_id = added(database, port, **others)
    with closing(Listener(port)) as listener:
        if why == "paused":
            NodeControl(database, clock).pause(node_id, "pause-1", "anna")
        if why == "blown":
            until = clock.now + TRY_TAKES
            with database.write() as session:
                session.add(NodeBudget(node_id=node_id, tokens=1.0, tokens_at=NOON, fuse_blown_until=until))
        # When
        reachability = make_reachability(31.0 if why == "long" else 3.0)
        away = reachability.check(node_id if why != "unknown" else node_id + 1)
        # Then
        assert away is None
        assert listener.taken() == 0
