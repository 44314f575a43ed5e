"""Inserting rows that may be there already, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Row, Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from shared.database.models.base import Base

#: Rows of one statement. The driver of SQLite keeps 128 statements compiled: those of many rows hold a
#: megabyte each, and every other number of rows is another statement.
_ROWS_AT_ONCE = 50


def insert_or_nothing(table: Table, dialect: str) -> ReturningInsert[*tuple[object, ...]]:
    """Return the statement that inserts rows that are not there, and returns the primary keys of those."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - SQLite does without

        return postgresql.insert(table).on_conflict_do_nothing().returning(*table.primary_key.columns)
    return sqlite.insert(table).on_conflict_do_nothing().returning(*table.primary_key.columns)


def insert_missing(
    session: Session, table: type[Base], rows: Sequence[Mapping[str, object]]
) -> list[Row[*tuple[object, ...]]]:
    """Insert those rows whose primary key is not there; return the primary keys of the inserted ones.

    All rows have the same keys.
    """
    target = table.__table__
    assert isinstance(target, Table)
    if not rows:
        return []
    # Rows given as parameters, not as values of the statement, let the compiled statement be used again.
    statement = insert_or_nothing(target, session.get_bind().dialect.name)
    options = {"insertmanyvalues_page_size": _ROWS_AT_ONCE}
    return list(session.execute(statement, list(rows), execution_options=options).all())
