"""The number of rows that a statement changed."""

from __future__ import annotations

from sqlalchemy import CursorResult


def changed_rows(result: object) -> int:
    """Return how many rows an UPDATE or DELETE changed; `result` is that of `Session.execute`."""
    assert isinstance(result, CursorResult), "only a statement that changes rows has such a number"
    return result.rowcount
