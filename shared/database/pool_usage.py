"""How many connections of its database a process uses."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.pool import QueuePool

from shared.database.session import Database


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """Numbers of connections."""

    in_use: int
    idle: int
    #: More than these are waited for.
    allowed: int


def pool_usage(database: Database) -> PoolUsage | None:
    """Return the numbers of now; None for a pool without a bound, as a database in memory has."""
    pool = database.engine.pool
    if not isinstance(pool, QueuePool):
        return None
    # The public methods give what is in the pool and beyond its size; its bound is the sum of both sizes.
    return PoolUsage(pool.checkedout(), pool.checkedin(), pool.size() + pool._max_overflow)  # noqa: SLF001
