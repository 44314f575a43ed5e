"""Inserting rows that may be there already, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Row, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from shared.database.models.base import Base

#: Rows of one statement. The driver of SQLite keeps 128 statements compiled: those of many rows hold a
#: megabyte each, and every other number of rows is another statement.
_ROWS_AT_ONCE = 50


def insert_missing(
    session: Session, table: type[Base], rows: Sequence[Mapping[str, object]]
) -> list[Row[*tuple[object, ...]]]:
    """Insert those rows whose primary key is not there; return the primary keys of the inserted ones.

    All rows have the same keys.
    """
    target = table.__table__
    assert isinstance(target, Table)
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    if not rows:
        return []
    # Rows given as parameters, not as values of the statement, let the compiled statement be used again.
    statement = dialect.insert(target).on_conflict_do_nothing().returning(*target.primary_key.columns)
    options = {"insertmanyvalues_page_size": _ROWS_AT_ONCE}
    return list(session.execute(statement, list(rows), execution_options=options).all())
