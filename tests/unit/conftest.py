"""A migrated SQLite database for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from shared.database.session import Database
from tests.support.servers.databases import prepare


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    database = Database(f"sqlite:///{tmp_path / 'doseqr.sqlite'}")
    prepare(database)
    with database.write() as opened:
        yield opened
    database.close()
