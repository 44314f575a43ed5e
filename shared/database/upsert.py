"""Inserting rows that may be there already, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

#: Bound parameters of one statement stay far below the limit of either database.
_ROWS_AT_ONCE = 500


def insert_missing(session: Session, table: Any, rows: Sequence[dict[str, Any]]) -> list[Row[Any]]:
    """Insert those rows whose primary key is not there; return the primary keys of the inserted ones."""
    target: Table = table.__table__
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    inserted: list[Row[Any]] = []
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        statement = (
            dialect.insert(target)
            .values(list(rows[start : start + _ROWS_AT_ONCE]))
            .on_conflict_do_nothing()
            .returning(*target.primary_key.columns)
        )
        inserted += session.execute(statement).all()
    return inserted
