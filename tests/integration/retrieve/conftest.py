"""A retrieve service to be connected to a scripted PACS."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from shared.broker.memory.broker import MemoryBroker
from shared.database.session import Database
from tests.support.jobs.retrieves import Retrieves
from tests.support.services.in_process import System


@pytest.fixture
def retrieves(system: System) -> Iterator[Retrieves]:
    """A system over the in-memory broker and SQLite; nothing is connected yet."""
    made = Retrieves(system)
    yield made
    made.stop()


@pytest.fixture
def retrieves_on_each_database(make_system: Callable[..., System], database: Database) -> Iterator[Retrieves]:
    """The same over SQLite and over PostgreSQL."""
    broker = MemoryBroker()
    broker.declare()
    made = Retrieves(make_system(broker, database))
    yield made
    made.stop()
