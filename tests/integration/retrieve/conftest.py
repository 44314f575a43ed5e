"""A retrieve service to be connected to a scripted PACS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.retrieves import Retrieves
from tests.support.system import System


@pytest.fixture
def retrieves(system: System) -> Iterator[Retrieves]:
    """A system over the in-memory broker and SQLite; nothing is connected yet."""
    made = Retrieves(system)
    yield made
    made.stop()
