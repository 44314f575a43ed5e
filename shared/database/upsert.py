"""Inserting rows that may be there already, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

#: Rows of one statement. The driver of SQLite keeps 128 statements compiled: those of many rows hold a
#: megabyte each, and every other number of rows is another statement.
_ROWS_AT_ONCE = 50


def insert_missing(session: Session, table: Any, rows: Sequence[dict[str, Any]]) -> list[Row[Any]]:
    """Insert those rows whose primary key is not there; return the primary keys of the inserted ones.

    All rows have the same keys.
    """
    target: Table = table.__table__
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    if not rows:
        return []
    # Rows given as parameters, not as values of the statement, let the compiled statement be used again.
    statement = dialect.insert(target).on_conflict_do_nothing().returning(*target.primary_key.columns)
    options = {"insertmanyvalues_page_size": _ROWS_AT_ONCE}
    return list(session.execute(statement, list(rows), execution_options=options).all())
