"""How a database stands, without changing it: its schema, rights, encoding, whether it takes writes."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import inspect, text

from shared.database.models.base import Base
from shared.database.session import Database

#: What services do with tables.
_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")


def current_revision(database: Database) -> str:
    """Return the revision of the schema; "" where there is none yet.

    Raises:
        DatabaseAwayError: the database cannot be reached.
    """
    with database.read() as session:
        connection = session.connection()
        if not inspect(connection).has_table("alembic_version"):
            return ""
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar())


def missing_rights(database: Database) -> list[str]:
    """Return what services need on a PostgreSQL and the user may not do.

    Raises:
        DatabaseAwayError: the database cannot be reached.
    """
    missing = []
    with database.read() as session:
        connection = session.connection()
        may_create = text("SELECT has_schema_privilege(current_user, current_schema(), 'CREATE')")
        if not connection.execute(may_create).scalar():
            missing.append("CREATE in its schema (needed to migrate)")
        may = text("SELECT has_table_privilege(current_user, quote_ident(:table), :right)")
        tables = sorted(set(inspect(connection).get_table_names()) & set(Base.metadata.tables))
        missing += [
            f"{right} on {table}"
            for table in tables
            for right in _RIGHTS
            if not connection.execute(may, {"table": table, "right": right}).scalar()
        ]
    return missing


def server_encoding(database: Database) -> str:
    """Return the encoding of a PostgreSQL database.

    Raises:
        DatabaseAwayError: the database cannot be reached.
    """
    with database.read() as session:
        return str(session.connection().execute(text("SHOW server_encoding")).scalar())


def write_refusal(database: Database) -> str:
    """Return why the database takes no writes, for people; empty if it takes them.

    It takes no lock: a writer that holds one for long is no reason.

    Raises:
        DatabaseAwayError: the database cannot be reached.
    """
    if database.is_sqlite:
        return _file_refusal(Path(database.url.database or ""))
    with database.read() as session:
        setting = session.scalar(text("SELECT current_setting('transaction_read_only')"))
        if setting != "on":
            return ""
        standby = session.scalar(text("SELECT pg_is_in_recovery()"))
    return "its server is a standby" if standby else "it is set to read-only"


def _file_refusal(file: Path) -> str:
    if not file.is_file():
        return ""
    if not os.access(file, os.W_OK):
        return f"its file {file} is read-only"
    return "" if os.access(file.parent, os.W_OK) else f"its folder {file.parent} is read-only"
