"""SQL that an earlier test has compiled: each test has an engine of its own, which would compile it again."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest
import sqlalchemy
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

#: Statements of all tests of a process; SQLAlchemy keeps 500 for each engine.
STATEMENTS = 3000


@pytest.fixture(scope="session", autouse=True)
def compiled_statements() -> Iterator[None]:
    """Let all engines share what they have compiled, by the kind of their database."""
    compiled: LRUCache[object, object] = LRUCache(STATEMENTS)
    create_engine = functools.partial(
        sqlalchemy.create_engine, execution_options={"compiled_cache": compiled}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.database.session.create_engine", create_engine)
        # The dialect is a part of the keys, in the cache of an engine and in those of the mappers.
        patch.setattr(DefaultDialect, "__eq__", lambda dialect, other: type(dialect) is type(other))
        patch.setattr(DefaultDialect, "__hash__", lambda dialect: hash(type(dialect)))
        yield
