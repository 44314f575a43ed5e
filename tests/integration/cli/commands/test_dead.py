"""`doseqr dead`: lists, explains, replays and drops what nobody could handle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from services.cli.commands.operation import dead
from shared.broker.memory.broker import MemoryBroker
from shared.broker.port import Message
from shared.broker.topology import DEAD_LETTERS
from tests.contract.test_broker_contract import bury
from tests.support.services.cli import Doseqr

BODY = b'{"id": "m1", "type": "doseqr.command.echo.v1"}'


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryBroker]:
    """A broker with two dead letters, of which one can be replayed."""
    broker = MemoryBroker()
    broker.declare()
    bury(broker, Message("echo", BODY, "m1"), Message("echo", b"no JSON", "m2"), reason="no such node")

    @contextmanager
    def opened(_settings: object) -> Iterator[MemoryBroker]:
        yield broker

    monkeypatch.setattr(dead, "opened_broker", opened)
    yield broker
    broker.close()


def test_dead_letters_are_listed_with_time_and_origin(doseqr: Doseqr, broker: MemoryBroker) -> None:
    # When
    listed = doseqr("dead", "list", "--json").json
    # Then
    entry = next(entry for entry in listed if entry["message_id"] == "m1")
    assert (entry["type"], entry["queue"], entry["reason"]) == (
        "doseqr.command.echo.v1",
        "echo",
        "no such node",
    )
    assert entry["at"].startswith("20")
    assert entry["worker"].startswith("echo@")
    assert "no such node" in doseqr("dead", "list").out
    assert broker.queue_state(DEAD_LETTERS).ready == 2


def test_a_dead_letter_is_explained_by_the_beginning_of_its_id(doseqr: Doseqr, broker: MemoryBroker) -> None:
    # Given
    letter = doseqr("dead", "list", "--json").json[0]
    # When
    explained = doseqr("dead", "show", letter["id"][:10], "--json").json
    # Then
    assert explained["id"] == letter["id"]
    assert "replay it" in explained["advice"]
    assert "no such node" in doseqr("dead", "show", letter["id"]).out


def test_dead_letters_are_replayed_and_dropped(doseqr: Doseqr, broker: MemoryBroker) -> None:
    # Given
    first, second = doseqr("dead", "list", "--json").json
    # When
    replayed, dropped = doseqr("dead", "replay", first["id"]), doseqr("dead", "drop", second["id"], "--json")
    # Then
    assert (replayed.code, dropped.code) == (0, 0)
    assert dropped.json["outcome"] == "dropped"
    assert broker.queue_state(DEAD_LETTERS).ready == 0
    assert broker.queue_state("echo").ready == 1


def test_an_id_that_names_none_or_several_is_wrong_usage(doseqr: Doseqr, broker: MemoryBroker) -> None:
    for action in ("show", "replay", "drop"):
        assert doseqr("dead", action, "zz").code == 2
        assert doseqr("dead", action, "").code == 2
