"""All services with a PACS that is paused: what they accept waits, and sends no request."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from shared.broker.memory.broker import MemoryBroker
from shared.contract.messages import NodePaused, PauseNode
from shared.database.session import Database
from tests.support.ports import free_port
from tests.support.services.in_process import System
from tests.support.waiting import wait_until

SERVICES = ("echo", "query", "retrieve", "store")


@pytest.fixture
def flooded(
    make_system: Callable[..., System], sqlite_database: Database
) -> Iterator[tuple[System, MemoryBroker]]:
    """The system and its broker."""
    broker = MemoryBroker()
    broker.declare()
    system = make_system(broker, sqlite_database)
    system.add_remote("pacs", "127.0.0.1", free_port(), "PACS")
    system.add_own_store()
    system.start(*SERVICES)
    system.command(PauseNode(node="pacs", requested_by="test"))
    wait_until(lambda: any(isinstance(event, NodePaused) for _, event in system.events))
    yield system, broker
    system.stop()
